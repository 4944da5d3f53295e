//! Templates: written only by who could do himself what they offer, and only well formed.

use serde::Deserialize as _;
use serde_json::{Value, json};
use support::Call;

use crate::bodies::{debug, exec, shell, template, with};
use crate::table::Expect::{Allowed, Crd, Rbac, Vap};
use crate::table::Table;
use crate::world::{Cast, World};

const TEMPLATE: crate::table::Expect = Vap("oz-template");

#[tokio::test]
async fn templates_by_certificates() {
    templates(Cast::Certificates).await;
}

#[tokio::test]
async fn templates_by_uids() {
    templates(Cast::Uids).await;
}

#[tokio::test]
async fn the_examples_are_taken() {
    let world = World::new("examples", Cast::Certificates).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples");
    let mut kinds = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let mut object = Value::deserialize(document).unwrap();
            let kind = object["kind"].as_str().unwrap().to_owned();
            let path = match kind.as_str() {
                "AccessTemplate" => world.templates(),
                "NamespaceClass" => crate::world::CLASSES.to_owned(),
                "ClusterRole" => "/apis/rbac.authorization.k8s.io/v1/clusterroles".to_owned(),
                "Role" => world.ns.rbac("roles"),
                "Delegation" => {
                    let who = world.user("admin");
                    object["spec"]["requester"] =
                        json!({"username": who.username, "uid": who.uid, "groups": who.groups});
                    world.ns.oz("delegations")
                }
                other => panic!("{}: where does a {other} belong?", path.display()),
            };
            if matches!(kind.as_str(), "Role" | "Delegation") {
                object["metadata"]["namespace"] = json!(world.ns.name);
            }
            let made = world.must("admin", Call::post(path, object).dry()).await;
            match kind.as_str() {
                "AccessTemplate" => kinds.extend(made["spec"].as_object().unwrap().keys().cloned()),
                _ => kinds.push(kind),
            }
        }
    }
    let all = ["exec", "shell", "debug", "role", "NamespaceClass", "ClusterRole", "Delegation"];
    assert!(all.iter().all(|kind| kinds.iter().any(|k| k == kind)), "{kinds:?}");
    world.end().await;
}

