//! What becomes of a request for namespaces: it is decided by another who gets nothing by it, in this state of the class;
//! nothing else in it changes; it is released and deleted by few.

use serde_json::{Value, json};
use support::rights::user;
use support::{Call, Namespace};

use crate::bodies::{adding, approval, binding, dangling_owner, role, rule, with};
use crate::table::Expect::{Allowed, AnyVap, Code, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{CLASSES, Cast, World};

const UPDATE: Expect = Vap("oz-request-update");
const DELETE: Expect = Vap("oz-request-delete");
const RECORDS: Expect = Vap("oz-records");
const CLASS: Expect = Vap("oz-request-class");

#[tokio::test]
async fn decide_on_namespaces_by_certificates() {
    decide(Cast::Certificates).await;
}

#[tokio::test]
async fn decide_on_namespaces_by_uids() {
    decide(Cast::Uids).await;
}

/// What one asks for here: of this class, one namespace.
fn asked(class: &str) -> Value {
    json!({"class": class, "namespaces": ["shop"], "reason": "INC-1", "duration": "30m"})
}

async fn ask(world: &World, who: &str, name: &str, spec: Value) -> Value {
    let body = world.namespace_request(who, name, spec);
    world.must(who, Call::post(world.namespace_requests(), body)).await
}

/// The path of this request.
fn path(world: &World, request: &Value) -> String {
    format!("{}/{}", world.namespace_requests(), request["metadata"]["name"].as_str().unwrap())
}

async fn decide(cast: Cast) {
    let world = World::new("nsdecide", cast).await;
    let (class, pin) = world.offer_class("team", json!({})).await;
    let mut t = Table::new("deciding on namespaces", &world);
    let r1 = ask(&world, "alice", "r1", asked(&class)).await;
    let path = path(&world, &r1);
    let yes = |who: &str| approval(world.user(who), &r1, &pin);
    let add = |decision| Call::json_patch(&path, adding(&r1, decision));

    t.case("alice approves her own", UPDATE, "alice", add(yes("alice"))).await;
    t.case("alice denies her own", UPDATE, "alice", add(with(yes("alice"), &json!({"decision": "Deny"}))))
        .await;
    t.case("alice through a group", UPDATE, "alice-lead", add(yes("alice"))).await;
    if cast == Cast::Uids {
        t.case("alice under another name, same uid", UPDATE, "renamed", add(yes("renamed"))).await;
    }
    t.case("a namesake of alice", UPDATE, "namesake", add(yes("alice"))).await;
    t.case("alice signs as bob", UPDATE, "alice", add(yes("bob"))).await;
    t.case("frank signs as bob", UPDATE, "frank", add(yes("bob"))).await;
    let signed = json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "NamespaceRequest",
        "spec": {"decisions": [yes("bob")]}});
    t.case(
        "alice signs as bob by server-side apply",
        UPDATE,
        "alice",
        Call::apply(&path, signed, "bob").force(),
    )
    .await;
    t.case("through an account she made", CLASS, "ci", add(yes("ci"))).await;
    t.case("through a session", AnyVap, "sess", add(yes("sess"))).await;
    t.case("patcher without the verb", UPDATE, "patcher", add(yes("patcher"))).await;
    t.case("carol (no rights)", Rbac, "carol", add(yes("carol"))).await;
    t.case("the controller", Rbac, "ctl", add(yes("ctl"))).await;
    t.case("bob for another uid", UPDATE, "bob", add(with(yes("bob"), &json!({"request": "other"})))).await;
    let newer = json!({"template": {"generation": pin["generation"].as_i64().unwrap() + 1}});
    t.case("bob on a class that changed", CLASS, "bob", add(with(yes("bob"), &newer))).await;
    t.case(
        "bob on a namesake class",
        CLASS,
        "bob",
        add(with(yes("bob"), &json!({"template": {"uid": "x"}}))),
    )
    .await;
    let list = |decisions| json!([{"op": "add", "path": "/spec/decisions", "value": decisions}]);
    for who in ["bob", "root"] {
        let two = list(json!([yes("bob"), yes("root")]));
        t.case(&format!("{who} with two at once"), Crd, who, Call::json_patch(&path, two)).await;
    }
    let and = |operation: Value| {
        let mut operations = adding(&r1, yes("bob"));
        operations.as_array_mut().unwrap().push(operation);
        Call::json_patch(&path, operations)
    };
    let name = json!({"op": "replace", "path": "/spec/namespaces/0", "value": "prod"});
    t.case("bob approves and changes the name in one patch", Crd, "bob", and(name)).await;
    let owner = json!({"op": "add", "path": "/metadata/ownerReferences", "value": dangling_owner()});
    t.case("bob approves and plants an owner in one patch", UPDATE, "bob", and(owner)).await;

    t.case("bob approves", Allowed, "bob", add(yes("bob"))).await;
    t.case("frank approves by his group", Allowed, "frank", add(yes("frank"))).await;
    let edit = json!([{"op": "replace", "path": "/spec/decisions/0/decision", "value": "Deny"}]);
    t.case("bob edits his", Crd, "bob", Call::json_patch(&path, edit)).await;
    let remove = json!([{"op": "remove", "path": "/spec/decisions/0"}]);
    let swap = json!([{"op": "replace", "path": "/spec/decisions/0", "value": yes("root")}]);
    t.case("one out, one in", Crd, "root", Call::json_patch(&path, swap)).await;
    t.case("bob removes his", Crd, "bob", Call::json_patch(&path, remove)).await;

    let denied = ask(&world, "ci", "rci", asked(&class)).await;
    let denied_path = self::path(&world, &denied);
    let on = |who: &str, verdict: &str| {
        let decision = with(approval(world.user(who), &denied, &pin), &json!({"decision": verdict}));
        Call::json_patch(&denied_path, adding(&denied, decision))
    };
    t.case("the pipeline on its own", AnyVap, "ci", on("ci", "Approve")).await;
    t.case("bob denies it", Allowed, "bob", on("bob", "Deny")).await;
    t.case("a yes after the no", Crd, "frank", on("frank", "Approve")).await;
    t.case("a yes after the no, by masters", Crd, "root", on("root", "Approve")).await;
    approve_elsewhere(&mut t, &world, &class, &pin).await;
    changed_class(&mut t, &world, &class, &pin).await;
    t.finish();
    world.end().await;
}

