//! Partners' clusters: what they get, that they renew it themselves and get more by themselves, and that it ends as a whole.

use oz_shared::request::Verdict;
use oz_shared::{NamespaceRequest, Request as _};
use serde_json::json;
use support::{Call, Identity, RUN_LABEL, User, eventually, run};

use crate::partners::{Partners, reader, told, writer};
use crate::spaces::{names, told as told_of, until_reads};
use crate::world::{LIMIT, World, scenario};

/// Waits until the API server does not know who this is any more.
async fn until_unknown(who: &Identity, namespace: &str) {
    until_reads(who, namespace, "configmaps", &[401]).await;
}

async fn code(who: &Identity, call: Call) -> u16 {
    who.call(call).await.unwrap().code
}

/// A partner makes what it came for.
async fn deploys(world: &World, partner: &Identity, namespace: &str) {
    let labels = json!({"app": "web"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "localhost/busybox:1"}]}});
    let body = json!({"metadata": {"name": "web"}, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}});
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    world.must(partner, Call::post(path, body)).await;
}

#[tokio::test]
async fn a_partner_gets_its_own_and_more() {
    scenario("fed", async |world| {
        let partners = Partners::new(world, json!({"approvals": 1})).await;
        let first = partners.name("a");
        partners.ask("a", json!({"clusterRole": reader(world), "duration": "1h"})).await;
        let offered =
            partners.until("a", "waits", |f| f.status.as_ref().is_some_and(|s| !s.offered.is_empty())).await;
        let words = offered.status.as_ref().unwrap().offered.join("\n");
        for word in [
            "slate (cluster a)",
            "up to 2 further namespaces",
            "reads in the whole cluster",
            "get,list,watch on nodes",
        ] {
            assert!(words.contains(word), "{word}: {words}");
        }
        let status = offered.status.as_ref().unwrap();
        let yes = json!({
            "by": world.bob.user().username, "decision": Verdict::Approve, "request": offered.metadata.uid,
            "template": status.offered_by, "offer": status.offer_digest,
        });
        let patch = json!([{"op": "add", "path": "/spec/decisions/-", "value": yes}]);
        world.must(&world.bob, Call::json_patch(partners.path("a"), patch)).await;
        let federation = partners.until_phase("a", "Active").await;
        let status = federation.status.clone().unwrap();
        assert_eq!(status.namespaces.iter().map(|n| &n.name).collect::<Vec<_>>(), [&first]);
        assert!(status.account.starts_with("oz-f-"), "{status:?}");

        let partner = partners.enter(&federation).await;
        until_reads(&partner, &first, "configmaps", &[200]).await;
        deploys(world, &partner, &first).await;
        // Its own next token, and nobody needs to be asked for it.
        let partner = partners.mint(&partner, &status.account).await;
        until_reads(&partner, &first, "secrets", &[200]).await;
        elsewhere(world, &partner).await;
        widening(&partner, &first, &status.account).await;

        partners.ask_further(&partner, "a", "x", json!({})).await;
        let further = partners.until_further("a", "x", "Active").await;
        let x = format!("{first}-x");
        assert_eq!(names(&further), std::slice::from_ref(&x));
        assert_eq!(
            further.status.as_ref().unwrap().expires_at,
            status.expires_at,
            "as long as the federation"
        );
        until_reads(&partner, &x, "configmaps", &[200]).await;
        refused(&partners, &partner).await;

        world.must(&partner, Call::delete(partners.in_first("a", "x"))).await;
        partners.spaces.until_nothing_left(&further).await;
        until_reads(&partner, &first, "configmaps", &[200]).await;
        partners.ask_further(&partner, "a", "y", json!({"duration": "10m"})).await;
        let y = partners.until_further("a", "y", "Active").await;
        assert!(y.status.as_ref().unwrap().expires_at < status.expires_at);

        partners.release("a").await;
        until_unknown(&partner, &first).await;
        let ended = partners.until_ended("a", "Released", "Released").await;
        partners.until_nothing_left(&ended).await;
        partners.spaces.until_nothing_left(&y).await;
        world
            .until_gone(&format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{}", status.account))
            .await;
    })
    .await;
}

/// What a partner may not, and that it reads everywhere no more than was agreed to.
async fn elsewhere(world: &World, partner: &Identity) {
    assert_eq!(code(partner, Call::get("/api/v1/nodes")).await, 200);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    for path in [
        format!("/api/v1/namespaces/{}/configmaps", world.ns.name),
        "/api/v1/namespaces/kube-system/secrets".to_owned(),
        "/api/v1/namespaces/oz-sessions/serviceaccounts".to_owned(),
        "/api/v1/secrets".to_owned(),
        "/api/v1/namespaces".to_owned(),
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
        "/apis/ozaccess.io/v1alpha1/federations".to_owned(),
        "/apis/ozaccess.io/v1alpha1/grants".to_owned(),
        format!("{rbac}/clusterrolebindings"),
    ] {
        assert_eq!(code(partner, Call::get(&path)).await, 403, "{path}");
    }
    let made = json!({"metadata": {"name": "cluster-fed-made"}});
    assert_eq!(code(partner, Call::post("/api/v1/namespaces", made)).await, 403);
    let nodes = world.look("/api/v1/nodes").await.unwrap();
    let node = nodes["items"][0]["metadata"]["name"].as_str().unwrap();
    assert_eq!(code(partner, Call::delete(format!("/api/v1/nodes/{node}")).dry()).await, 403);
}

/// It gives nobody more by itself: neither its account nor anybody else.
async fn widening(partner: &Identity, first: &str, account: &str) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let to_all = json!({
        "metadata": {"name": "more"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "all"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    });
    let more = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    let free = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    for call in [
        Call::post(format!("{rbac}/namespaces/{first}/rolebindings"), to_all.clone()),
        Call::post(format!("{rbac}/clusterrolebindings"), to_all.clone()),
        Call::merge(
            format!("{rbac}/namespaces/{first}/rolebindings/{account}"),
            json!({"subjects": to_all["subjects"]}),
        ),
        Call::merge(format!("{rbac}/namespaces/{first}/roles/{account}"), more.clone()),
        Call::merge(format!("{rbac}/clusterroles/edit"), more),
        Call::merge(format!("/api/v1/namespaces/{first}"), free),
    ] {
        let answer = partner.call(call).await.unwrap();
        assert_eq!(answer.code, 403, "{answer}");
    }
}

/// What a partner asks for in vain.
async fn refused(partners: &Partners<'_>, partner: &Identity) {
    let other = partners.spaces.class("other", json!({})).await.class;
    let first = partners.name("a");
    for (name, reason, spec) in [
        ("unprefixed", "NameNotOffered", json!({"namespaces": [partners.name("b-x")]})),
        ("many", "TooMany", json!({"namespaces": [format!("{first}-y"), format!("{first}-z")]})),
        ("other", "NotOfferedHere", json!({"class": other})),
        ("owned", "BeyondFederation", json!({"owners": [{"kind": "User", "name": "carol"}]})),
        ("by-name", "BeyondFederation", json!({"credential": {"type": "Requester"}})),
    ] {
        partners.ask_further(partner, "a", name, spec).await;
        let failed: NamespaceRequest = partners.until_further("a", name, "Failed").await;
        assert_eq!(told_of(&failed).0, reason, "{:?}", failed.status);
    }
}

#[tokio::test]
async fn its_account_is_made_anew() {
    scenario("fed-anew", async |world| {
        let partners = Partners::new(world, json!({})).await;
        let federation = partners.lent("a", json!({})).await;
        let (first, account) = (partners.name("a"), federation.status.as_ref().unwrap().account.clone());
        let old = partners.enter(&federation).await;
        until_reads(&old, &first, "configmaps", &[200]).await;
        partners.ask_further(&old, "a", "x", json!({})).await;
        let further = partners.until_further("a", "x", "Active").await;
        let rotate = async |n: i32| {
            let patch = Call::merge(partners.path("a"), json!({"spec": {"rotations": n}}));
            world.must(&partners.asker, patch).await;
        };
        rotate(1).await;
        until_unknown(&old, &first).await;
        let middle = partners.enter(&federation).await;
        until_reads(&middle, &first, "configmaps", &[200]).await;
        // More than once at a time is once.
        rotate(3).await;
        until_unknown(&middle, &first).await;
        let grant =
            format!("/apis/ozaccess.io/v1alpha1/grants/{}", federation.status.as_ref().unwrap().grant);
        eventually("the grant tells of it", LIMIT, || async {
            let grant = world.look(&grant).await?;
            if grant["status"]["rotations"] == 3 { Ok(()) } else { Err(grant["status"].to_string()) }
        })
        .await
        .unwrap();

        // The same account by name: what was lent goes on, and what was asked for is its own.
        let new = partners.enter(&federation).await;
        assert_eq!(new.user().username, old.user().username);
        assert_ne!(new.user().uid, old.user().uid);
        for namespace in [&first, &format!("{first}-x")] {
            until_reads(&new, namespace, "configmaps", &[200]).await;
        }
        for dead in [&old, &middle] {
            until_unknown(dead, &first).await;
        }
        // Its own next token is for who it is, not for whoever was called so, or acts as if he were.
        let new = partners.mint(&new, &account).await;
        let acts = User { uid: String::new(), ..new.user().clone() };
        let acts = world.admin.impersonate(acts).unwrap();
        let refused = acts.mint(oz_shared::names::SESSIONS_NAMESPACE, &account, 600).await;
        assert!(refused.is_err(), "minted by who acts as it");
        // It has no more places than before.
        partners.ask_further(&new, "a", "y", json!({})).await;
        partners.until_further("a", "y", "Active").await;
        partners.ask_further(&new, "a", "z", json!({})).await;
        let failed = partners.until_further("a", "z", "Failed").await;
        assert_eq!(told_of(&failed).0, "TooMany", "{:?}", failed.status);
        world.must(&new, Call::delete(partners.in_first("a", "x"))).await;
        partners.spaces.until_nothing_left(&further).await;

        // Who may revoke ends it by its record.
        world.must(&world.bob, Call::delete(partners.path("a"))).await;
        until_unknown(&new, &first).await;
        partners.until_nothing_left(&federation).await;
        world.until_gone(&format!("/api/v1/namespaces/{first}-y")).await;
    })
    .await;
}

/// As often as clusters have come and gone in practice.
#[tokio::test]
async fn no_right_stays_however_often_they_come_and_go() {
    scenario("fed-cycles", async |world| {
        let partners = Partners::new(world, json!({})).await;
        for cycle in 0..27 {
            let stem = format!("c{cycle}");
            let federation = partners.lent(&stem, json!({"clusterRole": reader(world)})).await;
            let account = &federation.status.as_ref().unwrap().account;
            let everywhere = format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{account}");
            world.look(&everywhere).await.unwrap();
            partners.release(&stem).await;
            let ended = partners.until_ended(&stem, "Released", "Released").await;
            partners.until_nothing_left(&ended).await;
            world.until_gone(&everywhere).await;
        }
        let all = world.look("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings").await.unwrap();
        let reads = json!(reader(world));
        let left = all["items"].as_array().unwrap().iter().filter(|b| b["roleRef"]["name"] == reads);
        assert_eq!(left.count(), 0);
    })
    .await;
}

#[tokio::test]
async fn it_ends_though_a_namespace_does_not_go() {
    scenario("fed-held", async |world| {
        let partners = Partners::new(world, json!({})).await;
        let federation = partners.lent("a", json!({})).await;
        let first = partners.name("a");
        let partner = partners.enter(&federation).await;
        until_reads(&partner, &first, "configmaps", &[200]).await;
        partners.ask_further(&partner, "a", "x", json!({})).await;
        let further = partners.until_further("a", "x", "Active").await;
        let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
        world.must(&partner, Call::post(format!("/api/v1/namespaces/{first}/configmaps"), held)).await;
        partners.release("a").await;
        until_unknown(&partner, &first).await;
        partners.until("a", "tells what holds it", |f| told(f).1.contains("example.com/held")).await;
        // What it asked for besides does not wait for that.
        let grant = &further.status.as_ref().unwrap().grant;
        world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        world.until_gone(&format!("/api/v1/namespaces/{first}-x")).await;
        let free = json!({"metadata": {"finalizers": null}});
        world
            .must(&world.admin, Call::merge(format!("/api/v1/namespaces/{first}/configmaps/held"), free))
            .await;
        let ended = partners.until_ended("a", "Released", "Released").await;
        partners.until_nothing_left(&ended).await;
    })
    .await;
}

#[tokio::test]
async fn a_partner_is_refused_for_each_reason() {
    scenario("fed-refused", async |world| {
        let partners = Partners::new(world, json!({"maxLive": 1})).await;
        for (stem, reason, spec) in [
            ("writes", "NotReadOnly", json!({"clusterRole": writer(world)})),
            ("beyond", "BeyondCeiling", json!({"clusterRole": "view"})),
            ("named", "NameNotOffered", json!({"namespace": partners.name("other")})),
            ("taken", "NameTaken", json!({"namespace": partners.name("taken")})),
        ] {
            if stem == "taken" {
                let metadata = json!({"name": partners.name(stem), "labels": {RUN_LABEL: run()}});
                world
                    .must(&world.admin, Call::post("/api/v1/namespaces", json!({"metadata": metadata})))
                    .await;
            }
            partners.ask(stem, spec).await;
            partners.until_ended(stem, "Failed", reason).await;
        }
        partners.lent("a", json!({})).await;
        partners.ask("b", json!({})).await;
        partners.until_ended("b", "Failed", "TooMany").await;
        partners.release("a").await;
        partners.until_ended("a", "Released", "Released").await;
    })
    .await;
}

/// What was agreed to is reading: a role that has come to do more is not lent any longer. What people keep in their namespaces
/// does not go for that.
#[tokio::test]
async fn it_reads_no_more_when_its_role_does_more_than_reading() {
    scenario("fed-role", async |world| {
        let partners = Partners::new(world, json!({})).await;
        let federation = partners.lent("a", json!({"clusterRole": reader(world)})).await;
        let partner = partners.enter(&federation).await;
        eventually("the partner reads nodes", LIMIT, || async {
            let code = code(&partner, Call::get("/api/v1/nodes")).await;
            if code == 200 { Ok(()) } else { Err(code.to_string()) }
        })
        .await
        .unwrap();
        let rules =
            json!({"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "delete"]}]});
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", reader(world));
        world.must(&world.admin, Call::merge(path, rules)).await;
        let account = &federation.status.as_ref().unwrap().account;
        world.until_gone(&format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{account}")).await;
        eventually("the partner reads no nodes", LIMIT, || async {
            let code = code(&partner, Call::get("/api/v1/nodes")).await;
            if code == 403 { Ok(()) } else { Err(code.to_string()) }
        })
        .await
        .unwrap();
        let told = partners
            .until("a", "tells that it reads no more", |f| told(f).1.contains("reads nothing in the whole cluster any more"))
            .await;
        assert_eq!(told.phase().as_str(), "Active");
        // Nor is it lent again when the role is as it was.
        let rules = json!({"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]});
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", reader(world));
        world.must(&world.admin, Call::merge(path, rules)).await;
        partners.ask_further(&partner, "a", "x", json!({})).await;
        partners.until_further("a", "x", "Active").await;
        assert_eq!(code(&partner, Call::get("/api/v1/nodes")).await, 403);
        partners.release("a").await;
        let ended = partners.until_ended("a", "Released", "Released").await;
        partners.until_nothing_left(&ended).await;
    })
    .await;
}