async fn templates(cast: Cast) {
    let world = World::new("templates", cast).await;
    let frank = [support::rights::user("frank")];
    world.ns.bind("frank-writes", "oz-author", &frank).await.unwrap();
    world.ns.bind("frank-connects", &crate::setup::own("tests-connect"), &frank).await.unwrap();
    world.until_may("frank", "create", "", "pods/exec", true).await;
    let mut t = Table::new("templates", &world);
    let all = world.templates();
    let blind = Call::post(&all, template("e1", json!({"exec": exec(&["exec"])})));
    t.case("frank (may exec, but not read pods) offers exec", TEMPLATE, "frank", blind).await;
    world.ns.bind("frank-reads", &crate::setup::own("tests-read-pods"), &frank).await.unwrap();
    world.until_may("frank", "get", "", "pods", true).await;
    let post = |name: &str, spec| Call::post(&all, template(name, spec));
    let offering = |connection: &str| post("e1", json!({"exec": exec(&[connection])}));
    let every = json!({"exec": exec(&["exec", "attach", "portforward", "log"])});

    t.case("dave (admin) offers exec", Allowed, "dave", post("web", every)).await;
    t.case("erin (oz-author alone) offers exec", TEMPLATE, "erin", offering("exec")).await;
    t.case("erin offers attach", TEMPLATE, "erin", offering("attach")).await;
    t.case("erin offers portforward", TEMPLATE, "erin", offering("portforward")).await;
    t.case("erin offers log", TEMPLATE, "erin", offering("log")).await;
    t.case("erin offers exec, dry run", TEMPLATE, "erin", offering("exec").dry()).await;
    t.case("erin offers shell", TEMPLATE, "erin", post("e1", json!({"shell": shell(&["exec"])}))).await;
    t.case("erin offers debug", TEMPLATE, "erin", post("e1", json!({"debug": debug()}))).await;
    t.case("frank (may exec, attach and read) offers exec", Allowed, "frank", offering("exec").dry()).await;
    let mut evicting = exec(&["exec"]);
    evicting["onEnd"] = json!("Evict");
    let evicting = |who: &str| post(&format!("evict-{who}"), json!({"exec": evicting.clone()}));
    t.case("frank has pods evicted", TEMPLATE, "frank", evicting("frank")).await;
    t.case("dave (admin) has pods evicted", Allowed, "dave", evicting("dave").dry()).await;
    copies_and_debugging(&mut t, &world).await;
    let role = |kind, name| json!({"role": {"kind": kind, "name": name}});
    t.case("dave offers role he may bind", Allowed, "dave", post("view", role("ClusterRole", "view"))).await;
    t.case("dave offers cluster-admin", TEMPLATE, "dave", post("ca", role("ClusterRole", "cluster-admin")))
        .await;
    t.case(
        "dave offers a Role of his namespace that he may not bind",
        TEMPLATE,
        "dave",
        post("ro", role("Role", "view")),
    )
    .await;
    t.case("boss offers that Role", Allowed, "boss", post("ro", role("Role", "view")).dry()).await;
    let web = format!("{all}/web");
    let wider = json!({"spec": {"duration": {"max": "100h"}}});
    t.case(
        "erin widens an existing template by merge patch",
        TEMPLATE,
        "erin",
        Call::merge(&web, wider.clone()),
    )
    .await;
    t.case("dave widens it", Allowed, "dave", Call::merge(&web, wider).dry()).await;
    let fewer = json!({"spec": {"approvals": 0}});
    t.case("erin lowers its approvals", TEMPLATE, "erin", Call::merge(&web, fewer)).await;
    let labels = json!({"metadata": {"labels": {"x": "y"}}});
    t.case("erin labels it (spec untouched)", Allowed, "erin", Call::merge(&web, labels)).await;
    let longer = json!({"exec": exec(&["exec"]), "duration": {"default": "30m", "max": "9h"}});
    let apply = Call::apply(&web, template("web", longer), "e").force();
    t.case("erin by server-side apply with force", TEMPLATE, "erin", apply).await;
    t.case("erin replaces it", TEMPLATE, "erin", {
        let mut body = world.must("erin", Call::get(&web)).await;
        body["spec"]["duration"]["max"] = json!("9h");
        Call::put(&web, body)
    })
    .await;

    t.case(
        "two kinds in one template",
        Crd,
        "root",
        post("x", json!({"exec": exec(&["exec"]), "shell": shell(&["exec"])})),
    )
    .await;
    t.case("no kind", Crd, "root", post("x", json!({}))).await;
    let lasting = |default, max| {
        post("x", json!({"exec": exec(&["exec"]), "duration": {"default": default, "max": max}}))
    };
    t.case("default above max", Crd, "root", lasting("2h", "1h")).await;
    t.case("default of nothing", Crd, "root", lasting("0s", "1h")).await;
    t.case("days in a duration", Crd, "root", lasting("1h", "1d")).await;
    t.case("more than ten years", Crd, "root", lasting("1h", "87601h")).await;
    t.case("ten years", Allowed, "root", lasting("1h", "87600h").dry()).await;
    let selecting = |pods| post("x", json!({"exec": {"pods": pods, "connections": ["exec"]}}));
    t.case("empty selector", Crd, "root", selecting(json!({"selector": {}}))).await;
    t.case("selector without labels", Crd, "root", selecting(json!({"selector": {"matchLabels": {}}}))).await;
    let workload = json!({"kind": "Deployment", "name": "web"});
    t.case("workload", Allowed, "root", selecting(json!({"workload": workload})).dry()).await;
    let both = json!({"workload": workload, "selector": {"matchLabels": {"a": "b"}}});
    t.case("workload and selector", Crd, "root", selecting(both)).await;
    t.case("no connection", Crd, "root", post("x", json!({"exec": exec(&[])}))).await;
    t.case("an unknown connection", Crd, "root", post("x", json!({"exec": exec(&["ssh"])}))).await;
    t.case("carol writes a template", Rbac, "carol", post("x", json!({"exec": exec(&["exec"])}))).await;
    t.finish();
    world.end().await;
}