/// The class changes after it was looked at: the pin no longer fits.
async fn changed_class(t: &mut Table<'_>, world: &World, class: &str, pin: &Value) {
    let late = ask(world, "alice", "late", asked(class)).await;
    let on = |pin: &Value| {
        let decision = approval(world.user("bob"), &late, pin);
        Call::json_patch(path(world, &late), adding(&late, decision))
    };
    let change = Call::merge(format!("{CLASSES}/{class}"), json!({"spec": {"approvals": 2}}));
    let changed = world.must("admin", change).await;
    support::eventually("the policies see the change", std::time::Duration::from_secs(20), || async {
        let answer = world.who("bob").call(on(pin).dry()).await.map_err(|error| error.to_string())?;
        if answer.is_success() { Err("the old pin still passes".to_owned()) } else { Ok(()) }
    })
    .await
    .unwrap();
    t.case("bob with the pin of before the change", CLASS, "bob", on(pin)).await;
    let now = with(pin.clone(), &json!({"generation": changed["metadata"]["generation"]}));
    t.case("bob with the pin of after it", Allowed, "bob", on(&now).dry()).await;
}

/// Patcher may write requests here, and approve elsewhere; here, templates alone.
async fn approve_elsewhere(t: &mut Table<'_>, world: &World, class: &str, pin: &Value) {
    let other = Namespace::create(world.who("admin"), "tests-elsewhere").await.unwrap();
    other.bind("deciding", "oz-namespace-approver", &[user("patcher")]).await.unwrap();
    let verb = |verb: &str| {
        json!({"namespace": other.name, "verb": verb, "group": "ozaccess.io",
        "resource": "namespaceclasses", "name": class})
    };
    support::rights::until(world.who("admin"), world.user("patcher"), verb("approve"), true).await.unwrap();
    // And here on a template of the class's name.
    let rules = json!([rule(&["ozaccess.io"], &["accesstemplates"], &[class], &["approve", "revoke"])]);
    world.must("admin", Call::post(world.ns.rbac("roles"), role("namesake", &json!({}), rules))).await;
    let bound = binding("namesake", &json!({}), ("Role", "namesake"), &[user("patcher")]);
    world.must("admin", Call::post(world.ns.rbac("rolebindings"), bound)).await;
    let here = json!({"namespace": world.ns.name, "verb": "revoke", "group": "ozaccess.io",
        "resource": "accesstemplates", "name": class});
    support::rights::until(world.who("admin"), world.user("patcher"), here, true).await.unwrap();
    let there = ask(world, "alice", "there", asked(class)).await;
    let decision = approval(world.user("patcher"), &there, pin);
    let act = Call::json_patch(path(world, &there), adding(&there, decision));
    t.case("who may approve elsewhere, or a template of that name, approves", UPDATE, "patcher", act).await;
    let release = json!({"spec": {"released": true, "releasedBy": "patcher"}});
    t.case("... releases", UPDATE, "patcher", Call::merge(path(world, &there), release)).await;
    t.case("... deletes", DELETE, "patcher", Call::delete(path(world, &there))).await;
    other.remove().await.unwrap();
}

