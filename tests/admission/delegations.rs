//! Delegations: who may write one, change, end and delete it, and what the controller binds for it.

use oz_shared::delegation::ObservedKind;
use oz_shared::names::{
    DELEGATIONS_EVERYWHERE_ROLE, DELEGATIONS_ROLE, GRANT_LABEL, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};
use support::rights::{account, bind_everywhere, cluster_role, group, user};
use support::{Call, RUN_LABEL, User, run};

use crate::bodies::{binding, dangling_owner, with};
use crate::grants::{GRANTS, grant};
use crate::lending::{LONG, session_name};
use crate::setup::own;
use crate::table::Expect::{Allowed, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World, controller_of, person};

const CREATE: Expect = Vap("oz-request-create");
const DELEGATION: Expect = Vap("oz-delegation");
const UPDATE: Expect = Vap("oz-request-update");
const DELETE: Expect = Vap("oz-request-delete");
const RECORDS: Expect = Vap("oz-records");
const CONTROLLER: Expect = Vap("oz-controller");
const GUARD: Expect = Vap("oz-guard");

const RBAC: &str = "rbac.authorization.k8s.io";

/// A delegation in the name of someone of this world: of Role `deploy` to bob, from now on for an hour.
fn delegation(world: &World, who: &str, name: &str, spec: Value) -> Value {
    let User { username, uid, groups } = world.user(who);
    let whole = json!({
        "origin": {"kind": "Role", "name": "deploy"}, "destinations": [{"kind": "User", "name": "bob"}],
        "triggers": [{"time": "now"}], "deletionTriggers": [{"time": "1h"}], "reason": "INC-1",
        "requester": {"username": username, "uid": uid, "groups": groups},
    });
    json!({
        "apiVersion": "ozaccess.io/v1alpha1", "kind": "Delegation",
        "metadata": {"name": name, "labels": {RUN_LABEL: run()}}, "spec": with(whole, &spec),
    })
}

