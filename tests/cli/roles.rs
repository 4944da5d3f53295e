//! A role, lent for kubectl: under an account of its own, or to the holder by name.

use oz_shared::Request as _;
use oz_shared::names::{BIND_REQUESTER_ROLE, SYSTEM_NAMESPACE};
use serde_json::{Value, json};
use support::eventually;

use crate::home::Home;
use crate::stage::staged;
use crate::world::{LIMIT, World};

/// Lends ClusterRole view.
const VIEW: &str = "look";

async fn with_roles(subject: &str, body: impl AsyncFnOnce(&World)) {
    staged(subject, async |world| {
        let rules = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
            "resourceNames": ["view"], "verbs": ["bind"]}]);
        world.role("handing-on", rules, "dave").await;
        let attributes = json!({"namespace": world.ns.name, "verb": "bind", "group": "rbac.authorization.k8s.io",
            "resource": "clusterroles", "name": "view"});
        support::rights::until(&world.admin, world.dave.user(), attributes, true).await.unwrap();
        world.template(VIEW, lending(json!({}))).await;
        body(world).await;
    })
    .await;
}

fn lending(role: Value) -> Value {
    let role = support::with(json!({"kind": "ClusterRole", "name": "view"}), &role);
    json!({"exec": null, "role": role, "reason": "Optional"})
}

#[tokio::test]
async fn kubectl_has_it_until_it_is_released() {
    with_roles("role", async |world| {
        let alice = Home::of(world, "alice");
        let before = alice.read_kubeconfig();
        let said = alice.oz(&["access-request", VIEW]);
        assert_eq!(said.code, 0, "{said}");
        assert!(said.stderr.contains("There is no shell to open"), "{said}");
        let context = alice.contexts().remove(0);
        assert_eq!(said.stdout(), format!("kubectl --context {context} auth can-i --list\n"), "{said}");
        let list = ["--context", &context, "get", "pods", "-o", "name"];
        let ran = alice.kubectl(&list);
        assert_eq!((ran.code, ran.stdout().trim()), (0, "pod/web-0"), "{ran}");
        let no_secrets = alice.kubectl(&["--context", &context, "get", "secrets"]);
        assert_ne!(no_secrets.code, 0, "{no_secrets}");
        assert_ne!(alice.kubectl(&["get", "pods"]).code, 0, "her own rights are what they were");

        let name = world.only_request().await.metadata.name.unwrap();
        let again = alice.oz(&["shell", &name]);
        assert_eq!((again.code, again.stdout()), (0, said.stdout()), "{again}");
        let command = alice.oz(&["shell", &name, "--", "id"]);
        assert_eq!(command.code, 125, "{command}");
        assert!(command.stderr.contains("does not include running a command"), "{command}");

        // A copy of the file does not help any longer than the loan lasts.
        let lent = alice.read_kubeconfig();
        alice.must(&["release", &name]);
        assert_eq!(alice.read_kubeconfig(), before);
        alice.write_kubeconfig(&lent);
        eventually("the context is dead", LIMIT, || async {
            let ran = alice.kubectl(&list);
            if ran.code == 0 { Err(ran.to_string()) } else { Ok(()) }
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn by_ones_own_name_where_that_was_opted_in() {
    with_roles("name", async |world| {
        let (alice, admin) = (Home::of(world, "alice"), Home::of(world, "admin"));
        world.template("as-me", lending(json!({"identity": "Requester"}))).await;
        let said = alice.oz(&["access-request", "as-me"]);
        assert_eq!(said.code, 8, "{said}");
        assert!(said.stderr.contains("--bind-requester"), "the way out is named: {said}");

        admin.must(&["enable", &world.ns.name, "--bind-requester"]);
        let token = world.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
        let controller = world.admin.with_token(&token).await.unwrap();
        world.until_may(&controller, "bind-requester", "ozaccess.io", "accesstemplates", true).await.unwrap();
        let listed: Value = serde_json::from_str(&admin.must(&["enable", "--list", "-o", "json"])).unwrap();
        let here = |n: &&Value| n["namespace"] == world.ns.name;
        let namespaces = listed["namespaces"].as_array().unwrap();
        assert_eq!(namespaces.iter().find(here).unwrap()["bindRequester"], true, "{listed}");

        let before = alice.read_kubeconfig();
        let said = alice.oz(&["access-request", "as-me"]);
        assert_eq!(said.code, 0, "{said}");
        assert!(said.stderr.contains("Your own credential holds this access now"), "{said}");
        assert_eq!(said.stdout(), format!("kubectl -n {} auth can-i --list\n", world.ns.name), "{said}");
        assert_eq!(alice.read_kubeconfig(), before, "there is nothing to write");
        let ran = alice.kubectl(&["get", "pods", "-o", "name"]);
        assert_eq!((ran.code, ran.stdout().trim()), (0, "pod/web-0"), "{ran}");
        assert_eq!(alice.must(&["kubeconfig", "update"]), "", "nor to update");
        let name = alice.must(&["requests", "-o", "name"]);
        let name = name.lines().map(|n| n.rsplit('/').next().unwrap());
        let name = futures::future::join_all(name.map(async |n| world.request(n).await.unwrap())).await;
        let name = name.into_iter().find(|r| r.phase().as_str() == "Active").unwrap().metadata.name.unwrap();
        let revoked = admin.oz(&["revoke", &name, "--verify"]);
        assert_eq!(revoked.code, 0, "{revoked}");
        assert!(revoked.stderr.contains("role binding: gone"), "{revoked}");
        assert_ne!(alice.kubectl(&["get", "pods"]).code, 0);

        admin.must(&["enable", &world.ns.name, "--disable", "--bind-requester"]);
        let binding = world.ns.rbac(&format!("rolebindings/{BIND_REQUESTER_ROLE}"));
        world.until_gone(&binding).await;
        let enabled = admin.must(&["enable", "--list", "-o", "name"]);
        assert!(enabled.lines().any(|line| line == world.ns.name), "the rest stays: {enabled}");
    })
    .await;
}

#[tokio::test]
async fn what_is_approved_is_shown() {
    with_roles("role-shown", async |world| {
        world.template("asked", support::with(lending(json!({})), &json!({"approvals": 1}))).await;
        let (alice, admin) = (Home::of(world, "alice"), Home::of(world, "admin"));
        let name = alice.must(&["access-request", "asked", "--wait", "none"]);
        world.until(&name, "it was looked at", |r| r.status.is_some()).await;
        let words = format!("ClusterRole view in namespace {}, as it stands:", world.ns.name);
        // Each rule, once, also for who may not read the role himself.
        for who in [&Home::of(world, "bob"), &admin] {
            let described = who.must(&["describe", &name]);
            assert!(described.contains(&words), "{described}");
            assert_eq!(described.matches("get,list,watch on configmaps").count(), 1, "{described}");
        }
        let nothing = admin.oz(&["describe", &name, "--pod"]);
        assert_eq!(nothing.code, 2, "{nothing}");
        let templates = alice.must(&["templates", "-o", "wide"]);
        assert!(templates.split_whitespace().any(|cell| cell == "ClusterRole/view"), "{templates}");
    })
    .await;
}
