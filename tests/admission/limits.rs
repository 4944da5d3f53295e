//! Known limits of the gate, pinned so that a change is noticed.

use serde_json::json;
use support::Call;

use crate::bodies::{adding, approval, copy, with};
use crate::table::Expect::{Allowed, Vap};
use crate::table::Table;
use crate::world::{Cast, World};

#[tokio::test]
async fn limits() {
    let world = World::new("limits", Cast::Certificates).await;
    world.run_pods().await;
    let pin = world.offer_web().await;
    world.offer(crate::bodies::template("other", json!({"exec": crate::bodies::exec(&["exec"])}))).await;
    let all = world.requests();
    let spec = json!({"template": "other"});
    let request = world.must("alice", Call::post(&all, world.request_with("alice", "r1", spec))).await;
    let owner = crate::lending::owner(&world).await;
    let mut t = Table::new("known limits", &world);
    let gone = Call::delete(format!("{}/other", world.templates()));
    t.case("the named template goes", Allowed, "dave", gone).await;
    let decision = adding(&request, approval(world.user("bob"), &request, &pin));
    let decide = || Call::json_patch(format!("{all}/r1"), decision.clone()).dry();
    let passes =
        support::eventually("no template is looked at", std::time::Duration::from_secs(20), || async {
            let answer = world.who("bob").call(decide()).await.map_err(|error| error.to_string())?;
            if answer.is_success() { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    t.fact(
        "an approval with any pin passes then: the controller refuses it",
        passes.is_ok(),
        &format!("{passes:?}"),
    );
    let own = Call::post("/api/v1/namespaces/oz-system/serviceaccounts/oz-controller/token", json!({})).dry();
    t.case(
        "cluster-wide edit mints the controller's own token (such an edit is cluster-admin anyway)",
        Allowed,
        "wide",
        own,
    )
    .await;
    let body = json!({"metadata": {"name": "web-0", "labels": world.labels()}, "target": {"kind": "Node", "name": "n1"}});
    let binding = Call::post(world.ns.core("pods/web-0/binding"), body);
    t.case("a Binding that carries the label", Vap("oz-guard"), "boss", binding).await;
    let waiting = json!({"spec": {"nodeSelector": {"no": "such"}}});
    let waiting = with(copy("waits", &world.labels(), &owner), &waiting);
    t.case("a copy that no node can take", Allowed, "ctl", Call::post(world.ns.core("pods"), waiting)).await;
    let body = json!({"metadata": {"name": "waits", "labels": {"app": "web"}, "annotations": {"a": "b"}},
        "target": {"kind": "Node", "name": "n1"}});
    let place = Call::post(world.ns.core("pods/waits/binding"), body);
    t.case(
        "a Binding without it places a waiting copy, and labels it (who may bind pods is a scheduler)",
        Allowed,
        "boss",
        place,
    )
    .await;
    t.finish();
    world.end().await;
}

/// Classes belong to the whole cluster, but the verbs on them are asked for in the request's namespace: whoever holds
/// everything in one asks there for what may be asked for there, and says yes to what an account of his asks for. So a
/// class says where that is.
#[tokio::test]
async fn whoever_holds_a_whole_namespace() {
    let world = World::new("limitns", Cast::Certificates).await;
    let (elsewhere, _) =
        world.offer_class("elsewhere", json!({"from": ["oz-requests"], "reason": "Optional"})).await;
    let here = json!({"from": ["oz-requests", world.ns.name], "reason": "Optional"});
    let (class, pin) = world.offer_class("team", here).await;
    let ci = support::rights::account(&world.ns.name, "ci");
    world.ns.bind("everything", "cluster-admin", &[support::rights::user("carol"), ci]).await.unwrap();
    world.until_may("carol", "approve", "ozaccess.io", "namespaceclasses", true).await;
    let mut t = Table::new("whoever holds a whole namespace", &world);
    let spec = json!({"class": class, "namespaces": ["shop"]});
    let all = world.namespace_requests();
    let asked = t
        .object(
            "asks for a class of this namespace",
            "ci",
            Call::post(&all, world.namespace_request("ci", "r", spec)),
        )
        .await;
    let spec = json!({"class": elsewhere, "namespaces": ["shop"]});
    let asks = Call::post(&all, world.namespace_request("ci", "e", spec));
    t.case("but for no other", Vap("oz-request-class"), "ci", asks).await;
    let decision = adding(&asked, approval(world.user("carol"), &asked, &pin));
    t.case("and decides it", Allowed, "carol", Call::json_patch(format!("{all}/r"), decision)).await;
    t.finish();
    world.end().await;
}
