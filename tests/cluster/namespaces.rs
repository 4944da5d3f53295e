//! Namespaces on request: what their owners may, how they end, and that nothing becomes Oz's by accident.

use std::collections::BTreeSet;

use futures::future::join_all;
use oz_shared::names::{GRANT_LABEL, suffixed};
use oz_shared::{NamespaceRequest, Request as _};
use serde_json::{Value, json};
use support::rights::{self, account};
use support::{Call, RUN_LABEL, eventually, run};

use crate::spaces::{Spaces, names, pipeline, told, until_reads};
use crate::world::{LIMIT, World, scenario};

fn space(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

/// Somebody else's namespace.
async fn strangers(world: &World, name: &str, metadata: Value) -> Value {
    let metadata = crate::bodies::with(json!({"name": name, "labels": {RUN_LABEL: run()}}), &metadata);
    world.must(&world.admin, Call::post("/api/v1/namespaces", json!({"metadata": metadata}))).await
}

/// Waits until a user may, or may not, list ConfigMaps there.
async fn until_may(world: &World, user: &support::User, namespace: &str, may: bool) {
    let attributes = json!({"namespace": namespace, "verb": "list", "resource": "configmaps"});
    rights::until(&world.admin, user, attributes, may).await.unwrap();
}

#[tokio::test]
async fn a_pipeline_gets_one_and_owns_it() {
    scenario("spaces", async |world| {
        let resources = json!([
            {"kind": "ResourceQuota", "name": "bounds", "spec": {"hard": {"configmaps": "5"}}},
            {"kind": "LimitRange", "name": "bounds", "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}},
            {"kind": "NetworkPolicy", "name": "closed", "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
            {"kind": "ConfigMap", "name": "about", "data": {"who": "asked by ${REQUESTER}", "where": "${NAMESPACE}"}},
            {"kind": "RoleBinding", "name": "watchers", "role": "view", "subjects": [{"kind": "Group", "name": "sre"}]},
        ]);
        let spec = json!({"resources": resources, "podSecurity": "restricted", "annotations": {"for": "${REQUESTER}"}});
        let spaces = Spaces::new(world, spec).await;
        let name = spaces.name("one");
        let request = spaces.lent("r", &[&name], json!({"duration": "20m"})).await;
        let status = request.status.clone().unwrap();
        assert_eq!(names(&request), std::slice::from_ref(&name));
        assert!(status.account.starts_with("oz-n-"), "{status:?}");
        assert!(status.granted.iter().any(|w| w.contains(&name)), "{status:?}");
        let there = spaces.namespace(&name).await.unwrap();
        let who = &spaces.pipeline.user().username;
        assert_eq!(there["metadata"]["annotations"]["for"], **who);
        assert_eq!(there["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
        assert_eq!(there["metadata"]["ownerReferences"], Value::Null, "what people keep is nobody's dependant");
        let about = world.look(&format!("{}/configmaps/about", space(&name))).await.unwrap();
        assert_eq!(about["data"], json!({"who": format!("asked by {who}"), "where": name}));
        assert_eq!(about["metadata"]["ownerReferences"], Value::Null);

        let owner = spaces.enter(&request).await;
        until_reads(&owner, &name, "secrets", &[200]).await;
        let own = json!({"metadata": {"name": "own"}, "data": {"a": "b"}});
        world.must(&owner, Call::post(format!("{}/configmaps", space(&name)), own)).await;
        // Not elsewhere, and not what holds it.
        until_reads(&owner, &world.ns.name, "configmaps", &[403]).await;
        for (path, body) in [
            (format!("{}/resourcequotas/bounds", space(&name)), json!({"spec": {"hard": {"configmaps": "50"}}})),
            (format!("{}/configmaps/about", space(&name)), json!({"data": {"who": "me"}})),
            (
                format!("/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies/closed"),
                json!({"spec": {"ingress": [{}]}}),
            ),
        ] {
            let answer = owner.call(Call::merge(path, body)).await.unwrap();
            assert_eq!(answer.code, 403, "{answer}");
        }
        let open = json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]}});
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies");
        let answer = owner.call(Call::post(path, open)).await.unwrap();
        assert!(answer.code == 403 && answer.message().contains("NetworkPolicies of this namespace are Oz's"), "{answer}");

        // Another pipeline of the namespace sees the request, and cannot use it.
        let other = pipeline(world, "other").await;
        assert_eq!(other.call(Call::get(spaces.path("r"))).await.unwrap().code, 200);
        let minted = other.mint("oz-sessions", &status.account, 600).await;
        assert!(minted.is_err(), "another's token");
        let release = json!({"spec": {"released": true, "releasedBy": other.user().username}});
        assert_eq!(other.call(Call::merge(spaces.path("r"), release)).await.unwrap().code, 403);

        spaces.release("r").await;
        let ended = spaces.until_ended("r", "Released", "Released").await;
        spaces.until_nothing_left(&ended).await;
        until_reads(&owner, &name, "secrets", &[401]).await;
    })
    .await;
}

#[tokio::test]
async fn several_under_one_account_with_owners_by_name() {
    scenario("owners", async |world| {
        let spaces = Spaces::new(world, json!({"ownersWriteNetworkPolicies": true})).await;
        let (a, b) = (spaces.name("a"), spaces.name("b"));
        world.ns.bind("alice-too", "oz-namespace-requester", &[rights::user("alice")]).await.unwrap();
        world.ns.bind("bob-too", "oz-namespace-approver", &[rights::user("bob")]).await.unwrap();
        world.until_may(&world.bob, "patch", "ozaccess.io", "namespacerequests", true).await.unwrap();
        let owners = json!([
            {"kind": "User", "name": "bob"}, {"kind": "Group", "name": "a-group"},
            {"kind": "ServiceAccount", "namespace": world.ns.name, "name": "default"},
        ]);
        spaces
            .ask_as(
                &world.alice,
                "r",
                &[&a, &b],
                json!({"owners": owners, "credential": {"type": "Requester"}}),
            )
            .await;
        let request = spaces.until_phase("r", "Active").await;
        assert_eq!(request.status.as_ref().unwrap().account, "");
        let grouped =
            support::User { username: "x".into(), uid: String::new(), groups: vec!["a-group".into()] };
        let program = account(&world.ns.name, "default");
        let program = support::User {
            username: format!("system:serviceaccount:{}:default", program["namespace"].as_str().unwrap()),
            uid: String::new(),
            groups: vec![],
        };
        for name in [&a, &b] {
            for user in [world.alice.user(), world.bob.user(), &grouped, &program] {
                until_may(world, user, name, true).await;
            }
            until_may(world, world.carol.user(), name, false).await;
        }
        // An owner may have NetworkPolicies of his own, where the class lets him.
        let open = json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]}});
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{a}/networkpolicies");
        world.must(&world.bob, Call::post(path, open)).await;

        // One token for what is asked for at different times, by the same requester alone.
        let first = spaces.lent("first", &[&spaces.name("c")], json!({})).await;
        let of = json!({"type": "Of", "name": "first", "uid": first.metadata.uid});
        let second = spaces.lent("second", &[&spaces.name("d")], json!({"credential": of})).await;
        assert_eq!(second.status.as_ref().unwrap().account, "");
        let owner = spaces.enter(&first).await;
        for name in ["c", "d"] {
            until_reads(&owner, &spaces.name(name), "configmaps", &[200]).await;
        }
        spaces.ask_as(&world.alice, "stolen", &[&spaces.name("e")], json!({"credential": of})).await;
        spaces.until_ended("stolen", "Failed", "NoCredential").await;
        spaces.release("second").await;
        until_reads(&owner, &spaces.name("d"), "configmaps", &[403]).await;
        until_reads(&owner, &spaces.name("c"), "configmaps", &[200]).await;

        // Who may revoke may end it, and the rest goes with it.
        spaces.release_as(&world.bob, "r").await;
        let ended = spaces.until_ended("r", "Released", "Released").await;
        spaces.until_nothing_left(&ended).await;
        until_may(world, world.bob.user(), &a, false).await;
    })
    .await;
}