/// What else they lend takes other rights: with all but one of them it is refused.
async fn copies_and_debugging(t: &mut Table<'_>, world: &World) {
    let all = world.templates();
    let shell_by =
        |connections: &[&str]| Call::post(&all, template("e1", json!({"shell": shell(connections)})));
    let default = || {
        let spec = json!({"shell": with(shell(&[]), &json!({"connections": null}))});
        Call::post(&all, template("e1", spec)).dry()
    };
    let debug_by =
        |fields: Value| Call::post(&all, template("e1", json!({"debug": with(debug(), &fields)}))).dry();
    let evicting = || debug_by(json!({"onEnd": "Evict"}));
    let also = async |who: &str, role: &str, resource: &str, verb: &str| {
        let subject = [support::rights::user(who)];
        world
            .ns
            .bind(&format!("{who}-{role}"), &crate::setup::own(&format!("tests-{role}")), &subject)
            .await
            .unwrap();
        world.until_may(who, verb, "", resource, true).await;
    };

    t.case("dave (admin) offers shell", Allowed, "dave", default()).await;
    let every = ["exec", "attach", "portforward", "log"];
    t.case("dave offers every way into a copy", Allowed, "dave", shell_by(&every).dry()).await;
    t.case("dave (not pods/ephemeralcontainers) offers debug", TEMPLATE, "dave", debug_by(json!({}))).await;
    also("dave", "debug", "pods/ephemeralcontainers", "patch").await;
    t.case("dave, who may by now, offers debug", Allowed, "dave", debug_by(json!({}))).await;
    t.case("dave has pods evicted after debugging", Allowed, "dave", evicting()).await;

    t.case("frank (may exec, not make pods) offers shell", TEMPLATE, "frank", shell_by(&["exec"])).await;
    also("frank", "make-pods", "pods", "create").await;
    t.case("frank, who may by now, offers shell", Allowed, "frank", shell_by(&["exec"]).dry()).await;
    t.case("frank offers shell to attach to", Allowed, "frank", shell_by(&["attach"]).dry()).await;
    t.case("frank (not pods/log) offers shell as it is by default", TEMPLATE, "frank", default()).await;
    t.case("frank (not pods/log) offers shell for logs", TEMPLATE, "frank", shell_by(&["log"])).await;
    t.case("frank offers shell for ports", TEMPLATE, "frank", shell_by(&["portforward"])).await;
    t.case("frank (attaches, reads) offers debug", TEMPLATE, "frank", debug_by(json!({}))).await;
    also("frank", "debug", "pods/ephemeralcontainers", "patch").await;
    t.case("frank, who may by now, offers debug", Allowed, "frank", debug_by(json!({}))).await;
    t.case("frank has pods evicted after debugging", TEMPLATE, "frank", evicting()).await;

    // Bob may all of it but connect.
    world.ns.bind("bob-writes", "oz-author", &[support::rights::user("bob")]).await.unwrap();
    also("bob", "make-pods", "pods", "create").await;
    also("bob", "debug", "pods/ephemeralcontainers", "patch").await;
    also("bob", "read-pods", "pods", "get").await;
    t.case("bob (not pods/exec) offers shell", TEMPLATE, "bob", shell_by(&["exec"])).await;
    t.case("bob (not pods/attach) offers shell", TEMPLATE, "bob", shell_by(&["attach"])).await;
    t.case("bob (not pods/attach) offers debug", TEMPLATE, "bob", debug_by(json!({}))).await;

    // Alice may attach and debug, but not see which pods there are.
    world.ns.bind("alice-writes", "oz-author", &[support::rights::user("alice")]).await.unwrap();
    also("alice", "connect", "pods/attach", "create").await;
    also("alice", "debug", "pods/ephemeralcontainers", "patch").await;
    t.case("alice (cannot read pods) offers debug", TEMPLATE, "alice", debug_by(json!({}))).await;
    also("alice", "read-pods", "pods", "get").await;
    t.case("alice, who may by now, offers debug", Allowed, "alice", debug_by(json!({}))).await;
}

