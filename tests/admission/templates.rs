//! Templates: written only by who could do himself what they offer, and only well formed.

use serde::Deserialize as _;
use serde_json::{Value, json};
use support::Call;

use crate::bodies::{exec, template};
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
async fn the_examples_are_templates() {
    let world = World::new("examples", Cast::Certificates).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples");
    let mut kinds = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).unwrap();
            if object["kind"] == "AccessTemplate" {
                let made = world.must("admin", Call::post(world.templates(), object).dry()).await;
                kinds.extend(made["spec"].as_object().unwrap().keys().cloned());
            }
        }
    }
    let all = ["exec", "shell", "debug", "role"];
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
    t.case("erin offers shell", TEMPLATE, "erin", post("e1", json!({"shell": {}}))).await;
    t.case("frank (may exec, attach and read) offers exec", Allowed, "frank", offering("exec").dry()).await;
    let mut evicting = exec(&["exec"]);
    evicting["onEnd"] = json!("Evict");
    let evicting = |who: &str| post(&format!("evict-{who}"), json!({"exec": evicting.clone()}));
    t.case("frank has pods evicted", TEMPLATE, "frank", evicting("frank")).await;
    t.case("dave (admin) has pods evicted", Allowed, "dave", evicting("dave").dry()).await;
    t.case("frank offers shell", TEMPLATE, "frank", post("e1", json!({"shell": {}}))).await;
    t.case("frank offers debug", TEMPLATE, "frank", post("e1", json!({"debug": {}}))).await;
    t.case("dave offers shell", Allowed, "dave", post("sh", json!({"shell": {}})).dry()).await;
    t.case(
        "dave offers debug (admin lacks ephemeralcontainers)",
        TEMPLATE,
        "dave",
        post("d", json!({"debug": {}})),
    )
    .await;
    t.case("boss offers debug", Allowed, "boss", post("d", json!({"debug": {}})).dry()).await;
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
        post("x", json!({"exec": exec(&["exec"]), "shell": {}})),
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