#[tokio::test]
async fn approved_first_where_the_class_asks_for_it() {
    scenario("approved-space", async |world| {
        let spaces = Spaces::new(world, json!({"approvals": 1})).await;
        world.ns.bind("bob-too", "oz-namespace-approver", &[rights::user("bob")]).await.unwrap();
        world.until_may(&world.bob, "patch", "ozaccess.io", "namespacerequests", true).await.unwrap();
        let name = spaces.name("one");
        spaces.ask("r", &[&name], json!({})).await;
        let asked = spaces.until("r", "is offered", |r| r.status.as_ref().is_some_and(|s| !s.offered.is_empty())).await;
        assert_eq!(asked.phase().as_str(), "Pending");
        assert!(spaces.namespace(&name).await.is_err(), "before anyone agreed");
        let pin = &asked.status.as_ref().unwrap().offered_by;
        let answer = json!({"by": "bob", "decision": "Approve", "request": asked.metadata.uid, "template": pin,
            "offer": asked.status.as_ref().unwrap().offer_digest});
        let patch = json!([{"op": "add", "path": "/spec/decisions/-", "value": answer}]);
        world.must(&world.bob, Call::json_patch(spaces.path("r"), patch)).await;
        let request = spaces.until_phase("r", "Active").await;
        assert_eq!(names(&request), [name]);
        spaces.release("r").await;
    })
    .await;
}