/// What is no template at all, whoever writes it.
#[tokio::test]
async fn templates_well_formed() {
    let world = World::new("formed", Cast::Certificates).await;
    let mut t = Table::new("well-formed templates", &world);
    let all = world.templates();
    let write = |spec: Value| Call::post(&all, template("x", spec)).dry();
    let role =
        |fields: Value| write(json!({"role": with(json!({"kind": "ClusterRole", "name": "view"}), &fields)}));
    for name in ["view", "system:node", "Team.Lead-1", "a"] {
        t.case(&format!("role {name}"), Allowed, "root", role(json!({"name": name}))).await;
    }
    for name in ["safe?x", "a/b", "a b", " a", "a ", "a%2fb", "-a", "a-", "..", "*", "", "a\n"] {
        t.case(&format!("role {name:?}"), Crd, "root", role(json!({"name": name}))).await;
    }
    t.case("a Role as oneself", Allowed, "root", role(json!({"kind": "Role", "identity": "Requester"})))
        .await;
    t.case("another kind", Crd, "root", role(json!({"kind": "Group"}))).await;
    t.case("another identity", Crd, "root", role(json!({"identity": "Cluster"}))).await;
    t.case("a role without a kind", Crd, "root", role(json!({"kind": null}))).await;

    let shell_with = |fields: Value| write(json!({"shell": with(shell(&["exec"]), &fields)}));
    for (what, amounts) in [
        ("both", json!({"memory": "128Mi", "cpu": "500m"})),
        ("memory alone", json!({"memory": "0.5Gi"})),
        ("cpu alone, memory empty", json!({"memory": "", "cpu": "2"})),
        ("a thousandth of a core", json!({"cpu": "0.001"})),
    ] {
        t.case(&format!("resources: {what}"), Allowed, "root", shell_with(json!({"resources": amounts})))
            .await;
        let most = json!({"maxResources": amounts});
        t.case(&format!("most resources: {what}"), Allowed, "root", shell_with(most)).await;
    }
    for amounts in [
        json!({"memory": "0"}),
        json!({"memory": "0.0Mi"}),
        json!({"memory": "128Mi", "cpu": "0m"}),
        json!({"cpu": "0.000"}),
        json!({"memory": "-1Mi"}),
        json!({"memory": "1e3"}),
        json!({"cpu": "1Q"}),
    ] {
        t.case(&format!("resources {amounts}"), Crd, "root", shell_with(json!({"resources": amounts}))).await;
        let most = json!({"maxResources": amounts});
        t.case(&format!("most resources {amounts}"), Crd, "root", shell_with(most)).await;
    }
    patches(&mut t, &world).await;
    workloads(&mut t, &world).await;
    t.finish();
    world.end().await;
}

async fn patches(t: &mut Table<'_>, world: &World) {
    let patch = |operation: &Value| {
        let spec = json!({"shell": with(shell(&["exec"]), &json!({"patches": [operation]}))});
        Call::post(world.templates(), template("x", spec)).dry()
    };
    for operation in [
        json!({"op": "add", "path": "/spec/hostname", "value": "a"}),
        json!({"op": "replace", "path": "/spec", "value": {}}),
        json!({"op": "remove", "path": "/spec/containers/0/workingDir"}),
        json!({"op": "test", "path": "/metadata/labels/a~1b", "value": null}),
        json!({"op": "add", "path": "/metadata/labels", "value": {}}),
        json!({"op": "add", "path": "/metadata/annotations/a", "value": "b"}),
        json!({"op": "move", "path": "/spec/containers/1", "from": "/spec/containers/0"}),
        json!({"op": "copy", "path": "/metadata/labels/a", "from": "/metadata/annotations/a"}),
    ] {
        t.case(&format!("patch {operation}"), Allowed, "root", patch(&operation)).await;
    }
    for operation in [
        json!({"op": "move", "path": "/spec/a"}),
        json!({"op": "copy", "path": "/spec/a"}),
        json!({"op": "add", "path": "/spec/a", "from": "/spec/b", "value": 1}),
        json!({"op": "remove", "path": "/spec/a", "from": "/spec/b"}),
        json!({"op": "merge", "path": "/spec/a", "value": 1}),
        json!({"op": "add", "value": 1}),
        json!({"op": "add", "path": "", "value": {}}),
        json!({"op": "add", "path": "/", "value": {}}),
        json!({"op": "add", "path": "spec/a", "value": 1}),
        json!({"op": "add", "path": "/specs", "value": 1}),
        json!({"op": "add", "path": "/status/phase", "value": "x"}),
        json!({"op": "add", "path": "/metadata", "value": {}}),
        json!({"op": "add", "path": "/metadata/name", "value": "x"}),
        json!({"op": "add", "path": "/metadata/namespace", "value": "x"}),
        json!({"op": "add", "path": "/metadata/finalizers", "value": ["a.b/c"]}),
        json!({"op": "add", "path": "/metadata/ownerReferences", "value": []}),
        json!({"op": "add", "path": "/metadata/labelsx", "value": {}}),
        json!({"op": "copy", "path": "/spec/hostname", "from": "/metadata/name"}),
        json!({"op": "move", "path": "/metadata/labels/a", "from": "/metadata/ownerReferences/0/name"}),
    ] {
        t.case(&format!("patch {operation}"), Crd, "root", patch(&operation)).await;
    }
}