/// Who may hand something on here, by each of the ways there are; who may merely write delegations; who may in the whole
/// cluster; and who revokes.
async fn cast(world: &mut World, subject: &str) {
    let admin = world.who("admin").clone();
    let hands_on = json!([
        {"apiGroups": [RBAC], "resources": ["rolebindings"], "verbs": ["create"]},
        {"apiGroups": [RBAC], "resources": ["roles"], "resourceNames": ["deploy"], "verbs": ["bind"]},
        {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["bind"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["ci"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"]},
    ]);
    let unbinding = json!([
        {"apiGroups": [RBAC], "resources": ["roles", "clusterroles"], "verbs": ["bind"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"]},
    ]);
    let everywhere = json!([
        {"apiGroups": [RBAC], "resources": ["rolebindings", "clusterrolebindings"], "verbs": ["create"]},
        {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["bind"]},
        {"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["leads"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["watch"]},
    ]);
    let patches = json!([{"apiGroups": ["ozaccess.io"], "verbs": ["get", "create", "update", "patch", "delete"],
        "resources": ["delegations", "delegations/status", "delegations/finalizers"]}]);
    let role = |name: &str| own(&format!("tests-{subject}-{name}"));
    for (name, rules) in
        [("hands-on", hands_on), ("unbinding", unbinding), ("everywhere", everywhere), ("patches", patches)]
    {
        cluster_role(&admin, &role(name), rules).await.unwrap();
    }
    let session = session_name('n', LONG);
    let home = world.ns.name.clone();
    for (name, bound, subjects) in [
        (
            "del-hand-on",
            role("hands-on"),
            vec![user("dan"), account(SESSIONS_NAMESPACE, &session), account(&home, "robot")],
        ),
        ("del-unbinding", role("unbinding"), vec![user("una")]),
        ("del-patches", role("patches"), vec![user("patcher")]),
        ("del-revokes", "oz-delegation-revoker".to_owned(), vec![user("rita")]),
        (
            "del-write",
            "oz-delegator".to_owned(),
            vec![
                user("dan"),
                user("wren"),
                user("una"),
                user("dan2"),
                account(SESSIONS_NAMESPACE, &session),
                account(&home, "robot"),
                user("system:anonymous"),
            ],
        ),
    ] {
        world.ns.bind(name, &bound, &subjects).await.unwrap();
    }
    let wide = person(&own("ewa"), &["night"]);
    for (name, bound) in [("everywhere", role("everywhere")), ("writes", "oz-delegator".to_owned())] {
        bind_everywhere(&admin, &role(&format!("b-{name}")), &bound, &[user(&wide.username)]).await.unwrap();
    }
    for (name, person) in [
        ("dan", person("dan", &[])),
        ("una", person("una", &[])),
        ("wren", person("wren", &[])),
        ("rita", person("rita", &[])),
        ("ewa", wide),
        ("dan-namesake", User { uid: "u-other".to_owned(), ..person("dan", &[]) }),
    ] {
        world.meet(name, admin.impersonate(person).unwrap());
    }
    let groups = ["system:serviceaccounts", "system:serviceaccounts:oz-sessions", "system:authenticated"];
    let session = User {
        username: format!("system:serviceaccount:{SESSIONS_NAMESPACE}:{session}"),
        uid: "u-1".to_owned(),
        groups: groups.map(str::to_owned).to_vec(),
    };
    world.meet("session", admin.impersonate(session).unwrap());
    let robot = person(&format!("system:serviceaccount:{home}:robot"), &["system:serviceaccounts"]);
    world.meet("robot", admin.impersonate(robot).unwrap());
    world.until_may("dan", "create", "ozaccess.io", "delegations", true).await;
    let may = json!({"verb": "create", "group": "ozaccess.io", "resource": "delegations"});
    support::rights::until(&admin, world.user("ewa"), may, true).await.unwrap();
}

#[tokio::test]
async fn write_a_delegation() {
    let mut world = World::new("delwrite", Cast::Uids).await;
    cast(&mut world, "delwrite").await;
    let mut t = Table::new("writing a delegation", &world);
    let all = world.ns.oz("delegations");
    let by = |who: &str, spec: Value| Call::post(&all, delegation(&world, who, "a", spec)).dry();
    let from = |kind: &str, name: &str, namespace: &str| json!({"origin": {"kind": kind, "name": name, "namespace": namespace}});
    let to = |kind: &str, name: &str, namespace: &str| json!({"destinations": [{"kind": kind, "name": name, "namespace": namespace}]});
    t.case("who may bind the role", Allowed, "dan", by("dan", json!({}))).await;
    t.case("by server-side apply", Allowed, "dan", {
        Call::apply(format!("{all}/a"), delegation(&world, "dan", "a", json!({})), "oz").dry()
    })
    .await;
    t.case("in another's name", CREATE, "dan", by("una", json!({}))).await;
    t.case("a namesake with another uid", CREATE, "dan-namesake", by("dan", json!({}))).await;
    t.case("who may only write delegations", DELEGATION, "wren", by("wren", json!({}))).await;
    t.case("who may bind it, but make no binding", DELEGATION, "una", by("una", json!({}))).await;
    t.case("who may not write any", Rbac, "alice", by("alice", json!({}))).await;
    t.case("a session that could", CREATE, "session", by("session", json!({}))).await;
    t.case("nobody", Expect::AnyVap, "anon", by("anon", json!({}))).await;
    t.case("another Role", DELEGATION, "dan", by("dan", from("Role", "other", ""))).await;
    t.case("a ClusterRole that he may bind", Allowed, "dan", by("dan", from("ClusterRole", "view", "")))
        .await;
    t.case("another", DELEGATION, "dan", by("dan", from("ClusterRole", "edit", ""))).await;
    t.case("an account that he may act as", Allowed, "dan", by("dan", from("ServiceAccount", "ci", "")))
        .await;
    t.case("another", DELEGATION, "dan", by("dan", from("ServiceAccount", "default", ""))).await;
    t.case("its namesake elsewhere", DELEGATION, "dan", by("dan", from("ServiceAccount", "ci", "default")))
        .await;
    t.case("a person", DELEGATION, "dan", by("dan", from("User", "bob", ""))).await;
    t.case("a group", DELEGATION, "dan", by("dan", from("Group", "leads", ""))).await;
    t.case("a person that she may act as", Allowed, "ewa", by("ewa", from("User", "bob", ""))).await;
    t.case("another person", DELEGATION, "ewa", by("ewa", from("User", "carol", ""))).await;
    t.case("a group that she may act as", Allowed, "ewa", by("ewa", from("Group", "leads", ""))).await;
    t.case("another group", DELEGATION, "ewa", by("ewa", from("Group", "admins", ""))).await;
    let wide = |kind: &str, name: &str| with(from(kind, name, ""), &json!({"scope": "Cluster"}));
    t.case("everywhere, by who may there", Allowed, "ewa", by("ewa", wide("ClusterRole", "view"))).await;
    t.case("everywhere, by who may here", DELEGATION, "dan", by("dan", wide("ClusterRole", "view"))).await;
    t.case("everywhere, an account", DELEGATION, "dan", by("dan", wide("ServiceAccount", "ci"))).await;
    for (what, expect, who, on) in [
        ("pods", Allowed, "dan", ObservedKind::Pod),
        ("nodes", DELEGATION, "dan", ObservedKind::Node),
        ("nodes, by who may", Allowed, "ewa", ObservedKind::Node),
        ("pods, by who may not", DELEGATION, "ewa", ObservedKind::Pod),
        ("services", DELEGATION, "dan", ObservedKind::Service),
        ("secrets", DELEGATION, "dan", ObservedKind::Secret),
        ("accounts", DELEGATION, "dan", ObservedKind::ServiceAccount),
        ("endpoints", DELEGATION, "dan", ObservedKind::Endpoints),
        ("slices", DELEGATION, "dan", ObservedKind::EndpointSlice),
        ("deployments", DELEGATION, "dan", ObservedKind::Deployment),
        ("sets", DELEGATION, "dan", ObservedKind::StatefulSet),
        ("jobs", DELEGATION, "dan", ObservedKind::Job),
    ] {
        let waits = json!([{"event": {"change": "Added", "kind": on.as_str(), "name": "x-*"}}]);
        let origin = from("ClusterRole", "view", "");
        for list in ["triggers", "deletionTriggers"] {
            let spec = with(origin.clone(), &json!({list: waits}));
            t.case(&format!("waiting in {list} for {what}"), expect, who, by(who, spec)).await;
        }
    }
    let nine: Vec<Value> = (0..9).map(|_| json!({"time": "now"})).collect();
    let many: Vec<Value> = (0..33).map(|n| json!({"kind": "User", "name": format!("u{n}")})).collect();
    for (what, spec) in [
        ("a system role", from("ClusterRole", "system:node", "")),
        ("a role of Oz's", from("ClusterRole", "oz-auditor", "")),
        ("a system group", from("Group", "system:masters", "")),
        ("an account as a user", from("User", "system:serviceaccount:shop:ci", "")),
        ("an account of Kubernetes", from("ServiceAccount", "default", "kube-system")),
        ("a role elsewhere", from("Role", "deploy", "default")),
        ("a star in the origin", from("ServiceAccount", "ci-*", "")),
        ("to a system group", to("Group", "system:authenticated", "")),
        ("to a session", to("ServiceAccount", "x", "oz-sessions")),
        ("to accounts of kube-system", to("ServiceAccount", "*", "kube-system")),
        ("to the controller", to("ServiceAccount", "oz-controller", "oz-system")),
        ("to any user", to("User", "*", "")),
        ("to a user in a namespace", to("User", "bob", "shop")),
        ("to an odd account", to("ServiceAccount", "A b", "")),
        ("to nobody", json!({"destinations": []})),
        ("to too many", json!({"destinations": many})),
        ("a hidden name", to("User", "bob\u{202e}", "")),
        ("no trigger", json!({"triggers": []})),
        ("nine triggers", json!({"triggers": nine})),
        ("a trigger of two", json!({"triggers": [{"time": "now", "cron": "* * * * *"}]})),
        ("a trigger of none", json!({"triggers": [{}]})),
        ("an event without objects", json!({"triggers": [{"event": {"change": "Added", "kind": "Pod"}}]})),
        (
            "an event of both",
            json!({"triggers": [{"event": {"change": "Added", "kind": "Pod", "name": "x", "selector": {"matchLabels": {"a": "b"}}}}]}),
        ),
        (
            "an event of labels, none",
            json!({"triggers": [{"event": {"change": "Added", "kind": "Pod", "selector": {"matchLabels": {}}}}]}),
        ),
        (
            "an event of 0",
            json!({"triggers": [{"event": {"change": "Added", "kind": "Pod", "name": "x", "count": 0}}]}),
        ),
        (
            "an event in a zone",
            json!({"triggers": [{"timeZone": "UTC", "event": {"change": "Added", "kind": "Pod", "name": "x"}}]}),
        ),
        (
            "an event of a ConfigMap",
            json!({"triggers": [{"event": {"change": "Added", "kind": "ConfigMap", "name": "x"}}]}),
        ),
        ("no repeat", json!({"repeat": 0})),
        ("too much repeat", json!({"repeat": 1_000_001})),
        ("another word", json!({"repeat": "forever"})),
        ("two lines of reason", json!({"reason": "a\nb"})),
        ("a release at once, by nobody", json!({"released": true})),
    ] {
        t.case(what, Crd, "root", by("root", spec)).await;
    }
    t.case("accounts with a star", Allowed, "dan", by("dan", to("ServiceAccount", "ci-*", ""))).await;
    t.case("any account", Allowed, "dan", by("dan", to("ServiceAccount", "*", "default"))).await;
    let home = world.ns.name.clone();
    for (what, expect, who, spec) in [
        ("to himself", DELEGATION, "dan", to("User", "dan", "")),
        ("to a group of her own", DELEGATION, "ewa", to("Group", "night", "")),
        ("to a group that is not his", Allowed, "dan", to("Group", "night", "")),
        ("to its own account", DELEGATION, "robot", to("ServiceAccount", "robot", "")),
        ("to its own account, of this namespace", DELEGATION, "robot", to("ServiceAccount", "robot", &home)),
        ("to its namesake elsewhere", Allowed, "robot", to("ServiceAccount", "robot", "default")),
        ("to accounts, its own left out", Allowed, "robot", to("ServiceAccount", "rob*", "")),
    ] {
        t.case(what, expect, who, by(who, spec)).await;
    }
    t.case("without end", Allowed, "dan", by("dan", json!({"repeat": "Forever"}))).await;
    t.case("a million times", Allowed, "dan", by("dan", json!({"repeat": 1_000_000}))).await;
    t.case("released at creation", CREATE, "dan", by("dan", json!({"released": true, "releasedBy": "dan"})))
        .await;
    for (what, metadata) in [
        ("owner", json!({"ownerReferences": dangling_owner()})),
        ("finalizer", json!({"finalizers": ["a.b/c"]})),
    ] {
        let body = with(delegation(&world, "dan", "a", json!({})), &json!({"metadata": metadata}));
        t.case(what, CREATE, "dan", Call::post(&all, body).dry()).await;
    }
    for namespace in [SYSTEM_NAMESPACE, SESSIONS_NAMESPACE, "kube-system"] {
        let path = format!("/apis/ozaccess.io/v1alpha1/namespaces/{namespace}/delegations");
        let body = delegation(&world, "root", "a", from("ClusterRole", "view", ""));
        let expect = if namespace == SESSIONS_NAMESPACE { Expect::AnyVap } else { DELEGATION };
        t.case(&format!("in {namespace}"), expect, "root", Call::post(path, body).dry()).await;
    }
    t.finish();
    world.end().await;
}

#[tokio::test]
async fn change_and_end_a_delegation() {
    let mut world = World::new("delend", Cast::Uids).await;
    cast(&mut world, "delend").await;
    let mut t = Table::new("changing and ending a delegation", &world);
    let all = world.ns.oz("delegations");
    for name in ["a", "b", "c"] {
        world.must("dan", Call::post(&all, delegation(&world, "dan", name, json!({})))).await;
    }
    let path = |name: &str| format!("{all}/{name}");
    let spec = |name: &str, spec: Value| Call::merge(path(name), json!({"spec": spec}));
    for (what, change) in [
        ("the origin", json!({"origin": {"kind": "ClusterRole", "name": "cluster-admin"}})),
        ("the destinations", json!({"destinations": [{"kind": "User", "name": "eve"}]})),
        ("the triggers", json!({"triggers": [{"time": "Never"}]})),
        ("the deletion triggers", json!({"deletionTriggers": [{"time": "Never"}]})),
        ("the repeat", json!({"repeat": 2})),
        ("the scope", json!({"scope": "Cluster"})),
        ("the reason", json!({"reason": "another"})),
        ("the requester", json!({"requester": {"username": "root"}})),
        ("the history", json!({"historyTtl": "1h"})),
    ] {
        t.case(what, Crd, "root", spec("a", change)).await;
    }
    for (what, metadata) in [
        ("its labels", json!({"labels": {"a": "b"}})),
        ("its annotations", json!({"annotations": {"a": "b"}})),
        ("its finalizers", json!({"finalizers": ["a.b/c"]})),
        ("its owners", json!({"ownerReferences": dangling_owner()})),
    ] {
        t.case(what, UPDATE, "dan", Call::merge(path("a"), json!({"metadata": metadata}))).await;
    }
    let status =
        |name: &str| Call::merge(format!("{}/status", path(name)), json!({"status": {"iteration": 9}}));
    t.case("its status, by who may by RBAC", RECORDS, "patcher", status("a")).await;
    t.case("its status, by an administrator", RECORDS, "root", status("a")).await;
    t.case("its status, by who wrote it", Rbac, "dan", status("a")).await;
    let lent = json!({"status": {"iteration": 1, "lentAt": "2026-11-22T10:00:00Z"}});
    t.case(
        "its status, by the controller",
        Allowed,
        "ctl",
        Call::merge(format!("{}/status", path("a")), lent),
    )
    .await;
    let release = |name: &str, by: &str| {
        spec(name, json!({"released": true, "releasedBy": by, "releaseReason": "done"}))
    };
    t.case("a stranger releases it", UPDATE, "patcher", release("a", "patcher")).await;
    t.case("a namesake releases it", UPDATE, "dan-namesake", release("a", "dan")).await;
    t.case("in another's name", UPDATE, "dan", release("a", "rita")).await;
    t.case("a stranger deletes it", DELETE, "patcher", Call::delete(path("a"))).await;
    t.case("who wrote it deletes what was lent", DELETE, "dan", Call::delete(path("a"))).await;
    t.case("who wrote it releases it", Allowed, "dan", release("a", "dan")).await;
    t.case("... and takes that back", Crd, "dan", {
        spec("a", json!({"released": false, "releasedBy": "", "releaseReason": ""}))
    })
    .await;
    t.case("who revokes releases it", Allowed, "rita", release("b", "rita")).await;
    t.case("who revokes deletes what was lent", Allowed, "rita", Call::delete(path("a"))).await;
    t.case("who wrote it deletes what was never lent", Allowed, "dan", Call::delete(path("c"))).await;
    t.case("the controller, as a dry run", DELETE, "ctl", Call::delete(path("b")).dry()).await;
    t.case("the controller deletes the record", Allowed, "ctl", Call::delete(path("b"))).await;
    t.finish();
    world.end().await;
}

/// What the controller binds for delegations.
#[tokio::test]
async fn the_controller_binds_what_is_delegated() {
    let mut world = World::new("delheld", Cast::Certificates).await;
    let admin = world.who("admin").clone();
    let (here, everywhere) = (own("delegates"), own("delegates-wide"));
    world.ns.bind("delegates", DELEGATIONS_ROLE, &[group(&here), group(&everywhere)]).await.unwrap();
    let ceiling = json!([
        {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["view", "edit"], "verbs": ["bind"]},
        {"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["delegate-everywhere"]},
    ]);
    let role = own("tests-delheld-ceiling");
    cluster_role(&admin, &role, ceiling).await.unwrap();
    for (name, bound) in [("ceiling", role.as_str()), ("everywhere", DELEGATIONS_EVERYWHERE_ROLE)] {
        bind_everywhere(&admin, &own(&format!("tests-delheld-{name}")), bound, &[group(&everywhere)])
            .await
            .unwrap();
    }
    world.meet("delegates", admin.impersonate(controller_of("delegates")).unwrap());
    world.meet("delegates-wide", admin.impersonate(controller_of("delegates-wide")).unwrap());
    world.until_may("delegates", "lend", "ozaccess.io", "delegations", true).await;
    let may = json!({"verb": "create", "group": RBAC, "resource": "clusterrolebindings"});
    support::rights::until(&admin, world.user("delegates-wide"), may, true).await.unwrap();

    let mut t = Table::new("what the controller delegates", &world);
    let deploy = crate::bodies::role(
        "deploy",
        &Value::Null,
        json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]),
    );
    world.must("admin", Call::post(world.ns.rbac("roles"), deploy)).await;
    let labels = world.labels();
    // The collector takes away what an owner has that is not there.
    let held = world.must("ctl", Call::post(GRANTS, grant(&world.grant, &world.ns.name))).await;
    let owner = json!([{"apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "name": world.grant,
        "uid": held["metadata"]["uid"], "controller": true}]);
    let owned = |body: Value, owner: &Value| with(body, &json!({"metadata": {"ownerReferences": owner}}));
    let bindings = world.ns.rbac("rolebindings");
    let name = "oz-d-7f2a91bb03c1-0123456789abcdef";
    let bob = [user("bob")];
    let bind = |name: &str, role: (&str, &str), subjects: &[Value]| {
        Call::post(&bindings, owned(binding(name, &labels, role, subjects), &owner))
    };
    for (what, who, expect, name, role, subjects) in [
        ("where nothing is delegated", "ctl", CONTROLLER, name, ("Role", "deploy"), bob.to_vec()),
        ("to a person, by another name", "delegates", CONTROLLER, "oz-d-x", ("Role", "deploy"), bob.to_vec()),
        (
            "to a system group",
            "delegates",
            CONTROLLER,
            name,
            ("Role", "deploy"),
            vec![group("system:authenticated")],
        ),
        (
            "to a system user",
            "delegates",
            CONTROLLER,
            name,
            ("Role", "deploy"),
            vec![user("system:kube-proxy")],
        ),
        (
            "to a session",
            "delegates",
            CONTROLLER,
            name,
            ("Role", "deploy"),
            vec![account("oz-sessions", "x")],
        ),
        (
            "to itself",
            "delegates",
            CONTROLLER,
            name,
            ("Role", "deploy"),
            vec![account("oz-system", "oz-controller")],
        ),
        (
            "to kube-system",
            "delegates",
            CONTROLLER,
            name,
            ("Role", "deploy"),
            vec![account("kube-system", "x")],
        ),
        (
            "one of two that it may not",
            "delegates",
            CONTROLLER,
            name,
            ("Role", "deploy"),
            vec![bob[0].clone(), account("kube-system", "x")],
        ),
        ("a role of Oz's", "delegates", CONTROLLER, name, ("Role", "oz-x"), bob.to_vec()),
        ("a ClusterRole above the ceiling", "delegates", Rbac, name, ("ClusterRole", "edit"), bob.to_vec()),
        (
            "one that it may bind and not lend",
            "delegates-wide",
            CONTROLLER,
            name,
            ("ClusterRole", "edit"),
            bob.to_vec(),
        ),
    ] {
        t.case(what, expect, who, bind(name, role, &subjects)).await;
    }
    let unowned = binding(name, &labels, ("Role", "deploy"), &bob);
    t.case("without an owner", CONTROLLER, "delegates", Call::post(&bindings, unowned.clone())).await;
    for (what, change) in [
        ("a Delegation", json!({"kind": "Delegation"})),
        ("another grant", json!({"name": "oz-other"})),
        ("another group's Grant", json!({"apiVersion": "example.com/v1"})),
    ] {
        let owner = json!([with(owner[0].clone(), &change)]);
        t.case(
            &format!("owned by {what}"),
            CONTROLLER,
            "delegates",
            Call::post(&bindings, owned(unowned.clone(), &owner)),
        )
        .await;
    }
    let unlabelled = owned(binding(name, &json!({RUN_LABEL: run()}), ("Role", "deploy"), &bob), &owner);
    t.case("without the label", CONTROLLER, "delegates", Call::post(&bindings, unlabelled)).await;
    t.case("as a dry run", GUARD, "delegates", bind(name, ("Role", "deploy"), &bob).dry()).await;
    t.case("by somebody else", GUARD, "root", bind(name, ("Role", "deploy"), &bob)).await;
    let all = [bob[0].clone(), group("leads"), account("default", "ci")];
    t.case("a Role", Allowed, "delegates", bind(name, ("Role", "deploy"), &all)).await;
    let path = format!("{bindings}/{name}");
    let subjects = |subjects: &[Value]| Call::merge(&path, json!({"subjects": subjects}));
    t.case("fewer", Allowed, "delegates", subjects(&bob)).await;
    t.case("then a system group", CONTROLLER, "delegates", subjects(&[group("system:masters")])).await;
    t.case("the owner off", CONTROLLER, "delegates", {
        Call::merge(&path, json!({"metadata": {"ownerReferences": null}}))
    })
    .await;
    t.case("the label off", CONTROLLER, "delegates", {
        Call::merge(&path, json!({"metadata": {"labels": {GRANT_LABEL: null}}}))
    })
    .await;
    t.case("somebody else changes it", GUARD, "root", subjects(&all)).await;
    t.case("once it is no longer enabled: more", CONTROLLER, "ctl", subjects(&all)).await;
    t.case("once it is no longer enabled: emptied", Allowed, "ctl", subjects(&[])).await;
    t.case("... and deleted", Allowed, "ctl", Call::delete(&path)).await;
    t.case("a ClusterRole", Allowed, "delegates", bind(name, ("ClusterRole", "view"), &bob)).await;
    t.case("... deleted", Allowed, "delegates", Call::delete(&path)).await;

    let wide = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let name = &format!("oz-d-7f2a91bb03c1-{}", run());
    let bind = |role: &str, subjects: &[Value]| {
        Call::post(wide, owned(binding(name, &labels, ("ClusterRole", role), subjects), &owner))
    };
    t.case("everywhere, without the right", Rbac, "delegates", bind("view", &bob)).await;
    t.case("everywhere, a role that may be bound only", CONTROLLER, "delegates-wide", bind("edit", &bob))
        .await;
    t.case("everywhere, a role that may not", Rbac, "delegates-wide", bind("cluster-admin", &bob)).await;
    t.case(
        "everywhere, to a system group",
        CONTROLLER,
        "delegates-wide",
        bind("view", &[group("system:authenticated")]),
    )
    .await;
    t.case("everywhere, without an owner", CONTROLLER, "delegates-wide", {
        Call::post(wide, binding(name, &labels, ("ClusterRole", "view"), &bob))
    })
    .await;
    t.case("everywhere", Allowed, "delegates-wide", bind("view", &bob)).await;
    t.case(
        "somebody else changes it",
        GUARD,
        "root",
        Call::merge(format!("{wide}/{name}"), json!({"subjects": []})),
    )
    .await;
    t.case("... deleted", Allowed, "delegates-wide", Call::delete(format!("{wide}/{name}"))).await;
    world.must("ctl", Call::delete(format!("{GRANTS}/{}", world.grant))).await;
    t.finish();
    world.end().await;
}