/// Who would own the namespaces does not decide on them, be it by name, by group or as an account.
#[tokio::test]
async fn owners_do_not_decide() {
    let world = World::new("nsowners", Cast::Certificates).await;
    let bots = json!({"approvers": {"serviceAccounts": true}});
    let (class, pin) = world.offer_class("bots", bots).await;
    let mut t = Table::new("owners do not decide", &world);
    let ci = support::rights::account(&world.ns.name, "ci");
    for (what, owner, refused, passes) in [
        ("bob", json!({"kind": "User", "name": "bob"}), "bob", "frank"),
        ("frank's group", json!({"kind": "Group", "name": "leads"}), "frank", "ci"),
        ("the account", ci.clone(), "ci", "bob"),
        (
            "a namesake of the account",
            json!({"kind": "ServiceAccount", "namespace": "x", "name": "ci"}),
            "",
            "ci",
        ),
        ("a user called like the group", json!({"kind": "User", "name": "leads"}), "", "frank"),
        ("a group called like bob", json!({"kind": "Group", "name": "bob"}), "", "bob"),
    ] {
        let other = json!({"kind": "User", "name": "somebody"});
        let name = format!("r{}", what.replace([' ', '\''], ""));
        let spec = with(asked(&class), &json!({"owners": [other, owner]}));
        let request = ask(&world, "alice", &name, spec).await;
        let by = |who: &str| {
            let decision = approval(world.user(who), &request, &pin);
            Call::json_patch(path(&world, &request), adding(&request, decision))
        };
        if !refused.is_empty() {
            t.case(&format!("{what} would own it: {refused} approves"), UPDATE, refused, by(refused)).await;
        }
        t.case(&format!("{what} would own it: {passes} approves"), Allowed, passes, by(passes)).await;
    }
    t.finish();
    world.end().await;
}

/// Three decide in the same moment, and none is lost.
#[tokio::test]
async fn decide_on_namespaces_at_once() {
    let mut world = World::new("nsatonce", Cast::Uids).await;
    let (class, pin) = world.offer_class("team", json!({})).await;
    let request = ask(&world, "alice", "r", asked(&class)).await;
    for name in ["d0", "d1", "d2"] {
        let decider = crate::world::person(name, &["leads"]);
        world.meet(name, world.who("admin").impersonate(decider).unwrap());
    }
    let calls = ["d0", "d1", "d2"].map(|name| {
        let decision = approval(world.user(name), &request, &pin);
        world.who(name).call(Call::json_patch(path(&world, &request), adding(&request, decision)))
    });
    let answers = futures::future::join_all(calls).await;
    let mut t = Table::new("three decide at once", &world);
    for answer in answers {
        let answer = answer.unwrap();
        t.fact("he is heard", answer.is_success(), &answer.to_string());
    }
    let stored = world.must("admin", Call::get(path(&world, &request))).await["spec"]["decisions"].clone();
    t.fact("three decisions are stored", stored.as_array().map(Vec::len) == Some(3), &stored.to_string());
    t.finish();
    world.end().await;
}

#[tokio::test]
async fn change_and_end_requests_for_namespaces_by_certificates() {
    change_and_end(Cast::Certificates).await;
}

#[tokio::test]
async fn change_and_end_requests_for_namespaces_by_uids() {
    change_and_end(Cast::Uids).await;
}

