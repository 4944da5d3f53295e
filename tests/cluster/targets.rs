//! Which pod is lent: by workload, by labels, by name; and what is refused because nothing fits.

use oz_shared::conditions::READY;
use serde_json::{Value, json};
use support::{Call, eventually};

use crate::bodies;
use crate::lending::message;
use crate::world::{LIMIT, World, not_enabled, scenario};

/// Makes a workload and waits for a pod of it; gives the pod's name.
async fn run_workload(world: &World, group: &str, kind: &str, name: &str) -> String {
    let path = world.ns.path(group, &format!("{}s", kind.to_lowercase()));
    world.must(&world.dave, Call::post(path, bodies::workload(kind, name))).await;
    let pods = world.ns.core("pods");
    let pod = eventually(&format!("{kind} {name} has a pod"), LIMIT, || async {
        let list = world.look(&pods).await?;
        let owned = |p: &&Value| {
            p["metadata"]["labels"]["app"] == name && p["metadata"]["ownerReferences"].is_array()
        };
        list["items"].as_array().into_iter().flatten().find(owned).cloned().ok_or("none yet".to_owned())
    })
    .await
    .unwrap();
    let pod = pod["metadata"]["name"].as_str().unwrap().to_owned();
    world.until_ready(&pod).await;
    pod
}

/// A pod with the workload's labels that is not the workload's is neither chosen nor lent by name.
async fn by_ownership(group: &str, kind: &str) {
    let app = kind.to_lowercase();
    scenario(&app, async |world| {
        // It is there first: of several ready ones the eldest is chosen.
        let adopts = kind != "Deployment";
        if !adopts {
            world.pod("stranger", &app).await;
        }
        let pod = run_workload(world, group, kind, &app).await;
        if adopts {
            // What no controller owns, the workload would adopt.
            let map = "kube-root-ca.crt";
            let path = world.ns.core(&format!("configmaps/{map}"));
            let uid = &world.must(&world.admin, Call::get(path)).await["metadata"]["uid"];
            let owner =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "name": map, "uid": uid, "controller": true});
            let mut body = bodies::pod("stranger", &app);
            body["metadata"]["ownerReferences"] = json!([owner]);
            world.must(&world.admin, Call::post(world.ns.core("pods"), body)).await;
            world.until_ready("stranger").await;
        }
        world.template("web", bodies::of_workload(kind, &app)).await;
        let lent = world.lent("chosen", json!({})).await;
        assert_eq!(lent.status.unwrap().pod, pod);
        let lent = world.lent("named", json!({"pod": pod})).await;
        assert_eq!(lent.status.unwrap().pod, pod);
        world.ask("stranger", json!({"pod": "stranger"})).await;
        world.until_ended("stranger", "Failed", "PodNotOffered").await;
    })
    .await;
}

#[tokio::test]
async fn of_a_deployment() {
    by_ownership("apps/v1", "Deployment").await;
}

#[tokio::test]
async fn of_a_stateful_set() {
    by_ownership("apps/v1", "StatefulSet").await;
}

#[tokio::test]
async fn of_a_daemon_set() {
    by_ownership("apps/v1", "DaemonSet").await;
}

#[tokio::test]
async fn of_a_replica_set() {
    by_ownership("apps/v1", "ReplicaSet").await;
}

#[tokio::test]
async fn of_a_job() {
    scenario("job", async |world| {
        let pod = run_workload(world, "batch/v1", "Job", "task").await;
        world.template("web", bodies::of_workload("Job", "task")).await;
        let lent = world.lent("r", json!({})).await;
        assert_eq!(lent.status.unwrap().pod, pod);
    })
    .await;
}

#[tokio::test]
async fn by_labels_or_none() {
    scenario("labels", async |world| {
        world.template("web", json!({})).await;
        world.ask("none", json!({})).await;
        world.until_ended("none", "Failed", "NoPodReady").await;
        world.pod("web-0", "web").await;
        world.pod("other", "other").await;
        let lent = world.lent("chosen", json!({})).await;
        assert_eq!(lent.status.unwrap().pod, "web-0");
        world.ask("unlabelled", json!({"pod": "other"})).await;
        world.until_ended("unlabelled", "Failed", "PodNotOffered").await;
        world.ask("absent", json!({"pod": "web-9"})).await;
        world.until_ended("absent", "Failed", "PodNotOffered").await;
    })
    .await;
}

#[tokio::test]
async fn of_a_workload_that_is_not_there() {
    scenario("noworkload", async |world| {
        world.template("web", bodies::of_workload("Deployment", "gone")).await;
        world.ask("r", json!({})).await;
        let ended = world.until_ended("r", "Failed", "NotFound").await;
        assert!(
            message(&ended, READY).contains("Deployment gone is not there"),
            "{}",
            message(&ended, READY)
        );
    })
    .await;
}

#[tokio::test]
async fn containers_that_are_not_there() {
    scenario("containers", async |world| {
        world.template("web", json!({})).await;
        world.template("gone", json!({"exec": {"containers": ["gone"]}})).await;
        world.pod("web-0", "web").await;
        world.ask("named", json!({"container": "nope"})).await;
        world.until_ended("named", "Failed", "ContainerNotOffered").await;
        world.ask("offered", json!({"template": "gone"})).await;
        world.until_ended("offered", "Failed", "ContainerNotOffered").await;
        let lent = world.lent("side", json!({"container": "side"})).await;
        assert_eq!(lent.status.unwrap().container, "side");
    })
    .await;
}

#[tokio::test]
async fn where_oz_is_not_enabled() {
    not_enabled("disabled", async |world| {
        world.template("web", json!({})).await;
        world.pod("web-0", "web").await;
        world.ask("r", json!({})).await;
        world.until_ended("r", "Failed", "NotEnabled").await;
        assert_eq!(
            world
                .labelled("ozaccess.io/grant")
                .await
                .unwrap()
                .iter()
                .filter(|p| p.contains(&world.ns.name))
                .count(),
            0
        );
    })
    .await;
}
