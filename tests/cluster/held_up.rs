//! Foreign finalizers, planted while the gate was open for a moment: what they hold up lends nothing.

use oz_shared::conditions::READY;
use serde_json::json;
use support::{Call, Outcome};

use crate::controller::alone;
use crate::gate::{Altered, Mutating};
use crate::lending::message;
use crate::offers::deployed;

const FOREIGN: &str = "example.org/held";

#[tokio::test]
async fn a_request_that_stays_lends_nothing() {
    alone("heldreq", async |world, controllers| {
        let _controller = controllers.start();
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let (request, session) = world.used("r", json!({})).await;
        let path = world.request_path("r");
        let plant = Call::merge(&path, json!({"metadata": {"finalizers": [FOREIGN]}}));
        let refused = world.admin.call(plant).await.unwrap();
        assert_eq!(Outcome::of(&refused), Outcome::Policy("oz-request-update".into()));

        let open = Altered::relaxed(world, "oz-request-update").await;
        world.set_finalizers(&path, json!([FOREIGN])).await;
        drop(open);
        world.must(&world.bob, Call::delete(&path)).await;
        world.until_over(&request, &session).await;
        let there = world.look(&path).await.unwrap();
        assert!(there["metadata"]["deletionTimestamp"].is_string(), "{}", there["metadata"]);

        let _open = Altered::relaxed(world, "oz-request-update").await;
        world.set_finalizers(&path, json!(null)).await;
        world.until_gone(&path).await;
    })
    .await;
}

#[tokio::test]
async fn a_binding_that_stays_lends_nothing() {
    alone("heldbinding", async |world, controllers| {
        let _controller = controllers.start();
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let (request, session) = world.used("r", json!({})).await;
        let path = world.ns.rbac(&format!("rolebindings/{}", session.account));

        let open = Altered::relaxed(world, "oz-guard").await;
        world.set_finalizers(&path, json!([FOREIGN])).await;
        drop(open);
        world.release(&world.bob, "r").await;
        world.until_refused(&session).await;
        let ended = world.until_ended("r", "Released", "Released").await;
        assert!(message(&ended, READY).contains(FOREIGN), "{}", message(&ended, READY));
        let there = world.look(&path).await.unwrap();
        assert!(there["metadata"]["deletionTimestamp"].is_string() && there["subjects"].is_null(), "{there}");
        world.until_gone(&crate::lending::grant_path(&request)).await;

        let _open = Altered::relaxed(world, "oz-guard").await;
        world.set_finalizers(&path, json!(null)).await;
        world.until_nothing_left(&request).await;
    })
    .await;
}

/// What admission put on it at its making, whoever put it there takes off.
#[tokio::test]
async fn a_copy_that_stays_runs_nothing() {
    alone("heldcopy", async |world, controllers| {
        let _controller = controllers.start();
        deployed(world, &json!({})).await;
        let Some(planting) = Mutating::pods(
            world,
            &format!(r#"JSONPatch{{op: "add", path: "/metadata/finalizers", value: [dyn("{FOREIGN}")]}}"#),
            |pod| pod["metadata"]["finalizers"][0] == FOREIGN,
        )
        .await
        else {
            return;
        };
        let (request, session) = world.used("r", json!({})).await;
        let path = world.ns.core(&format!("pods/{}", session.pod));
        assert_eq!(world.look(&path).await.unwrap()["metadata"]["finalizers"], json!([FOREIGN]));
        let more = Call::merge(&path, json!({"metadata": {"finalizers": [FOREIGN, "example.org/more"]}}));
        let refused = world.dave.call(more).await.unwrap();
        assert_eq!(Outcome::of(&refused), Outcome::Policy("oz-guard".into()));
        session.cut_by(world, world.release(&world.alice, "r")).await;
        world.until_refused(&session).await;
        let ended = world.until_ended("r", "Released", "Released").await;
        let said = message(&ended, READY);
        assert!(said.contains(&format!("{FOREIGN} keeps it from going")), "{said}");
        world.until_gone(&crate::lending::grant_path(&request)).await;
        let there = world.look(&path).await.unwrap();
        assert!(there["metadata"]["deletionTimestamp"].is_string(), "{}", there["metadata"]);
        for container in there["status"]["containerStatuses"].as_array().unwrap() {
            assert!(container["state"]["terminated"].is_object(), "{container}");
        }

        world.must(&world.dave, Call::merge(&path, json!({"metadata": {"finalizers": null}}))).await;
        world.until_nothing_left(&request).await;
        planting.remove(world).await;
    })
    .await;
}
