//! What someone nests deeper into his request than readers of JSON take, where nobody looks: it hides the request from
//! nobody, and nobody else's behind it.

use serde_json::{Value, json};

use crate::controller::alone;
use crate::lending::{LEVELS, message};
use crate::offers::deployed;

#[tokio::test]
async fn it_ends_as_it_would() {
    alone("nested-ends", async |world, controllers| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        let first = controllers.start();
        let (revoked, one) = world.used("revoked", json!({})).await;
        let (expired, two) = world.used("expired", json!({"duration": "15s"})).await;
        for name in ["revoked", "expired"] {
            world.nest(&world.alice, &world.request_path(name)).await;
        }
        world.release(&world.bob, "revoked").await;
        world.until_over(&revoked, &one).await;
        world.until_ended("revoked", "Released", "Released").await;
        first.kill();
        let _next = controllers.start();
        world.until_over(&expired, &two).await;
        world.until_ended("expired", "Expired", "Expired").await;
    })
    .await;
}

#[tokio::test]
async fn it_keeps_nobody_waiting() {
    alone("nested-begins", async |world, controllers| {
        world.template("web", json!({})).await;
        world.template("asked", json!({"approvals": 1})).await;
        world.pod("web-0", "web").await;
        world.ask("deep", json!({"template": "asked"})).await;
        world.nest(&world.alice, &world.request_path("deep")).await;
        let controller = controllers.start();
        controller.until_ready().await;
        world.lent("other", json!({})).await;
        // It is no worse off itself.
        world.until_waiting("deep", "WaitingForApproval").await;
        world.decide(&world.bob, "deep", "Approve").await;
        let lent = world.until_phase("deep", "Active").await;
        world.release(&world.alice, "deep").await;
        world.until_nothing_left(&lent).await;
    })
    .await;
}

/// What a template holds too deep is not taken for what it is not.
#[tokio::test]
async fn a_template_that_is_nested_is_refused() {
    alone("nested-template", async |world, controllers| {
        let _controller = controllers.start();
        let value = (0..LEVELS).fold(json!("x"), |value: Value, _| json!([value]));
        let patch = json!([{"op": "add", "path": "/spec/x", "value": value}]);
        deployed(world, &json!({"patches": patch})).await;
        world.ask("r", json!({})).await;
        let ended = world.until_phase("r", "Failed").await;
        let why = message(&ended, "Ready");
        assert!(why.contains("the value for /spec/x is nested too deep"), "{why}");
    })
    .await;
}
