//! Asking with kubectl alone, where it is filled in who asks.

use std::fs;

use serde_json::json;
use support::eventually;
use support::filling::{fill_in, is_served};

use crate::home::Home;
use crate::stage::{FREE, POD};
use crate::world::{LIMIT, scenario};

const REQUEST: &str = "\
apiVersion: ozaccess.io/v1alpha1
kind: AccessRequest
metadata: {name: mine}
spec: {template: web, reason: INC-1}
";

#[tokio::test]
async fn by_kubectl_alone() {
    scenario("cli-filled", async |world| {
        world.template(FREE, json!({})).await;
        world.pod(POD, "web").await;
        let home = Home::of(world, "alice");
        fs::write(home.path().join("request.yaml"), REQUEST).unwrap();
        let refused = home.kubectl(&["create", "-f", "request.yaml"]);
        assert!(refused.code == 1 && refused.stderr.contains("spec.requester: Required"), "{refused}");
        if !is_served(&world.admin).await.unwrap() {
            return;
        }
        fill_in(&world.admin, &world.ns).await.unwrap();
        eventually("it is filled in who asks", LIMIT, || async {
            let said = home.kubectl(&["apply", "-f", "request.yaml"]);
            if said.code == 0 { Ok(()) } else { Err(said.to_string()) }
        })
        .await
        .unwrap();
        let wait = ["wait", "--for=condition=Ready", "accessrequest/mine", "--timeout=60s"];
        let ready = home.kubectl(&wait);
        assert_eq!(ready.code, 0, "{ready}");
        let again = home.kubectl(&["apply", "-f", "request.yaml"]);
        assert!(again.code == 0 && again.stdout().contains("unchanged"), "{again}");
        assert_eq!(world.request("mine").await.unwrap().spec.requester.username, "alice");
        let created = home.kubectl(&["create", "-f", "request.yaml", "--dry-run=server", "-o", "name"]);
        assert!(created.stderr.contains("AlreadyExists"), "{created}");
    })
    .await;
}
