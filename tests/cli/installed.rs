//! Oz taken out of a cluster, put into it and told to lend no more namespaces, all by its own commands: in a cluster of its own,
//! with the controller running in it.

use serde_json::{Value, json};
use support::{Call, eventually};

use crate::home::Home;
use crate::spaces::Spaces;
use crate::spare::Spare;
use crate::world::{LIMIT, World, tell_failure};

/// The controller's image, as the lab loads it.
const IMAGE: &str = "localhost/oz-controller:lab";

#[tokio::test]
async fn out_and_in_again() {
    let Some(spare) = Spare::up(&[]).unwrap_or_else(|error| panic!("to prepare: {error:#}")) else { return };
    let world = World::at(spare.lab.clone(), "installed").await.unwrap();
    tell_failure(&world, async |world| {
        let admin = Home::of(world, "admin");
        admin.must(&["enable", &world.ns.name]);
        admin.must(&["enable", "--namespaces"]);
        world.pod("web-0", "web").await;

        let spaces = Spaces::new(world, json!({})).await;
        let (alice, pod, kept) = lend(&spaces, "kept").await;
        let said = admin.oz(&["uninstall"]);
        assert!(said.code == 2 && said.stderr.contains(&kept), "nobody to ask: {said}");
        let said = admin.oz(&["uninstall", "-y"]);
        assert_eq!(said.code, 0, "{said}");
        assert!(said.stderr.contains(&kept), "what is left is told: {said}");
        until_refused(&alice, &pod).await;
        until_refused(&alice, &format!("oz-{kept}")).await;
        nothing_but(world, &kept).await;

        let said = admin.oz(&["install", "--image", IMAGE, "--replicas", "1"]);
        assert_eq!(said.code, 0, "{said}");
        admin.must(&["enable", &world.ns.name]);
        admin.must(&["enable", "--namespaces"]);
        let checks = admin.must(&["check"]);
        assert!(checks.contains(&kept) && checks.contains("no grant holds it any more"), "{checks}");

        let spaces = Spaces::again(world).await.class("again", json!({})).await;
        let (alice, _, short) = lend(&spaces, "short").await;
        let said = admin.oz(&["enable", "--namespaces", "--disable"]);
        assert!(said.code == 2 && said.stderr.contains(&short), "nobody to ask: {said}");
        let said = admin.oz(&["enable", "--namespaces", "--disable", "-y"]);
        assert_eq!(said.code, 0, "{said}");
        world.until_gone(&format!("/api/v1/namespaces/{short}")).await;
        until_refused(&alice, &format!("oz-{short}")).await;
        let own = world.look(&format!("/api/v1/namespaces/{kept}/configmaps/own")).await;
        assert!(own.is_ok(), "what an installation before it left is nobody's to delete: {own:?}");
        let said = alice.oz(&["namespace-request", "more", "--class", &spaces.class, "--reason", "INC-8"]);
        assert!(said.code == 8 && said.stderr.contains("oz enable --namespaces"), "{said}");
    })
    .await;
}

/// Alice is lent a pod, and a namespace in which she keeps something. Gives her home, the pod's context, and the namespace.
async fn lend(spaces: &Spaces<'_>, stem: &str) -> (Home, String, String) {
    let world = spaces.world;
    world.template("web", json!({})).await;
    for (who, role) in [("alice", "oz-namespace-requester"), ("bob", "oz-namespace-approver")] {
        world.ns.bind(&format!("{stem}-{who}"), role, &[support::rights::user(who)]).await.unwrap();
    }
    world.until_may(&world.alice, "create", "ozaccess.io", "namespacerequests", true).await.unwrap();
    let (alice, name) = (Home::of(world, "alice"), spaces.name(stem));
    let ask = ["access-request", "web", "--wait", "ready", "--reason", "INC-7"];
    // Requests younger than the gate are granted: the first ones after an installation may not be.
    eventually("the gate is old enough", LIMIT, || async {
        let said = alice.oz(&ask);
        if said.code == 0 { Ok(()) } else { Err(said.to_string()) }
    })
    .await
    .unwrap();
    let pod = alice.contexts().remove(0);
    assert_eq!(alice.kubectl(&["--context", &pod, "exec", "web-0", "--", "true"]).code, 0);
    alice.must(&["namespace-request", &name, "--class", &spaces.class, "--reason", "INC-7"]);
    let context = format!("oz-{name}");
    let said = alice.kubectl(&["--context", &context, "create", "configmap", "own"]);
    assert_eq!(said.code, 0, "{said}");
    (alice, pod, name)
}

async fn until_refused(home: &Home, context: &str) {
    eventually(&format!("{context} gives nothing any more"), LIMIT, || async {
        let said = home.kubectl(&["--context", context, "get", "configmaps,pods"]);
        let refused = said.stderr.contains("Forbidden") || said.stderr.contains("Unauthorized");
        if said.code != 0 && (refused || said.stderr.contains("logged in")) {
            Ok(())
        } else {
            Err(said.to_string())
        }
    })
    .await
    .unwrap();
}

/// Of Oz there is this namespace with what is in it, and nothing else.
async fn nothing_but(world: &World, kept: &str) {
    let there = world.look(&format!("/api/v1/namespaces/{kept}")).await.unwrap();
    assert!(
        there["metadata"]["deletionTimestamp"].is_null()
            && !there["metadata"]["labels"]["ozaccess.io/grant"].is_null()
    );
    world.look(&format!("/api/v1/namespaces/{kept}/configmaps/own")).await.unwrap();
    for path in [
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "/api/v1/namespaces",
    ] {
        let list = world.must(&world.admin, Call::get(path)).await;
        let names = list["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap());
        let ours: Vec<&str> = names.filter(|n| n.starts_with("oz-") || n.ends_with(".ozaccess.io")).collect();
        assert_eq!(ours, Vec::<&str>::new(), "{path}");
    }
    let labelled: Value = world
        .must(&world.admin, Call::get("/api/v1/namespaces").query("labelSelector", "ozaccess.io/grant"))
        .await;
    assert_eq!(labelled["items"].as_array().unwrap().len(), 1, "{labelled}");
}
