//! The controller as a process: what it answers, how it ends, and what it does first when it comes back.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::eventually;

use crate::controller::alone;
use crate::offers::deployed;
use crate::world::LIMIT;

#[tokio::test]
async fn tells_how_it_is() {
    alone("metrics", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let controller = controllers.start();
        controller.until_ready().await;
        assert_eq!(controller.get("/healthz").await.unwrap().0, 200);
        assert_eq!(controller.get("/else").await.unwrap().0, 404);
        let request = world.lent("r", json!({})).await;
        let (code, text) = controller.get("/metrics").await.unwrap();
        assert_eq!(code, 200);
        let grants =
            text.lines().find(|line| line.starts_with("oz_grants ")).unwrap_or_else(|| panic!("{text}"));
        assert!(grants.split(' ').nth(1).is_some_and(|n| n.parse::<f64>().unwrap() >= 1.0), "{grants}");
        assert!(!text.contains(&world.ns.name) && !text.contains("alice"), "labels are bounded: {text}");
        assert!(text.trim_end().ends_with("# EOF"), "{text}");
        world.release(&world.alice, "r").await;
        world.until_nothing_left(&request).await;
    })
    .await;
}

#[tokio::test]
async fn ends_in_order_when_told_to() {
    alone("sigterm", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let controller = controllers.start();
        controller.until_ready().await;
        let names: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
        join_all(names.iter().map(|name| world.ask(name, json!({})))).await;
        eventually("it is at work", LIMIT, || async {
            match world.request("r0").await?.status {
                Some(_) => Ok(()),
                None => Err("nothing yet".to_owned()),
            }
        })
        .await
        .unwrap();
        let status = controller.terminate().await.unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
        let _next = controllers.start();
        let lent = join_all(names.iter().map(|name| world.until_phase(name, "Active"))).await;
        join_all(names.iter().map(|name| world.release(&world.bob, name))).await;
        for request in &lent {
            world.until_nothing_left(request).await;
        }
    })
    .await;
}

#[tokio::test]
async fn ends_what_is_overdue_when_it_comes_back() {
    alone("overdue", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let first = controllers.start();
        let (request, session) = world.used("r", json!({"duration": "8s"})).await;
        first.kill();
        eventually("minting is over", LIMIT, || async {
            let minted = world.mint(&session.account, 600).await.map_err(|e| format!("{e:#}"))?;
            if minted.message().contains(" ended ") { Ok(()) } else { Err(minted.to_string()) }
        })
        .await
        .unwrap();
        assert!(world.grant(&request).await.is_ok(), "nobody was there to end it");
        let _next = controllers.start();
        world.until_over(&request, &session).await;
        world.until_ended("r", "Expired", "Expired").await;
    })
    .await;
}

#[tokio::test]
async fn ends_what_was_deleted_while_it_was_away() {
    alone("away", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let first = controllers.start();
        let (released, one) = world.used("released", json!({})).await;
        let (deleted, two) = world.used("deleted", json!({})).await;
        first.kill();
        world.release(&world.alice, "released").await;
        world.must(&world.bob, support::Call::delete(world.request_path("deleted"))).await;
        world.until_gone(&world.request_path("deleted")).await;
        let _next = controllers.start();
        world.until_over(&released, &one).await;
        world.until_over(&deleted, &two).await;
        world.until_ended("released", "Released", "Released").await;
    })
    .await;
}

/// Nobody is there at its deadline but its node.
#[tokio::test]
async fn a_copy_ends_without_it() {
    alone("copy-alone", async |world, controllers| {
        deployed(world, &json!({})).await;
        let first = controllers.start();
        let (request, session) = world.used("r", json!({"duration": "12s"})).await;
        let path = world.ns.core(&format!("pods/{}", session.pod));
        session.cut_by(world, async { first.kill() }).await;
        let cut = Timestamp::now();
        let copy = world.look(&path).await.unwrap();
        let started: Timestamp = copy["status"]["startTime"].as_str().unwrap().parse().unwrap();
        let ends =
            started + SignedDuration::from_secs(copy["spec"]["activeDeadlineSeconds"].as_i64().unwrap());
        // Stored times are whole seconds: up to one of these is rounding.
        println!("the stream was cut {:?} after the end of the copy's time", cut.duration_since(ends));
        assert!(cut >= ends, "it was cut before its time: {cut} {ends}");
        eventually("the copy's containers are dead", LIMIT, || async {
            let status = world.look(&path).await?["status"].take();
            let all = status["containerStatuses"].as_array().into_iter().flatten();
            let dead = all.into_iter().all(|c| c["state"]["terminated"].is_object());
            if status["reason"] == "DeadlineExceeded" && dead { Ok(()) } else { Err(status.to_string()) }
        })
        .await
        .unwrap();
        assert!(world.grant(&request).await.is_ok(), "nobody was there to end it");
        let _next = controllers.start();
        world.until_over(&request, &session).await;
        world.until_ended("r", "Expired", "Expired").await;
    })
    .await;
}