async fn workloads(t: &mut Table<'_>, world: &World) {
    let write = |spec: Value| Call::post(world.templates(), template("x", spec)).dry();
    for (kind, running) in
        [("Deployment", Allowed), ("Rollout", Allowed), ("CronJob", Crd), ("Pod", Crd), ("", Crd)]
    {
        let workload = json!({"kind": kind, "name": "web"});
        let pods = json!({"workload": workload});
        let exec = write(json!({"exec": {"pods": pods, "connections": ["exec"]}}));
        t.case(&format!("exec in the pods of a {kind:?}"), running, "root", exec).await;
        let beside = with(debug(), &json!({"pods": {"selector": null, "workload": workload}}));
        let beside = write(json!({"debug": beside}));
        t.case(&format!("debug in the pods of a {kind:?}"), running, "root", beside).await;
        let copied = if kind == "CronJob" { Allowed } else { running };
        let copy = write(json!({"shell": {"workload": workload}}));
        t.case(&format!("a copy of a {kind:?}"), copied, "root", copy).await;
    }
    let shell_with = |fields: Value| write(json!({"shell": with(shell(&["exec"]), &fields)}));
    let debug_with = |fields: Value| write(json!({"debug": with(debug(), &fields)}));
    t.case("a copy of nothing", Crd, "root", shell_with(json!({"workload": null}))).await;
    t.case("a copy of what has no name", Crd, "root", shell_with(json!({"workload": {"name": null}}))).await;
    t.case("a copy that nobody may enter", Crd, "root", shell_with(json!({"connections": []}))).await;
    t.case("a copy that keeps its probes", Allowed, "root", shell_with(json!({"keep": ["Probes"]}))).await;
    t.case("a copy that keeps what is not known", Crd, "root", shell_with(json!({"keep": ["Labels"]}))).await;
    t.case("debug in no pods", Crd, "root", debug_with(json!({"pods": null}))).await;
    t.case("debug by no image", Crd, "root", debug_with(json!({"images": []}))).await;
    t.case("debug without images", Crd, "root", debug_with(json!({"images": null}))).await;
    t.case("debug by one image twice", Crd, "root", debug_with(json!({"images": ["a", "a"]}))).await;
    t.case("debug by what is no image", Crd, "root", debug_with(json!({"images": ["a b"]}))).await;
    t.case("debug as SysAdmin", Allowed, "root", debug_with(json!({"profile": "SysAdmin"}))).await;
    t.case("debug as what is not known", Crd, "root", debug_with(json!({"profile": "Root"}))).await;
    let environment = |name: &str| debug_with(json!({"env": [{"name": name, "value": "v"}]}));
    t.case("debug with a variable", Allowed, "root", environment("A_B")).await;
    t.case("debug with a variable of no name", Crd, "root", environment("A=B")).await;
}
