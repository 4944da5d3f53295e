//! What must be agreed before anything is lent, and what makes an agreement void.

use oz_shared::conditions::{APPROVED, READY};
use serde_json::json;
use support::{Call, Outcome};

use crate::lending::{message, word};
use crate::world::{World, scenario};

async fn ready(world: &World, approvals: u32) {
    world.template("web", json!({"approvals": approvals})).await;
    world.pod("web-0", "web").await;
}

#[tokio::test]
async fn one() {
    scenario("one", async |world| {
        ready(world, 1).await;
        world.ask("r", json!({})).await;
        let waiting = world.until_waiting("r", "WaitingForApproval").await;
        assert_eq!(message(&waiting, APPROVED), "0 of 1 approvals, 1 to come");
        world.decide(&world.bob, "r", "Approve").await;
        let lent = world.until_phase("r", "Active").await;
        let grant = world.grant(&lent).await.unwrap();
        assert_eq!(grant["spec"]["terms"]["approvedBy"], json!(["bob"]));
        let session = world.enter(&lent).await;
        world.until_usable(&session).await;
        world.release(&world.alice, "r").await;
        world.until_over(&lent, &session).await;
    })
    .await;
}

#[tokio::test]
async fn two() {
    scenario("two", async |world| {
        ready(world, 2).await;
        world.ask("r", json!({})).await;
        world.decide(&world.bob, "r", "Approve").await;
        world
            .until("r", "one approval is counted", |r| message(r, APPROVED) == "1 of 2 approvals, 1 to come")
            .await;
        world.decide(&world.dave, "r", "Approve").await;
        let lent = world.until_phase("r", "Active").await;
        assert_eq!(message(&lent, APPROVED), "approved by bob, dave");
        assert_eq!(word(&lent, APPROVED), "Approved");
    })
    .await;
}

#[tokio::test]
async fn denied() {
    scenario("denied", async |world| {
        ready(world, 2).await;
        world.ask("r", json!({})).await;
        world.decide(&world.bob, "r", "Approve").await;
        world.decide(&world.dave, "r", "Deny").await;
        let ended = world.until_ended("r", "Denied", "Denied").await;
        assert_eq!(message(&ended, READY), "denied by dave: looked at it");
        assert_eq!(ended.status.unwrap().grant, "");
    })
    .await;
}

#[tokio::test]
async fn withdrawn_while_waiting() {
    scenario("withdrawn", async |world| {
        ready(world, 1).await;
        world.ask("released", json!({})).await;
        world.until_waiting("released", "WaitingForApproval").await;
        world.release(&world.alice, "released").await;
        world.until_ended("released", "Released", "Released").await;
        world.ask("deleted", json!({})).await;
        world.until_waiting("deleted", "WaitingForApproval").await;
        world.must(&world.alice, Call::delete(world.request_path("deleted"))).await;
        world.until_gone(&world.request_path("deleted")).await;
    })
    .await;
}

#[tokio::test]
async fn not_in_time() {
    scenario("late", async |world| {
        world.template("web", json!({"approvals": 1, "pendingTimeout": "3s"})).await;
        world.pod("web-0", "web").await;
        world.ask("r", json!({})).await;
        world.until_ended("r", "Expired", "PendingTimeout").await;
        world.decide(&world.bob, "r", "Approve").await;
        let late = world.until_ended("r", "Expired", "PendingTimeout").await;
        assert_eq!(late.status.unwrap().grant, "", "an approval that comes too late lends nothing");
    })
    .await;
}

#[tokio::test]
async fn void_once_the_template_has_changed() {
    scenario("changed", async |world| {
        ready(world, 2).await;
        world.ask("r", json!({})).await;
        world.decide(&world.bob, "r", "Approve").await;
        world.until("r", "one approval is counted", |r| message(r, APPROVED).starts_with("1 of 2")).await;
        let wider = json!({"spec": {"exec": {"connections": ["exec", "attach"]}, "approvals": 1}});
        world.must(&world.dave, Call::merge(world.ns.oz("accesstemplates/web"), wider)).await;
        // Dave agrees to what it is now, bob to what it was.
        world.decide(&world.dave, "r", "Approve").await;
        let ended = world.until_ended("r", "Failed", "TemplateChanged").await;
        assert_eq!(ended.status.unwrap().grant, "");
    })
    .await;
}

#[tokio::test]
async fn void_once_the_template_is_deleted() {
    scenario("deleted", async |world| {
        ready(world, 2).await;
        world.ask("r", json!({})).await;
        world.decide(&world.bob, "r", "Approve").await;
        world.until("r", "one approval is counted", |r| message(r, APPROVED).starts_with("1 of 2")).await;
        let pin = world.pin("web").await;
        world.must(&world.dave, Call::delete(world.ns.oz("accesstemplates/web"))).await;
        world.decide_on(&world.dave, "r", "Approve", &pin).await;
        world.until_ended("r", "Failed", "TemplateNotFound").await;
    })
    .await;
}

#[tokio::test]
async fn void_once_the_requester_may_not_ask_any_more() {
    scenario("withdrawn", async |world| {
        ready(world, 1).await;
        world.ask("r", json!({})).await;
        world.until_waiting("r", "WaitingForApproval").await;
        world.must(&world.admin, Call::delete(world.ns.rbac("rolebindings/asking"))).await;
        world.until_may(&world.alice, "request", "ozaccess.io", "accesstemplates", false).await.unwrap();
        world.decide(&world.bob, "r", "Approve").await;
        world.until_ended("r", "Failed", "MayNotRequest").await;
    })
    .await;
}

#[tokio::test]
async fn for_a_template_that_was_never_there() {
    scenario("never", async |world| {
        // Where a namespace has no template at all, admission itself refuses.
        world.template("web", json!({})).await;
        world.ask("r", json!({"template": "never"})).await;
        world.until_ended("r", "Failed", "TemplateNotFound").await;
    })
    .await;
}

#[tokio::test]
async fn of_oneself_is_none() {
    scenario("oneself", async |world| {
        ready(world, 1).await;
        world.ns.bind("alice-decides", "oz-approver", &[support::rights::user("alice")]).await.unwrap();
        world.until_may(&world.alice, "approve", "ozaccess.io", "accesstemplates", true).await.unwrap();
        world.ask("r", json!({})).await;
        let request = world.until_waiting("r", "WaitingForApproval").await;
        let yes = json!({"by": "alice", "decision": "Approve", "request": request.metadata.uid,
            "template": {"uid": "t", "generation": 1}});
        let patch = json!([{"op": "add", "path": "/spec/decisions/-", "value": yes}]);
        let refused = world.alice.call(Call::json_patch(world.request_path("r"), patch)).await.unwrap();
        assert!(matches!(Outcome::of(&refused), Outcome::Policy(_)), "{refused}");
        world.until_waiting("r", "WaitingForApproval").await;
    })
    .await;
}