#[tokio::test]
async fn extended_without_a_gap() {
    scenario("extended", async |world| {
        let spaces = Spaces::new(world, json!({"maxLive": 2})).await;
        let (a, b) = (spaces.name("a"), spaces.name("b"));
        let old = spaces.lent("old", &[&a, &b], json!({"duration": "10m"})).await;
        let uids = old.status.as_ref().unwrap().namespaces.clone();
        let owner = spaces.enter(&old).await;
        until_reads(&owner, &a, "configmaps", &[200]).await;
        let own = json!({"metadata": {"name": "own"}, "data": {"a": "b"}});
        world.must(&owner, Call::post(format!("{}/configmaps", space(&a)), own)).await;
        let extends = json!({"name": "old", "uid": old.metadata.uid});
        // All of them or none, and nobody else's.
        spaces.ask("part", &[&a], json!({"extends": extends})).await;
        spaces.until_ended("part", "Failed", "NothingToExtend").await;
        world.ns.bind("alice-too", "oz-namespace-requester", &[rights::user("alice")]).await.unwrap();
        world.until_may(&world.alice, "create", "ozaccess.io", "namespacerequests", true).await.unwrap();
        spaces.ask_as(&world.alice, "other", &[&a, &b], json!({"extends": extends})).await;
        spaces.until_ended("other", "Failed", "NothingToExtend").await;

        let new = spaces.lent("new", &[&b, &a], json!({"extends": extends, "duration": "1h"})).await;
        let ended = spaces.until_ended("old", "Released", "Extended").await;
        let got: BTreeSet<_> =
            new.status.as_ref().unwrap().namespaces.iter().map(|n| (&n.name, &n.uid)).collect();
        assert_eq!(got, uids.iter().map(|n| (&n.name, &n.uid)).collect());
        assert!(new.status.as_ref().unwrap().expires_at > old.status.as_ref().unwrap().expires_at);
        let grant = &ended.status.as_ref().unwrap().grant;
        world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        let owner = spaces.enter(&new).await;
        until_reads(&owner, &a, "configmaps/own", &[200]).await;
        // The places went along: nobody has more than before.
        spaces.ask("more", &[&spaces.name("c")], json!({})).await;
        spaces.until_ended("more", "Failed", "TooMany").await;
        spaces.release("new").await;
        let ended = spaces.until_ended("new", "Released", "Released").await;
        spaces.until_nothing_left(&ended).await;
        spaces.lent("after", &[&spaces.name("c"), &a], json!({})).await;
        spaces.release("after").await;
    })
    .await;
}

