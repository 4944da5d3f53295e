//! What may become of a request besides being decided: nothing changes in it, it is released by the requester or who may
//! revoke, and deleted by few.

use serde_json::{Value, json};
use support::Call;

use crate::bodies::{adding, approval, dangling_owner};
use crate::table::Expect::{Allowed, Code, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const UPDATE: Expect = Vap("oz-request-update");
const RECORDS: Expect = Vap("oz-records");
const DELETE: Expect = Vap("oz-request-delete");

#[tokio::test]
async fn change_release_delete_by_certificates() {
    change_release_delete(Cast::Certificates).await;
}

#[tokio::test]
async fn change_release_delete_by_uids() {
    change_release_delete(Cast::Uids).await;
}

async fn change_release_delete(cast: Cast) {
    let world = World::new("change", cast).await;
    let pin = world.offer_web().await;
    let all = world.requests();
    let ask = |name: &str| Call::post(&all, world.request("alice", name));
    let r1 = world.must("alice", ask("r1")).await;
    world.must("alice", ask("rst")).await;
    world.must("ci", Call::post(&all, world.request("ci", "rci"))).await;
    let mut t = Table::new("change, release, delete", &world);
    changes(&mut t, &world, &r1, &pin).await;

    let path = format!("{all}/r1");
    let merge = |body| Call::merge(&path, body);
    let release = |by: &str| json!({"spec": {"released": true, "releasedBy": world.user(by).username}});
    t.case("patcher releases", UPDATE, "patcher", merge(release("patcher"))).await;
    t.case("namesake releases", UPDATE, "namesake", merge(release("alice"))).await;
    t.case("bob releases in another name", UPDATE, "bob", merge(release("alice"))).await;
    t.case("alice releases in bob's name", UPDATE, "alice", merge(release("bob"))).await;
    t.case("carol (no rights) releases", Rbac, "carol", merge(release("carol"))).await;
    t.case("released without a name", Crd, "alice", merge(json!({"spec": {"released": true}}))).await;
    t.case("a name without a release", Crd, "alice", merge(json!({"spec": {"releasedBy": "alice"}}))).await;
    t.case("bob (revoke) releases", Allowed, "bob", merge(release("bob")).dry()).await;

    let rst = || Call::delete(format!("{all}/rst"));
    t.case("alice deletes what was granted", DELETE, "alice", Call::delete(&path)).await;
    t.case("namesake deletes", DELETE, "namesake", rst()).await;
    t.case("patcher deletes", DELETE, "patcher", rst()).await;
    t.case("patcher by deletecollection", DELETE, "patcher", Call::delete(&all)).await;
    t.case("patcher deletes, dry run", DELETE, "patcher", rst().dry()).await;
    t.case("carol (no rights) deletes", Rbac, "carol", rst()).await;
    t.case("a session deletes", DELETE, "sess", rst()).await;
    t.case("the collectors delete", Allowed, "gc", rst().dry()).await;
    t.case("alice deletes what was never granted", Allowed, "alice", rst()).await;

    t.case("alice releases", Allowed, "alice", merge(release("alice"))).await;
    t.case("un-release", Crd, "root", merge(json!({"spec": {"released": false, "releasedBy": ""}}))).await;
    t.case("released by another afterwards", Crd, "root", merge(json!({"spec": {"releasedBy": "root"}})))
        .await;
    let late = adding(&r1, approval(world.user("root"), &r1, &pin));
    t.case("decide after release", Crd, "root", Call::json_patch(&path, late)).await;
    let foreground = Call::delete(&path).body(json!({"propagationPolicy": "Foreground"}));
    t.case("foreground deletion by bob", Allowed, "bob", foreground).await;
    let history = || Call::delete(format!("{all}/rci"));
    t.case("controller deletes history, dry run", DELETE, "ctl", history().dry()).await;
    t.case("controller deletes history", Allowed, "ctl", history()).await;
    t.finish();
    world.end().await;
}

async fn changes(t: &mut Table<'_>, world: &World, r1: &Value, pin: &Value) {
    let path = format!("{}/r1", world.requests());
    let status = format!("{path}/status");
    let merge = |body| Call::merge(&path, body);
    for (field, value) in [
        ("template", "sh"),
        ("duration", "1h"),
        ("reason", "other"),
        ("pod", "db-0"),
        ("container", "x"),
        ("memory", "1Mi"),
        ("cpu", "1"),
        ("node", "n1"),
        ("image", "busybox:1"),
    ] {
        let body = json!({"spec": {field: value}});
        t.case(&format!("alice changes {field}"), Crd, "alice", merge(body.clone())).await;
        t.case(&format!("the controller changes {field}"), Rbac, "ctl", merge(body)).await;
    }
    let requester = json!({"spec": {"requester": {"username": "root"}}});
    t.case("root changes the requester", Crd, "root", merge(requester)).await;
    let owner = json!({"metadata": {"ownerReferences": dangling_owner()}});
    let finalizer = json!({"metadata": {"finalizers": ["a.b/c"]}});
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    t.case("patcher plants an owner", UPDATE, "patcher", merge(owner.clone())).await;
    t.case("alice plants an owner in her own", UPDATE, "alice", merge(owner)).await;
    t.case("patcher plants a finalizer", UPDATE, "patcher", merge(finalizer.clone())).await;
    t.case("patcher plants a label", UPDATE, "patcher", merge(label.clone())).await;
    let note = json!({"metadata": {"annotations": {"a": "b"}}});
    t.case("alice annotates her own", UPDATE, "alice", merge(note.clone())).await;
    t.case("patcher annotates", UPDATE, "patcher", merge(note)).await;
    t.case("labels by the status subresource", RECORDS, "patcher", Call::merge(&status, label)).await;
    let active = json!({"status": {"phase": "Active"}});
    t.case("patcher writes status", RECORDS, "patcher", Call::merge(&status, active.clone())).await;
    t.case("root writes status", RECORDS, "root", Call::merge(&status, active.clone())).await;
    t.case("alice writes status", Rbac, "alice", Call::merge(&status, active.clone())).await;
    t.case("bob writes status", Rbac, "bob", Call::merge(&status, active.clone())).await;
    let subresource = |name: &str, body| Call::merge(format!("{path}/{name}"), body);
    t.case("/finalizers subresource", Code(404), "patcher", subresource("finalizers", finalizer)).await;
    let scale = json!({"spec": {"replicas": 1}});
    t.case("/scale subresource", Rbac, "patcher", subresource("scale", scale.clone())).await;
    t.case("/scale subresource by masters", Code(404), "root", subresource("scale", scale)).await;
    let approved = json!({"status": {"phase": "Active", "approvedAt": "2026-11-22T10:00:00Z"}});
    t.case("controller writes status, dry run", RECORDS, "ctl", Call::merge(&status, approved.clone()).dry())
        .await;
    t.case("controller writes status", Allowed, "ctl", Call::merge(&status, approved)).await;
    let decision = adding(r1, approval(world.user("ctl"), r1, pin));
    t.case("controller cannot decide", Rbac, "ctl", Call::json_patch(&path, decision)).await;
}

/// While a request is being deleted nothing is decided; it can still be released. Something that it owns keeps it so long.
#[tokio::test]
async fn deciding_while_deleted() {
    let world = World::new("leaving", Cast::Certificates).await;
    let pin = world.offer_web().await;
    let r1 = world.must("alice", Call::post(world.requests(), world.request("alice", "r1"))).await;
    let path = format!("{}/r1", world.requests());
    let owner = json!([{"apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "name": "r1",
        "uid": r1["metadata"]["uid"], "blockOwnerDeletion": true}]);
    let keeper = json!({"metadata": {"name": "keeper", "finalizers": ["a.b/c"], "ownerReferences": owner}});
    world.must("admin", Call::post(world.ns.core("configmaps"), keeper)).await;
    let mut t = Table::new("while it is being deleted", &world);
    let decision = adding(&r1, approval(world.user("bob"), &r1, &pin));
    let decide = || Call::json_patch(&path, decision.clone());
    t.case("bob could approve before", Allowed, "bob", decide().dry()).await;
    let foreground = Call::delete(&path).body(json!({"propagationPolicy": "Foreground"}));
    t.case("alice deletes it, waiting for what it owns", Allowed, "alice", foreground).await;
    t.case("bob approves", UPDATE, "bob", decide()).await;
    let release = json!({"spec": {"released": true, "releasedBy": "alice"}});
    t.case("alice releases", Allowed, "alice", Call::merge(&path, release)).await;
    let free = json!({"metadata": {"finalizers": null}});
    world.must("admin", Call::merge(world.ns.core("configmaps/keeper"), free)).await;
    let limit = std::time::Duration::from_secs(30);
    let gone = support::eventually("the collector ends it", limit, || async {
        let answer = world.who("admin").call(Call::get(&path)).await.map_err(|error| error.to_string())?;
        if answer.code == 404 { Ok(()) } else { Err(answer.body["metadata"].to_string()) }
    })
    .await;
    t.fact("the collector ends it", gone.is_ok(), &format!("{gone:?}"));
    t.finish();
    world.end().await;
}

/// Once the last template of a namespace is gone, a request can still be released and deleted.
#[tokio::test]
async fn release_without_any_template() {
    let world = World::new("orphaned", Cast::Certificates).await;
    let pin = world.offer_web().await;
    let all = world.requests();
    let r1 = world.must("alice", Call::post(&all, world.request("alice", "r1"))).await;
    world.must("dave", Call::delete(format!("{}/web", world.templates()))).await;
    let mut t = Table::new("without any template", &world);
    let path = format!("{all}/r1");
    let decision = adding(&r1, approval(world.user("carol"), &r1, &pin));
    t.case("carol (no rights) approves", Rbac, "carol", Call::json_patch(&path, decision)).await;
    let release = json!({"spec": {"released": true, "releasedBy": "alice"}});
    t.case("alice releases", Allowed, "alice", Call::merge(&path, release)).await;
    t.case("alice deletes", Allowed, "alice", Call::delete(&path)).await;
    t.finish();
    world.end().await;
}