async fn change_and_end(cast: Cast) {
    let world = World::new("nschange", cast).await;
    let (class, pin) = world.offer_class("team", json!({})).await;
    let r1 = ask(&world, "alice", "r1", asked(&class)).await;
    ask(&world, "alice", "r2", asked(&class)).await;
    ask(&world, "ci", "rci", asked(&class)).await;
    let mut t = Table::new("change and end requests for namespaces", &world);
    let path = path(&world, &r1);
    let merge = |body| Call::merge(&path, body);
    for (field, value) in [
        ("class", json!("other")),
        ("namespaces", json!(["prod"])),
        ("namespaces", json!(["shop", "prod"])),
        ("owners", json!([{"kind": "User", "name": "bob"}])),
        ("credential", json!({"type": "Requester"})),
        ("extends", json!({"name": "r2", "uid": "1"})),
        ("duration", json!("1h")),
        ("reason", json!("other")),
        ("requester", json!({"username": "root"})),
    ] {
        let body = json!({"spec": {field: value}});
        t.case(&format!("alice changes {field}"), Crd, "alice", merge(body.clone())).await;
        t.case(&format!("masters change {field}"), Crd, "root", merge(body.clone())).await;
        t.case(&format!("the controller changes {field}"), Rbac, "ctl", merge(body)).await;
    }
    for (what, metadata) in [
        ("an owner", json!({"ownerReferences": dangling_owner()})),
        ("a finalizer", json!({"finalizers": ["a.b/c"]})),
        ("a label", json!({"labels": {"a": "b"}})),
        ("an annotation", json!({"annotations": {"a": "b"}})),
    ] {
        for who in ["alice", "patcher", "root"] {
            t.case(&format!("{who} plants {what}"), UPDATE, who, merge(json!({"metadata": metadata}))).await;
        }
    }
    let status = |body| Call::merge(format!("{path}/status"), body);
    let lent = json!({"status": {"phase": "Active", "approvedAt": "2026-11-22T10:00:00Z",
        "namespaces": [{"name": "default", "uid": "1"}]}});
    for who in ["patcher", "root", "boss", "gc"] {
        t.case(&format!("{who} writes status"), RECORDS, who, status(lent.clone())).await;
    }
    t.case("alice writes status", Rbac, "alice", status(lent.clone())).await;
    t.case("bob writes status", Rbac, "bob", status(lent.clone())).await;
    t.case("the controller writes status, dry run", RECORDS, "ctl", status(lent.clone()).dry()).await;
    t.case("the controller writes status", Allowed, "ctl", status(lent)).await;
    let scale = Call::merge(format!("{path}/scale"), json!({"spec": {"replicas": 1}}));
    t.case("/scale subresource by masters", Code(404), "root", scale).await;
    end(&mut t, &world, &r1, &pin).await;
    t.finish();
    world.end().await;
}

async fn end(t: &mut Table<'_>, world: &World, r1: &Value, pin: &Value) {
    let path = path(world, r1);
    let of = |name: &str| Call::delete(format!("{}/{name}", world.namespace_requests()));
    let merge = |body| Call::merge(&path, body);
    let release = |by: &str| json!({"spec": {"released": true, "releasedBy": world.user(by).username}});
    t.case("patcher releases", UPDATE, "patcher", merge(release("patcher"))).await;
    t.case("namesake releases", UPDATE, "namesake", merge(release("alice"))).await;
    t.case("bob releases in another name", UPDATE, "bob", merge(release("alice"))).await;
    t.case("alice releases in bob's name", UPDATE, "alice", merge(release("bob"))).await;
    t.case("a session releases", UPDATE, "sess", merge(release("sess"))).await;
    t.case("carol (no rights) releases", Rbac, "carol", merge(release("carol"))).await;
    t.case("bob (revoke) releases", Allowed, "bob", merge(release("bob")).dry()).await;
    t.case("released without a name", Crd, "alice", merge(json!({"spec": {"released": true}}))).await;
    t.case("a name without a release", Crd, "alice", merge(json!({"spec": {"releasedBy": "alice"}}))).await;
    t.case("a reason without a release", Crd, "alice", merge(json!({"spec": {"releaseReason": "x"}}))).await;

    t.case("alice deletes what was granted", DELETE, "alice", of("r1")).await;
    t.case("patcher deletes", DELETE, "patcher", of("r2")).await;
    t.case("patcher by deletecollection", DELETE, "patcher", Call::delete(world.namespace_requests())).await;
    t.case("namesake deletes", DELETE, "namesake", of("r2")).await;
    t.case("a session deletes", DELETE, "sess", of("r2")).await;
    t.case("carol (no rights) deletes", Rbac, "carol", of("r2")).await;
    t.case("bob (revoke) deletes", Allowed, "bob", of("r1").dry()).await;
    t.case("the collectors delete", Allowed, "gc", of("r1").dry()).await;
    t.case("alice deletes what was never granted", Allowed, "alice", of("r2")).await;
    t.case("the controller deletes history, dry run", DELETE, "ctl", of("rci").dry()).await;
    t.case("the controller deletes history", Allowed, "ctl", of("rci")).await;

    t.case("alice releases", Allowed, "alice", merge(release("alice"))).await;
    t.case("un-release", Crd, "root", merge(json!({"spec": {"released": false, "releasedBy": ""}}))).await;
    let late = adding(r1, approval(world.user("root"), r1, pin));
    t.case("decide after release", Crd, "root", Call::json_patch(&path, late)).await;
}