/// What is gone meanwhile keeps the rest from nothing; of two who would keep the same, one does, and nothing is lost.
#[tokio::test]
async fn extended_by_two_when_one_of_three_is_gone() {
    scenario("extended-twice", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let all = ["a", "b", "c"].map(|stem| spaces.name(stem));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let old = spaces.lent("old", &all, json!({})).await;
        world.must(&world.admin, Call::delete(space(all[1]))).await;
        world.until_gone(&space(all[1])).await;
        let uid = |name: &str| {
            let made = old.status.as_ref().unwrap().namespaces.iter().find(|n| n.name == name);
            made.unwrap().uid.clone()
        };
        let extends = json!({"extends": {"name": "old", "uid": old.metadata.uid}});
        let backwards: Vec<&str> = all.iter().rev().copied().collect();
        tokio::join!(
            spaces.ask("one", &all, extends.clone()),
            spaces.ask("two", &backwards, extends.clone()),
        );
        let settled = |r: &NamespaceRequest| ["Active", "Failed"].contains(&r.phase().as_str());
        let (one, two) = tokio::join!(
            spaces.until("one", "is settled", settled),
            spaces.until("two", "is settled", settled)
        );
        let mut phases = [one.phase().as_str(), two.phase().as_str()];
        phases.sort_unstable();
        assert_eq!(phases, ["Active", "Failed"], "{:?} {:?}", one.status, two.status);
        let (kept, lost) = if one.phase().as_str() == "Active" { (one, two) } else { (two, one) };
        spaces.until_ended("old", "Released", "Extended").await;
        let grant = &lost.status.as_ref().unwrap().grant;
        if !grant.is_empty() {
            world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        }
        assert_eq!(BTreeSet::from_iter(names(&kept)), BTreeSet::from([all[0].to_owned(), all[2].to_owned()]));
        for name in [all[0], all[2]] {
            let there = spaces.namespace(name).await.unwrap();
            assert_eq!(there["metadata"]["uid"], uid(name));
            assert!(there["metadata"]["deletionTimestamp"].is_null());
        }
        spaces.release(kept.metadata.name.as_ref().unwrap()).await;
    })
    .await;
}

/// What is kept on stays what it is: it does not pass for what the class has become.
#[tokio::test]
async fn a_class_that_has_changed_extends_nothing() {
    scenario("extended-changed", async |world| {
        let spaces = Spaces::new(world, json!({"podSecurity": "privileged"})).await;
        let name = spaces.name("a");
        let old = spaces.lent("old", &[&name], json!({})).await;
        let class = format!("/apis/ozaccess.io/v1alpha1/namespaceclasses/{}", spaces.class);
        let tighter = json!({"spec": {"podSecurity": "restricted"}});
        world.must(&world.admin, Call::merge(class, tighter)).await;
        let extends = json!({"extends": {"name": "old", "uid": old.metadata.uid}});
        spaces.ask("new", &[&name], extends).await;
        spaces.until_ended("new", "Failed", "ClassChanged").await;
        let there = spaces.namespace(&name).await.unwrap();
        assert!(there["metadata"]["deletionTimestamp"].is_null());
        assert_eq!(spaces.request("old").await.unwrap().phase().as_str(), "Active");
        spaces.release("old").await;
    })
    .await;
}

/// Whoever makes accounts in a namespace has what others have given to accounts of that name.
#[tokio::test]
async fn a_name_that_others_have_given_rights_to() {
    scenario("spoken-for", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let (mine, named) = (spaces.name("mine"), spaces.name("named"));
        let owners = json!({"owners": [{"kind": "ServiceAccount", "namespace": named, "name": "deployer"}]});
        spaces.lent("r", &[&mine], owners).await;
        let other = pipeline(world, "other").await;
        spaces.ask_as(&other, "other", &[&named], json!({})).await;
        let ended = spaces.until_ended("other", "Failed", "NameTaken").await;
        assert!(told(&ended).1.contains("rights elsewhere"), "{:?}", ended.status);
        // They are one's own to give.
        spaces.lent("own", &[&named], json!({})).await;
        spaces.release("own").await;
        spaces.release("r").await;
    })
    .await;
}

