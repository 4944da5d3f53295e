//! Lent namespaces, as their owners meet them: what the class put there stays as it is, the namespace stays what it is,
//! and NetworkPolicies are Oz's where the class says so. Everything else is the owners'.

use std::time::Duration;

use oz_shared::names::{GRANT_LABEL, NETWORK_POLICIES_LABEL, PART_OF_NAMESPACE};
use serde_json::{Value, json};
use support::rights::{account, user};
use support::{Call, Namespace, eventually};

use crate::bodies::{binding, dangling_owner, with};
use crate::setup::own;
use crate::table::Expect::{Allowed, AnyVap, Code, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const GUARD: Expect = Vap("oz-guard");
const NAMESPACES: Expect = Vap("oz-namespaces");

/// On a machine that compiles beside it.
const LIMIT: Duration = Duration::from_secs(60);

/// What a class puts into its namespaces: the path of the kind, and an object of it.
fn furniture(ns: &Namespace) -> [(&'static str, String, Value); 5] {
    let metadata = |name: &str| json!({"name": name, "labels": {GRANT_LABEL: PART_OF_NAMESPACE}});
    let object = |api: &str, kind: &str, name: &str, rest: Value| {
        with(json!({"apiVersion": api, "kind": kind, "metadata": metadata(name)}), &rest)
    };
    let bound = binding("ops", &json!({}), ("ClusterRole", "view"), &[support::rights::group("ops")]);
    let bound = with(bound, &object("rbac.authorization.k8s.io/v1", "RoleBinding", "ops", json!({})));
    [
        (
            "ConfigMap",
            ns.core("configmaps"),
            object("v1", "ConfigMap", "settings", json!({"data": {"a": "b"}})),
        ),
        (
            "ResourceQuota",
            ns.core("resourcequotas"),
            object("v1", "ResourceQuota", "bounds", json!({"spec": {"hard": {"count/secrets": "2"}}})),
        ),
        (
            "LimitRange",
            ns.core("limitranges"),
            object("v1", "LimitRange", "limits", json!({"spec": {"limits": []}})),
        ),
        (
            "NetworkPolicy",
            ns.path("networking.k8s.io/v1", "networkpolicies"),
            object("networking.k8s.io/v1", "NetworkPolicy", "apart", json!({"spec": {"podSelector": {}}})),
        ),
        ("RoleBinding", ns.rbac("rolebindings"), bound),
    ]
}

/// A furnished namespace that dave owns by `admin`, and alice by `edit`.
async fn furnished(world: &World, labels: &Value) -> Namespace {
    let ns = world.lend_namespace(labels).await;
    for (_, all, body) in furniture(&ns) {
        world.must("lender", Call::post(all, body)).await;
    }
    for (name, role, owner) in [("oz-owner", "admin", "dave"), ("oz-second", "edit", "alice")] {
        let bound = binding(name, &world.labels(), ("ClusterRole", role), &[user(owner)]);
        world.must("lender", Call::post(ns.rbac("rolebindings"), bound)).await;
        let may = json!({"namespace": ns.name, "verb": "create", "resource": "configmaps"});
        support::rights::until(world.who("admin"), world.user(owner), may, true).await.unwrap();
    }
    ns
}

#[tokio::test]
async fn what_stands_in_lent_namespaces() {
    let world = World::new("furnished", Cast::Certificates).await;
    let ns = furnished(&world, &json!({})).await;
    let mut t = Table::new("what stands in lent namespaces", &world);
    for (kind, all, body) in furniture(&ns) {
        // boss may do all of it by RBAC. Of the owner's own role, quotas and limits are no part.
        let dave = if matches!(kind, "ResourceQuota" | "LimitRange") { Rbac } else { GUARD };
        let path = format!("{all}/{}", body["metadata"]["name"].as_str().unwrap());
        let label = |value: Value| json!({"metadata": {"labels": {GRANT_LABEL: value}}});
        let changes = [
            ("strips its label", label(Value::Null)),
            ("changes its label", label(json!("oz-other"))),
            ("empties its label", label(json!(""))),
            ("annotates it", json!({"metadata": {"annotations": {"a": "b"}}})),
            ("plants a finalizer on it", json!({"metadata": {"finalizers": ["a.b/c"]}})),
            ("plants an owner", json!({"metadata": {"ownerReferences": dangling_owner()}})),
            ("empties it", json!({"spec": null, "data": null, "subjects": null})),
        ];
        for (what, change) in changes {
            t.case(&format!("{kind}: boss {what}"), GUARD, "boss", Call::merge(&path, change.clone())).await;
            if kind != "RoleBinding" || change.get("metadata").is_some() {
                t.case(&format!("{kind}: dave {what}"), dave, "dave", Call::merge(&path, change)).await;
            }
        }
        let unlabelled = with(body.clone(), &label(Value::Null));
        let now = world.must("admin", Call::get(&path)).await;
        for (who, expect) in [("boss", GUARD), ("dave", dave)] {
            let by = |what: &str| format!("{kind}: {who} {what}");
            t.case(&by("deletes it"), expect, who, Call::delete(&path)).await;
            t.case(&by("deletes it, dry run"), expect, who, Call::delete(&path).dry()).await;
            let orphan = Call::delete(&path).body(json!({"propagationPolicy": "Orphan"}));
            t.case(&by("deletes it, orphaning"), expect, who, orphan).await;
            let many = Call::delete(&all).query("labelSelector", GRANT_LABEL);
            t.case(&by("deletes all"), expect, who, many).await;
            let apply = Call::apply(&path, unlabelled.clone(), who).force();
            t.case(&by("takes it over by server-side apply"), expect, who, {
                Call::apply(&path, with(body.clone(), &label(json!("x"))), who).force()
            })
            .await;
            t.case(&by("applies it without the label"), expect, who, apply).await;
            t.case(&by("replaces it"), expect, who, Call::put(&path, with(now.clone(), &label(Value::Null))))
                .await;
            let another = |name: Value| with(body.clone(), &json!({"metadata": name}));
            t.case(&by("makes another"), expect, who, {
                Call::post(&all, another(json!({"name": "another"})))
            })
            .await;
            t.case(&by("makes another, by generateName"), expect, who, {
                Call::post(&all, another(json!({"name": null, "generateName": "x-"})))
            })
            .await;
            let own = with(unlabelled.clone(), &json!({"metadata": {"name": format!("own-{who}")}}));
            if expect.is_policy() {
                t.case(&by("makes one of his own"), Allowed, who, Call::post(&all, own)).await;
                let adopt = Call::merge(format!("{all}/own-{who}"), label(json!(PART_OF_NAMESPACE)));
                t.case(&by("labels his own"), GUARD, who, adopt).await;
                t.case(&by("deletes his own"), Allowed, who, Call::delete(format!("{all}/own-{who}"))).await;
            }
        }
        t.case(&format!("{kind}: the controller changes it, dry run"), GUARD, "lender", {
            Call::apply(&path, body.clone(), "oz").force().dry()
        })
        .await;
        t.case(&format!("{kind}: the controller applies it again"), Allowed, "lender", {
            Call::apply(&path, body.clone(), "oz").force()
        })
        .await;
        t.case(&format!("{kind}: the collectors delete it"), Allowed, "gc", Call::delete(&path).dry()).await;
        t.case(&format!("{kind}: the collectors strip its label"), GUARD, "gc", {
            Call::merge(&path, label(Value::Null))
        })
        .await;
    }
    quotas_count(&mut t, &world, &ns).await;
    t.finish();
    ns.remove().await.unwrap();
    world.end().await;
}

/// A quota of the class bounds its owners, who keep what is theirs: the API server counts into its status.
async fn quotas_count(t: &mut Table<'_>, world: &World, ns: &Namespace) {
    let quota = ns.core("resourcequotas/bounds");
    let counted = eventually("the quota is counted", LIMIT, || async {
        let seen = world.who("admin").call(Call::get(&quota)).await.map_err(|error| error.to_string())?;
        let status = &seen.body["status"];
        if status["used"]["count/secrets"].is_string() { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    t.fact("Kubernetes counts into the quota", counted.is_ok(), &format!("{counted:?}"));
    let secret = |name: &str| Call::post(ns.core("secrets"), json!({"metadata": {"name": name}}));
    t.case("the first Secret", Allowed, "dave", secret("a")).await;
    t.case("the second", Allowed, "dave", secret("b")).await;
    t.case("one too many", Code(403), "dave", secret("c")).await;
    let status =
        || Call::merge(format!("{quota}/status"), json!({"status": {"used": {"count/secrets": "0"}}}));
    t.case("dave writes its status", Rbac, "dave", status()).await;
    t.case("boss writes its status", GUARD, "boss", status()).await;
    t.case("the API server writes it", Allowed, "apiserver", status().dry()).await;
    ns.bind("quota", &own("tests-lender"), &[account("kube-system", "resourcequota-controller")])
        .await
        .unwrap();
    let may =
        json!({"namespace": ns.name, "verb": "patch", "resource": "resourcequotas", "subresource": "status"});
    support::rights::until(world.who("admin"), world.user("quota"), may, true).await.unwrap();
    t.case("the quota controller writes it", Allowed, "quota", status().dry()).await;
    let strip = json!({"metadata": {"labels": {GRANT_LABEL: null}}});
    for who in ["boss", "apiserver", "quota"] {
        let by_status = Call::merge(format!("{quota}/status"), strip.clone());
        t.case(&format!("{who} strips its label through /status"), GUARD, who, by_status).await;
    }
    let forged = json!({"metadata": {"name": "z", "labels": {GRANT_LABEL: "x"}}, "spec": {"hard": {}}});
    t.case("the API server makes one", GUARD, "apiserver", Call::post(ns.core("resourcequotas"), forged))
        .await;
    let looser = Call::merge(&quota, json!({"spec": {"hard": {"count/secrets": "99"}}}));
    t.case("boss raises it", GUARD, "boss", looser).await;
}

/// Of the namespace itself the owner may change annotations, and end it, if a role gives him that.
#[tokio::test]
async fn owners_of_lent_namespaces() {
    let world = World::new("owned", Cast::Certificates).await;
    let ns = furnished(&world, &json!({NETWORK_POLICIES_LABEL: "Oz"})).await;
    let role = own("tests-own-namespace");
    let resources = ["namespaces", "namespaces/finalize", "namespaces/status"];
    let rules =
        json!([{"apiGroups": [""], "resources": resources, "verbs": ["get", "update", "patch", "delete"]}]);
    support::rights::cluster_role(world.who("admin"), &role, rules).await.unwrap();
    ns.bind("dave-owns", &role, &[user("dave")]).await.unwrap();
    let may = json!({"namespace": ns.name, "verb": "delete", "resource": "namespaces", "name": ns.name});
    support::rights::until(world.who("admin"), world.user("dave"), may, true).await.unwrap();
    let mut t = Table::new("owners of lent namespaces", &world);
    let path = format!("/api/v1/namespaces/{}", ns.name);
    let merge = |metadata: Value| Call::merge(&path, json!({"metadata": metadata}));
    t.case("alice (edit) annotates it", Rbac, "alice", merge(json!({"annotations": {"a": "b"}}))).await;
    t.case("dave annotates it", Allowed, "dave", merge(json!({"annotations": {"a": "b"}}))).await;
    for (what, metadata) in [
        ("strips the grant label", json!({"labels": {GRANT_LABEL: null}})),
        ("changes it", json!({"labels": {GRANT_LABEL: "oz-other"}})),
        ("lets owners write NetworkPolicies", json!({"labels": {NETWORK_POLICIES_LABEL: null}})),
        ("says another word there", json!({"labels": {NETWORK_POLICIES_LABEL: "Owners"}})),
        ("loosens pods", json!({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}})),
        ("adds a label", json!({"labels": {"a": "b"}})),
        ("takes all labels", json!({"labels": null})),
        ("plants a finalizer", json!({"finalizers": ["a.b/c"]})),
        ("plants an owner", json!({"ownerReferences": dangling_owner()})),
    ] {
        t.case(&format!("dave {what}"), GUARD, "dave", merge(metadata.clone())).await;
        t.case(&format!("dave {what}, dry run"), GUARD, "dave", merge(metadata.clone()).dry()).await;
        if what != "plants a finalizer" {
            let status = Call::merge(format!("{path}/status"), json!({"metadata": metadata}));
            t.case(&format!("dave {what} through /status"), GUARD, "dave", status).await;
        }
    }
    let mut whole = world.must("admin", Call::get(&path)).await;
    whole["metadata"]["labels"].as_object_mut().unwrap().remove(GRANT_LABEL);
    t.case("dave replaces it without the label", GUARD, "dave", Call::put(&path, whole.clone())).await;
    t.case("dave finalizes it without the label", GUARD, "dave", {
        Call::put(format!("{path}/finalize"), whole.clone())
    })
    .await;
    whole["metadata"]["labels"][GRANT_LABEL] = json!(world.grant);
    whole["spec"]["finalizers"] = json!([]);
    t.case("dave takes what keeps it", GUARD, "dave", Call::put(format!("{path}/finalize"), whole.clone()))
        .await;
    whole["spec"]["finalizers"] = json!(["kubernetes", "a.b/c"]);
    t.case("dave lets something more keep it", GUARD, "dave", Call::put(format!("{path}/finalize"), whole))
        .await;
    let applied = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns.name, "labels": {GRANT_LABEL: "x"}}});
    t.case(
        "dave takes it over by server-side apply",
        GUARD,
        "dave",
        Call::apply(&path, applied, "d").force(),
    )
    .await;
    let own_path = format!("/api/v1/namespaces/{}", world.ns.name);
    let label = json!({"metadata": {"labels": {GRANT_LABEL: world.grant}}});
    t.case("boss labels a namespace that is not lent", GUARD, "boss", Call::merge(&own_path, label)).await;
    let forged = json!({"metadata": {"generateName": "tests-forged-", "labels": world.labels()}});
    t.case(
        "boss makes a labelled one, by generateName",
        GUARD,
        "boss",
        Call::post("/api/v1/namespaces", forged),
    )
    .await;
    t.case("alice (edit) ends it", Rbac, "alice", Call::delete(&path)).await;
    t.case("dave ends it", Allowed, "dave", Call::delete(&path)).await;
    // With NetworkPolicies and all that is labelled in it: the real collector of namespaces is let through.
    let gone = eventually("the namespace is gone", LIMIT, || async {
        let answer = world.who("admin").call(Call::get(&path)).await.map_err(|error| error.to_string())?;
        if answer.code == 404 { Ok(()) } else { Err(answer.body["status"].to_string()) }
    })
    .await;
    t.fact("the namespace goes, with all that stands in it", gone.is_ok(), &format!("{gone:?}"));
    t.finish();
    world.end().await;
}

/// NetworkPolicies are Oz's where the namespace says so, whatever its owners' role lets them.
#[tokio::test]
async fn network_policies_of_lent_namespaces() {
    let world = World::new("netpols", Cast::Certificates).await;
    let closed = furnished(&world, &json!({NETWORK_POLICIES_LABEL: "Oz"})).await;
    let open = furnished(&world, &json!({})).await;
    world.ns.bind("alice-edits", "edit", &[user("alice")]).await.unwrap();
    let collector = [account("kube-system", "generic-garbage-collector")];
    let role = own("tests-lender");
    for ns in [&closed, &open] {
        ns.bind("collector", &role, &collector).await.unwrap();
        let may = json!({"namespace": ns.name, "verb": "create", "group": "networking.k8s.io", "resource": "networkpolicies"});
        support::rights::until(world.who("admin"), world.user("gc"), may, true).await.unwrap();
    }
    world.until_may("alice", "create", "networking.k8s.io", "networkpolicies", true).await;
    let mut t = Table::new("NetworkPolicies", &world);
    let all = |ns: &Namespace| ns.path("networking.k8s.io/v1", "networkpolicies");
    let body = |name: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name},
            "spec": {"podSelector": {}, "ingress": [{}]}})
    };
    t.case("kube-system's make one", Allowed, "gc", Call::post(all(&closed), body("cni"))).await;
    for who in ["dave", "alice", "boss", "root"] {
        let by = |what: &str| format!("{who} {what}");
        let generated = with(body(""), &json!({"metadata": {"name": null, "generateName": "own-"}}));
        let there = format!("{}/cni", all(&closed));
        if ["boss", "root"].contains(&who) {
            // They write them in the whole cluster: no owners.
            let path = format!("{}/whole-{who}", all(&closed));
            t.case(
                &by("opens the network"),
                Allowed,
                who,
                Call::apply(&path, body(&format!("whole-{who}")), who),
            )
            .await;
            t.case(&by("opens it, by generateName"), Allowed, who, Call::post(all(&closed), generated)).await;
            let change = Call::merge(&there, json!({"metadata": {"annotations": {"by": who}}}));
            t.case(&by("changes one"), Allowed, who, change).await;
            t.case(&by("deletes one"), Allowed, who, Call::delete(path)).await;
        } else {
            t.case(&by("opens the network"), NAMESPACES, who, Call::post(all(&closed), body("own"))).await;
            let dry = Call::post(all(&closed), body("own")).dry();
            t.case(&by("opens it, dry run"), NAMESPACES, who, dry).await;
            t.case(&by("opens it, by generateName"), NAMESPACES, who, Call::post(all(&closed), generated))
                .await;
            let apply = Call::apply(format!("{}/own", all(&closed)), body("own"), who).force();
            t.case(&by("opens it by server-side apply"), NAMESPACES, who, apply).await;
            let change = Call::merge(&there, json!({"spec": {"ingress": null}}));
            t.case(&by("changes one"), NAMESPACES, who, change).await;
            t.case(&by("deletes one"), NAMESPACES, who, Call::delete(&there)).await;
        }
        t.case(&by("deletes all"), AnyVap, who, Call::delete(all(&closed))).await;
        t.case(&by("deletes the class's"), AnyVap, who, Call::delete(format!("{}/apart", all(&closed))))
            .await;
        let own = || format!("own-{who}");
        t.case(&by("writes where the class lets him"), Allowed, who, Call::post(all(&open), body(&own())))
            .await;
        t.case(&by("... and deletes it"), Allowed, who, Call::delete(format!("{}/{}", all(&open), own())))
            .await;
        t.case(&by("deletes the class's there"), GUARD, who, Call::delete(format!("{}/apart", all(&open))))
            .await;
        t.case(&by("writes where nothing is lent"), Allowed, who, {
            Call::post(world.ns.path("networking.k8s.io/v1", "networkpolicies"), body(&own()))
        })
        .await;
    }
    let label = json!({"metadata": {"labels": {NETWORK_POLICIES_LABEL: "Oz"}}});
    world.must("boss", Call::merge(format!("/api/v1/namespaces/{}", world.ns.name), label)).await;
    t.case("alice writes where nothing is lent, whatever its label says", Allowed, "alice", {
        Call::post(world.ns.path("networking.k8s.io/v1", "networkpolicies"), body("labelled"))
    })
    .await;
    t.case("bob (no rights) there", Rbac, "bob", Call::post(all(&closed), body("own"))).await;
    let cni = format!("{}/cni", all(&closed));
    t.case(
        "kube-system's change theirs",
        Allowed,
        "gc",
        Call::merge(&cni, json!({"spec": {"ingress": null}})),
    )
    .await;
    t.case("the controller makes one of the class's", Allowed, "lender", {
        let label = json!({"metadata": {"labels": {GRANT_LABEL: PART_OF_NAMESPACE}}});
        Call::post(all(&closed), with(body("more"), &label))
    })
    .await;
    t.case("kube-system's delete theirs", Allowed, "gc", Call::delete(&cni)).await;
    t.finish();
    closed.remove().await.unwrap();
    open.remove().await.unwrap();
    world.end().await;
}
