//! Names that change hands while no controller looks: what is somebody else's by then is left as it is.

use serde_json::{Value, json};
use support::{Call, RUN_LABEL, run};

use crate::controller::alone;
use crate::spaces::{Spaces, until_reads};
use crate::world::World;

/// How many names change hands.
const NAMES: usize = 100;

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

async fn strangers(world: &World, name: &str) -> Value {
    let body = json!({"metadata": {"name": name, "labels": {RUN_LABEL: run()}}});
    world.must(&world.admin, Call::post("/api/v1/namespaces", body)).await
}

#[tokio::test]
async fn a_name_freed_and_taken_between_two_passes() {
    alone("freed", async |world, controllers| {
        let spaces = Spaces::new(world, json!({"maxLive": 1000})).await;
        let controller = controllers.start();
        controller.until_ready().await;
        let names: Vec<String> = (0..NAMES).map(|n| spaces.name(&format!("n{n}"))).collect();
        for (n, name) in names.iter().enumerate() {
            spaces.ask(&format!("r{n}"), &[name], json!({})).await;
        }
        for n in 0..NAMES {
            spaces.until_phase(&format!("r{n}"), "Active").await;
        }
        let request = spaces.request("r0").await.unwrap();
        let owner = spaces.enter(&request).await;
        until_reads(&owner, &names[0], "configmaps", &[200]).await;
        controller.kill();
        let mut theirs = Vec::new();
        for name in &names {
            world.must(&world.admin, Call::delete(path(name))).await;
        }
        for name in &names {
            world.until_gone(&path(name)).await;
            theirs.push(strangers(world, name).await);
        }
        let _next = controllers.start();
        for n in 0..NAMES {
            let ended = spaces.until_ended(&format!("r{n}"), "Released", "NamespaceGone").await;
            let grant = &ended.status.as_ref().unwrap().grant;
            world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        }
        for (name, before) in names.iter().zip(&theirs) {
            let after = world.look(&path(name)).await.unwrap();
            for field in ["uid", "deletionTimestamp", "labels", "annotations"] {
                assert_eq!(after["metadata"][field], before["metadata"][field], "{name}: {field}");
            }
            let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings");
            assert_eq!(world.look(&bindings).await.unwrap()["items"], json!([]), "{name}");
        }
        until_reads(&owner, &names[0], "configmaps", &[401, 403]).await;
    })
    .await;
}