#[tokio::test]
async fn what_is_there_already_is_nobodys_to_have() {
    scenario("taken", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let name = spaces.name("there");
        let before = strangers(world, &name, json!({})).await;
        let kept = json!({"metadata": {"name": "kept"}, "data": {"a": "b"}});
        world.must(&world.admin, Call::post(format!("{}/configmaps", space(&name)), kept)).await;
        spaces.ask("r", &[&name], json!({})).await;
        let ended = spaces.until_ended("r", "Failed", "NameTaken").await;
        assert!(told(&ended).1.contains("Oz adopts none"), "{:?}", ended.status);
        // One of several is enough, and then none is made.
        let fresh = spaces.name("fresh");
        spaces.ask("two", &[&fresh, &name], json!({})).await;
        spaces.until_ended("two", "Failed", "NameTaken").await;
        assert!(spaces.namespace(&fresh).await.is_err());
        let after = spaces.namespace(&name).await.unwrap();
        assert_eq!(
            after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
            "not touched"
        );
        world.look(&format!("{}/configmaps/kept", space(&name))).await.unwrap();

        let suffixing = spaces.class("suffix", json!({"onTaken": "Suffix"})).await;
        let got = suffixing.lent("s", &[&name], json!({})).await;
        assert_eq!(names(&got), [suffixed(&name, got.metadata.uid.as_ref().unwrap())]);
        suffixing.release("s").await;
        suffixing.until_ended("s", "Released", "Released").await;
        world.look(&format!("{}/configmaps/kept", space(&name))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn refused_for_each_reason() {
    scenario("refused", async |world| {
        let spaces = Spaces::new(world, json!({"names": {"prefix": "Requester"}, "maxLive": 1})).await;
        spaces.ask("unprefixed", &[&spaces.name("a")], json!({})).await;
        spaces.until_ended("unprefixed", "Failed", "NameNotOffered").await;
        let own = format!("{}-pipeline-a", world.ns.name);
        spaces.lent("own", &[&own], json!({})).await;
        spaces.ask("more", &[&format!("{}-pipeline-b", world.ns.name)], json!({})).await;
        let ended = spaces.until_ended("more", "Failed", "TooMany").await;
        assert!(told(&ended).1.contains("one may have 1"), "{:?}", ended.status);
        spaces.release("own").await;
        spaces.ask("none", &["x"], json!({"class": "no-such-class"})).await;
        spaces.until_ended("none", "Failed", "ClassNotFound").await;
        let beyond = spaces.class("beyond", json!({"role": "cluster-admin"})).await;
        beyond.ask("beyond", &["x"], json!({})).await;
        spaces.until_ended("beyond", "Failed", "BeyondCeiling").await;
        // What the API server will not have is told at once, and nothing stays half made.
        for (stem, spec) in [
            ("odd", json!({"hard": {"pods": "much"}})),
            ("key", json!({"hard": {"no resource": "1"}})),
            ("typo", json!({"herd": {"pods": "1"}})),
        ] {
            let quota = json!({"kind": "ResourceQuota", "name": stem, "spec": spec});
            let odd = spaces.class(stem, json!({"names": {"prefix": "None"}, "resources": [quota]})).await;
            let name = spaces.name(stem);
            odd.ask(stem, &[&name], json!({})).await;
            let ended = spaces.until_ended(stem, "Failed", "PartInvalid").await;
            assert!(told(&ended).1.contains(stem), "{:?}", ended.status);
            world.until_gone(&space(&name)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn deleted_behind_our_back() {
    scenario("behind", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let (a, b) = (spaces.name("a"), spaces.name("b"));
        let request = spaces.lent("r", &[&a, &b], json!({})).await;
        world.must(&world.admin, Call::delete(space(&a))).await;
        world.until_gone(&space(&a)).await;
        // What is left of it goes on, and what is gone is not made again.
        let owner = spaces.enter(&request).await;
        until_reads(&owner, &b, "configmaps", &[200]).await;
        let mine = strangers(world, &a, json!({})).await;
        world.must(&world.admin, Call::delete(space(&b))).await;
        let ended = spaces.until_ended("r", "Released", "NamespaceGone").await;
        let grant = &ended.status.as_ref().unwrap().grant;
        world.until_gone(&format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")).await;
        world.until_gone(&space(&b)).await;
        let there = spaces.namespace(&a).await.unwrap();
        assert_eq!(
            there["metadata"]["uid"], mine["metadata"]["uid"],
            "a stranger's namespace of a name that was lent"
        );
        assert_eq!(there["metadata"]["deletionTimestamp"], Value::Null);
        until_reads(&owner, &a, "configmaps", &[401, 403]).await;
    })
    .await;
}

#[tokio::test]
async fn a_terminating_one_is_waited_out() {
    scenario("waited-out", async |world| {
        let spaces = Spaces::new(
            world,
            json!({"resources": [
                {"kind": "ConfigMap", "name": "about", "data": {"of": "${REQUESTER}"}},
            ]}),
        )
        .await;
        let name = spaces.name("a");
        strangers(world, &name, json!({})).await;
        let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
        world.must(&world.admin, Call::post(format!("{}/configmaps", space(&name)), held)).await;
        world.must(&world.admin, Call::delete(space(&name))).await;
        // Another one of them is not its owners' before what bounds it stands.
        let beside = spaces.name("beside");
        spaces.ask("r", &[&beside, &name], json!({"owners": [{"kind": "User", "name": "carol"}]})).await;
        spaces.until("r", "waits", |r| told(r).1.contains("that is being deleted")).await;
        let free = json!({"metadata": {"finalizers": null}});
        world.must(&world.admin, Call::merge(format!("{}/configmaps/held", space(&name)), free)).await;
        let request = spaces.until_phase("r", "Active").await;
        assert_eq!(names(&request), [beside.clone(), name]);
        let made = async |path: String| -> u64 {
            let object = world.look(&path).await.unwrap();
            object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
        };
        let binding = &request.status.as_ref().unwrap().grant;
        let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces";
        let owned = made(format!("{rbac}/{beside}/rolebindings/{binding}")).await;
        assert!(made(format!("{}/configmaps/about", space(&beside))).await < owned);
        spaces.release("r").await;
    })
    .await;
}

#[tokio::test]
async fn one_that_does_not_go_says_what_holds_it() {
    scenario("held", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let name = spaces.name("a");
        let request = spaces.lent("r", &[&name], json!({})).await;
        let owner = spaces.enter(&request).await;
        until_reads(&owner, &name, "configmaps", &[200]).await;
        let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
        world.must(&owner, Call::post(format!("{}/configmaps", space(&name)), held)).await;
        spaces.release("r").await;
        let told = spaces.until("r", "tells what holds it", |r| told(r).1.contains("example.com/held")).await;
        assert_eq!(told.phase().as_str(), "Active", "it is not over yet: {:?}", told.status);
        // Its owner is none any more.
        until_reads(&owner, &name, "configmaps", &[401, 403]).await;
        let free = json!({"metadata": {"finalizers": null}});
        world.must(&world.admin, Call::merge(format!("{}/configmaps/held", space(&name)), free)).await;
        let ended = spaces.until_ended("r", "Released", "Released").await;
        spaces.until_nothing_left(&ended).await;
    })
    .await;
}

#[tokio::test]
async fn ends_when_its_time_is_over() {
    scenario("space-expires", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let name = spaces.name("a");
        spaces.ask("r", &[&name], json!({"duration": "6s"})).await;
        let ended = spaces.until_ended("r", "Expired", "Expired").await;
        spaces.until_nothing_left(&ended).await;
    })
    .await;
}

#[tokio::test]
async fn goes_with_a_grant_that_was_deleted() {
    scenario("space-revoked", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        let request = spaces.lent("r", &[&spaces.name("a")], json!({})).await;
        let owner = spaces.enter(&request).await;
        until_reads(&owner, &spaces.name("a"), "configmaps", &[200]).await;
        let grant = &request.status.as_ref().unwrap().grant;
        world.must(&world.admin, Call::delete(format!("/apis/ozaccess.io/v1alpha1/grants/{grant}"))).await;
        until_reads(&owner, &spaces.name("a"), "configmaps", &[401, 403]).await;
        let ended = spaces.until_ended("r", "Released", "GrantDeleted").await;
        spaces.until_nothing_left(&ended).await;
    })
    .await;
}

/// Two who want the same name at the same time, a hundred times: one of them gets it.
#[tokio::test]
async fn a_name_is_had_once() {
    scenario("raced", async |world| {
        let spaces = &Spaces::new(world, json!({})).await;
        let other = &pipeline(world, "other").await;
        join_all((0..100).map(|n| async move {
            let name = spaces.name(&format!("n{n}"));
            let (one, two) = (format!("one-{n}"), format!("two-{n}"));
            let wanted = [name.as_str()];
            tokio::join!(
                spaces.ask(&one, &wanted, json!({})),
                spaces.ask_as(other, &two, &wanted, json!({}))
            );
            let settled = |r: &NamespaceRequest| ["Active", "Failed"].contains(&r.phase().as_str());
            let (first, second) = tokio::join!(
                spaces.until(&one, "is settled", settled),
                spaces.until(&two, "is settled", settled)
            );
            let mut got = [&first, &second].map(|r| (r.phase().as_str().to_owned(), told(r).0));
            got.sort_unstable();
            assert_eq!(
                got,
                [("Active".to_owned(), "Made".to_owned()), ("Failed".to_owned(), "NameTaken".to_owned())]
            );
            let winner = if first.phase().as_str() == "Active" { &first } else { &second };
            let there = spaces.namespace(&name).await.unwrap();
            assert_eq!(there["metadata"]["labels"][GRANT_LABEL], winner.status.as_ref().unwrap().grant);
        }))
        .await;
        for n in 0..100 {
            for (who, name) in [(&spaces.pipeline, format!("one-{n}")), (other, format!("two-{n}"))] {
                if spaces.request(&name).await.unwrap().phase().as_str() == "Active" {
                    spaces.release_as(who, &name).await;
                }
            }
        }
    })
    .await;
}

/// Two hundred at once by one who may have twenty: twenty he gets, and each of them once.
#[tokio::test]
async fn nobody_has_more_than_he_may() {
    scenario("crowd", async |world| {
        let spaces = &Spaces::new(world, json!({"maxLive": 20})).await;
        let ask = |n: usize| async move {
            let name = spaces.name(&format!("n{n}"));
            spaces.ask(&format!("r{n}"), &[&name], json!({})).await;
        };
        join_all((0..200).map(ask)).await;
        let settled =
            |r: &NamespaceRequest| r.status.is_some() && ["Active", "Failed"].contains(&r.phase().as_str());
        let of = |n: usize| async move { spaces.until(&format!("r{n}"), "is settled", settled).await };
        let all = join_all((0..200).map(of)).await;
        let active: Vec<&NamespaceRequest> = all.iter().filter(|r| r.phase().as_str() == "Active").collect();
        let failed: BTreeSet<String> =
            all.iter().filter(|r| r.phase().as_str() == "Failed").map(|r| told(r).0).collect();
        assert_eq!((active.len(), failed), (20, BTreeSet::from(["TooMany".to_owned()])));
        let list = Call::get("/api/v1/namespaces")
            .query("labelSelector", &format!("ozaccess.io/class={}", spaces.class));
        let there = world.must(&world.admin, list).await["items"].as_array().unwrap().len();
        assert_eq!(there, 20);
        join_all(active.iter().map(|r| spaces.release(r.metadata.name.as_ref().unwrap()))).await;
        for request in active {
            let name = request.metadata.name.as_ref().unwrap();
            eventually(&format!("{name} is over"), LIMIT * 3, || async {
                let request = spaces.request(name).await?;
                if request.phase().is_final() { Ok(()) } else { Err(format!("{:?}", request.status)) }
            })
            .await
            .unwrap();
        }
    })
    .await;
}
