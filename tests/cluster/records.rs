//! What stays to be read: Events while it happens, a record for as long as the template says, and no longer.

use std::collections::BTreeSet;

use serde_json::json;
use support::eventually;

use crate::world::{LIMIT, World, scenario};

/// The reasons of the Events on a request.
async fn events(world: &World, request: &str) -> Result<BTreeSet<String>, String> {
    let list = world.look(&world.ns.path("events.k8s.io/v1", "events")).await?;
    let of = |e: &&serde_json::Value| {
        e["regarding"]["name"] == request && e["regarding"]["kind"] == "AccessRequest"
    };
    let events = list["items"].as_array().into_iter().flatten().filter(of);
    Ok(events.filter_map(|e| e["reason"].as_str().map(str::to_owned)).collect())
}

async fn until_told(world: &World, request: &str, reasons: &[&str]) {
    eventually(&format!("there are events {reasons:?} on {request}"), LIMIT, || async {
        let told = events(world, request).await?;
        if reasons.iter().all(|r| told.contains(*r)) { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn events_on_each_change() {
    scenario("events", async |world| {
        world.template("web", json!({"approvals": 1})).await;
        world.pod("web-0", "web").await;
        world.ask("r", json!({})).await;
        world.until_waiting("r", "WaitingForApproval").await;
        world.decide(&world.bob, "r", "Approve").await;
        world.until_phase("r", "Active").await;
        world.release(&world.alice, "r").await;
        world.until_ended("r", "Released", "Released").await;
        until_told(world, "r", &["Pending", "Approved", "Active", "Released"]).await;
        world.ask("bad", json!({"pod": "nope"})).await;
        world.until_ended("bad", "Failed", "PodNotOffered").await;
        until_told(world, "bad", &["Failed"]).await;
        world.ask("no", json!({})).await;
        world.decide(&world.bob, "no", "Deny").await;
        world.until_ended("no", "Denied", "Denied").await;
        until_told(world, "no", &["Denied"]).await;
    })
    .await;
}

#[tokio::test]
async fn the_record_goes_in_time() {
    scenario("history", async |world| {
        world.template("web", json!({"historyTtl": "2s"})).await;
        world.pod("web-0", "web").await;
        world.lent("r", json!({})).await;
        world.release(&world.alice, "r").await;
        world.until_gone(&world.request_path("r")).await;
        world.ask("failed", json!({"pod": "nope"})).await;
        world.until_gone(&world.request_path("failed")).await;
    })
    .await;
}

#[tokio::test]
async fn the_status_says_what_was_lent() {
    scenario("granted", async |world| {
        world.template("web", json!({"exec": {"commands": [["id"]], "connections": ["exec", "log"]}})).await;
        world.pod("web-0", "web").await;
        let request = world.lent("r", json!({"duration": "10m"})).await;
        let status = request.status.as_ref().unwrap();
        let words = [
            "exec into pod web-0, any container, only:",
            "  id",
            "read the logs of every container of pod web-0",
        ];
        assert_eq!(status.granted[..3], words);
        let lent_for =
            status.expires_at.as_ref().unwrap().0.duration_since(status.approved_at.as_ref().unwrap().0);
        assert_eq!(lent_for.as_secs(), 600);
        assert!(status.timings.contains_key("active"), "{status:?}");
        let grant = world.grant(&request).await.unwrap();
        assert_eq!(grant["spec"]["holder"]["username"], "alice");
        assert_eq!(grant["spec"]["reason"], "INC-1");
        assert_eq!(grant["metadata"]["finalizers"], json!(null), "no finalizers of ours");
    })
    .await;
}
