//! The optional policy that fills in who asks: who says nothing, or lies, has asked in his own name.

use std::time::Duration;

use serde_json::{Value, json};
use support::filling::{fill_in, is_served};
use support::{Call, eventually};

use crate::bodies::with;
use crate::table::Expect::{Allowed, Crd, Vap};
use crate::table::Table;
use crate::world::{Cast, World};

/// Policies are enforced within a second or so of being made.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn who_asks_is_filled_in() {
    let world = World::new("filled", Cast::Certificates).await;
    world.offer_web().await;
    let mut t = Table::new("filled", &world);
    let all = world.requests();
    let silent = |name: &str| with(world.request("alice", name), &json!({"spec": {"requester": null}}));
    let post = |body| Call::post(&all, body);
    let lie = || post(world.request("bob", "lie")).dry();

    t.case("without it: nobody named", Crd, "alice", post(silent("a"))).await;
    t.case("without it: a lie", Vap("oz-request-create"), "alice", lie()).await;
    if !is_served(world.who("admin")).await.unwrap() {
        t.finish();
        world.end().await;
        return;
    }
    fill_in(world.who("admin"), &world.ns).await.unwrap();
    eventually("it is in force", LIMIT, || async {
        let answer = world.who("alice").call(post(silent("a")).dry()).await.map_err(|e| format!("{e:#}"))?;
        if answer.is_success() { Ok(()) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap();

    for who in ["alice", "ci"] {
        let known = serde_json::to_value(crate::bodies::request(world.user(who), "x", json!({}))).unwrap();
        let known = &known["spec"]["requester"];
        let is = |made: &Value| made["spec"]["requester"] == *known;
        let made = t.object(&format!("{who} names nobody"), who, post(silent(&format!("{who}-a")))).await;
        t.fact(&format!("{who} is filled in"), is(&made), &made["spec"]["requester"].to_string());
        let made = t.object(&format!("{who} names bob"), who, lie()).await;
        t.fact(
            &format!("the truth is put in its place for {who}"),
            is(&made),
            &made["spec"]["requester"].to_string(),
        );
        let path = format!("{all}/{who}-applied");
        let apply = || Call::apply(&path, silent(&format!("{who}-applied")), "oz");
        t.case(&format!("{who} applies"), Allowed, who, apply()).await;
        let again = t.object(&format!("{who} applies again"), who, apply()).await;
        t.fact(&format!("{who} stays filled in"), is(&again), &again["spec"]["requester"].to_string());
    }
    // What it fills in opens nothing: the gate stands behind it.
    let erin = with(silent("e"), &json!({}));
    t.case("who may not ask may not", crate::table::Expect::Rbac, "erin", post(erin)).await;
    let released = json!({"spec": {"released": true, "releasedBy": "somebody-else"}});
    let probe = with(world.request("bob", "probe"), &released);
    t.case("the gate's own probe is refused", Vap("oz-request-create"), "alice", post(probe).dry()).await;
    t.finish();
    world.end().await;
}
