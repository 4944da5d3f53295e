//! While the gate is open nothing is granted; what slipped in meanwhile is not granted later.

use oz_shared::conditions::APPROVED;
use serde_json::json;

use crate::controller::alone;
use crate::gate::Altered;
use crate::lending::{message, word};

#[tokio::test]
async fn a_relaxed_binding_stops_all_granting() {
    alone("relaxed", async |world, controllers| {
        let controller = controllers.start();
        controller.until_ready().await;
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        // So that an earlier answer of the gate is known.
        let before = world.lent("before", json!({})).await;
        let open = Altered::relaxed(world, "oz-request-create").await;
        // Asked while the API server may still act on the old binding: whatever becomes of it, it settles nothing.
        world.ask("meanwhile", json!({})).await;
        world.until_forgery_is(false).await;
        world.ask("r", json!({})).await;
        let named = |r: &_| message(r, APPROVED).contains("oz-request-create");
        let waiting = world.until("r", "the open policy is named", named).await;
        assert_eq!(word(&waiting, APPROVED), "GateNotEnforced");
        assert!(waiting.status.unwrap().grant.is_empty());
        drop(open);
        // What was asked while it was open may have passed where nothing else would have.
        for name in ["r", "meanwhile"] {
            let ended = world.until_ended(name, "Failed", "OlderThanGate").await;
            assert_eq!(ended.status.unwrap().grant, "");
        }
        world.until_gate_settled().await.unwrap();
        let after = world.lent("after", json!({})).await;
        for (name, request) in [("before", before), ("after", after)] {
            world.release(&world.alice, name).await;
            world.until_nothing_left(&request).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_binding_that_was_gone_voids_what_was_asked_before() {
    alone("recreated", async |world, controllers| {
        let controller = controllers.start();
        controller.until_ready().await;
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let gone = Altered::deleted(world, "oz-connect").await;
        // Seen by what the controller says of any request.
        world.ask("r", json!({})).await;
        let named = |r: &_| message(r, APPROVED).contains("oz-connect is missing");
        let waiting = world.until("r", "the missing binding is named", named).await;
        assert_eq!(word(&waiting, APPROVED), "GateNotEnforced");
        drop(gone);
        world.until_ended("r", "Failed", "OlderThanGate").await;
        world.until_gate_settled().await.unwrap();
        let request = world.lent("fresh", json!({})).await;
        world.release(&world.alice, "fresh").await;
        world.until_nothing_left(&request).await;
    })
    .await;
}

#[tokio::test]
async fn a_controller_that_begins_under_an_open_gate_grants_nothing() {
    alone("begun-open", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let open = Altered::relaxed(world, "oz-request-create").await;
        world.ask("r", json!({})).await;
        // At once: the API server may still act on the old binding.
        let controller = controllers.start();
        let named = |r: &_| word(r, APPROVED) == "GateNotEnforced";
        let waiting = world.until("r", "the gate is said to be open", named).await;
        assert!(waiting.status.unwrap().grant.is_empty());
        world.until_forgery_is(false).await;
        drop(open);
        // One that begins when it has just been closed takes nobody's word for what came before.
        controller.kill();
        let _next = controllers.start();
        let ended = world.until_ended("r", "Failed", "OlderThanGate").await;
        assert_eq!(ended.status.unwrap().grant, "");
        world.until_gate_settled().await.unwrap();
    })
    .await;
}
