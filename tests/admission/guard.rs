//! The guard: what carries the grant label is made, changed and deleted by the controller and Kubernetes' own parts alone.

use oz_shared::names::{GRANT_LABEL, SYSTEM_NAMESPACE};
use serde_json::{Value, json};
use support::rights::{self, account, bind_everywhere, cluster_role, user};
use support::{Call, RUN_LABEL, User, is_served, run};

use crate::bodies::{binding, pod, role, rule, with};
use crate::lending::{LONG, give, owner, session_name};
use crate::setup::own;
use crate::table::Expect::{Allowed, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World, person};

const GUARD: Expect = Vap("oz-guard");
const CONTROLLER: Expect = Vap("oz-controller");

#[tokio::test]
async fn guard_of_pods() {
    let world = World::new("guardpods", Cast::Certificates).await;
    world.run_pods().await;
    let owner = owner(&world).await;
    let mut t = Table::new("guard of pods", &world);
    let labels = world.labels();
    let pods = world.ns.core("pods");
    let (copy, web) = (format!("{pods}/copy"), format!("{pods}/web-0"));
    let post = |name: &str, labels: &Value| Call::post(&pods, pod(name, labels));
    let made = Call::post(&pods, crate::bodies::copy("copy", &labels, &owner));
    t.case("controller makes a copy", Allowed, "ctl", made.clone()).await;
    t.case("controller makes it, dry run", GUARD, "ctl", made.dry()).await;
    let forged = crate::bodies::copy("c3", &labels, &owner);
    t.case("dave makes one with all its marks", GUARD, "dave", Call::post(&pods, forged)).await;

    t.case("dave plants the label", GUARD, "dave", post("c3", &labels)).await;
    t.case("dave plants it empty", GUARD, "dave", post("c3", &json!({GRANT_LABEL: ""}))).await;
    t.case("dave adds it later", GUARD, "dave", Call::merge(&web, json!({"metadata": {"labels": labels}})))
        .await;
    let label = |value: Value| json!({"metadata": {"labels": {GRANT_LABEL: value}}});
    t.case("dave strips it", GUARD, "dave", Call::merge(&copy, label(Value::Null))).await;
    t.case("dave changes it", GUARD, "dave", Call::merge(&copy, label(json!("other")))).await;
    let body =
        with(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "copy"}}), &label(json!("")));
    t.case("dave strips it by server-side apply", GUARD, "dave", Call::apply(&copy, body, "d").force()).await;
    let on = |subresource: &str, body| Call::merge(format!("{copy}/{subresource}"), body);
    t.case("boss strips it through /status", GUARD, "boss", on("status", label(Value::Null))).await;
    let beside = json!({"spec": {"ephemeralContainers": [{"name": "e", "image": "x"}]}});
    t.case("boss adds an ephemeral container", GUARD, "boss", on("ephemeralcontainers", beside)).await;
    let smaller =
        json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1m"}}}]}});
    if is_served(world.who("admin"), "/api/v1", "pods/resize").await.unwrap() {
        t.case("boss resizes", GUARD, "boss", on("resize", smaller)).await;
    }
    t.case(
        "dave plants a finalizer",
        GUARD,
        "dave",
        Call::merge(&copy, json!({"metadata": {"finalizers": ["a.b/c"]}})),
    )
    .await;
    let owner = json!({"metadata": {"ownerReferences": crate::bodies::dangling_owner()}});
    t.case("dave plants an owner", GUARD, "dave", Call::merge(&copy, owner)).await;
    t.case("dave deletes it", GUARD, "dave", Call::delete(&copy)).await;
    t.case(
        "dave by deletecollection",
        GUARD,
        "dave",
        Call::delete(&pods).query("labelSelector", GRANT_LABEL),
    )
    .await;
    let eviction = Call::post(format!("{copy}/eviction"), json!({"metadata": {"name": "copy"}})).dry();
    t.case("dave evicts it (not seen: ends it early, harmless)", Allowed, "dave", eviction).await;

    t.case("replicaset-controller forges it for a Deployment", GUARD, "rs", post("c4", &labels)).await;
    let deployments = world.ns.path("apps/v1", "deployments");
    let template = json!({"metadata": {"labels": {"app": "forged", GRANT_LABEL: world.grant}}, "spec": pod("", &json!({}))["spec"]});
    let mut template = template;
    template["spec"].as_object_mut().unwrap().remove("activeDeadlineSeconds");
    let forged = json!({"metadata": {"name": "forged"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "forged"}}, "template": template}});
    t.case("dave makes that Deployment", Allowed, "dave", Call::post(&deployments, forged)).await;
    let conditions = support::eventually(
        "the real ReplicaSet controller is refused",
        std::time::Duration::from_secs(20),
        || async {
            let deployment = world
                .who("dave")
                .call(Call::get(format!("{deployments}/forged")))
                .await
                .map_err(|e| e.to_string())?;
            let conditions = deployment.body["status"]["conditions"].to_string();
            if conditions.contains("oz-guard") { Ok(()) } else { Err(conditions) }
        },
    )
    .await;
    t.fact("its ReplicaSet makes no pod", conditions.is_ok(), &format!("{conditions:?}"));
    t.case("replicaset-controller relabels", GUARD, "rs", Call::merge(&copy, label(json!("g2")))).await;
    t.case("kube-system strips", GUARD, "gc", Call::merge(&copy, label(Value::Null))).await;
    let message = json!({"status": {"message": "x"}});
    t.case("scheduler writes status", Allowed, "sched", on("status", message.clone()).dry()).await;
    t.case("a node writes status", Allowed, "node-wide", on("status", message).dry()).await;
    t.case("a node strips the label", GUARD, "node-wide", on("status", label(Value::Null))).await;
    t.case("unlabelled pods are free", Allowed, "dave", post("free", &json!({})).dry()).await;
    t.case("controller deletes the copy, dry run", GUARD, "ctl", Call::delete(&copy).dry()).await;
    t.case("controller deletes the copy", Allowed, "ctl", Call::delete(&copy)).await;
    t.finish();
    world.end().await;
}

/// Someone who may change and delete the pods here, and holds `revoke` on the grant of this name.
async fn meet_revoker(world: &mut World, name: &'static str, grant: &str) {
    let admin = world.who("admin").clone();
    let role = own(&format!("tests-{name}"));
    let revoker = User { username: own(name), ..person(name, &[]) };
    let subject = [user(&revoker.username)];
    let rules = json!([rule(&["ozaccess.io"], &["grants"], &[grant], &["revoke"])]);
    cluster_role(&admin, &role, rules).await.unwrap();
    bind_everywhere(&admin, &role, &role, &subject).await.unwrap();
    world.ns.bind(name, "edit", &subject).await.unwrap();
    let asked = json!({"verb": "revoke", "group": "ozaccess.io", "resource": "grants", "name": grant});
    rights::until(&admin, &revoker, asked, true).await.unwrap();
    world.meet(name, admin.impersonate(revoker).unwrap());
    world.until_may(name, "delete", "", "pods", true).await;
}

/// A copy is a pod: who may change pods annotates it and takes finalizers off, and who may end its grant deletes it. What
/// it is, and whose, stays.
#[tokio::test]
async fn guard_of_a_copy() {
    let mut world = World::new("guardcopy", Cast::Certificates).await;
    let owner = owner(&world).await;
    let (grant, another) = (world.grant.clone(), own("another"));
    meet_revoker(&mut world, "revoker", &grant).await;
    meet_revoker(&mut world, "stranger", &another).await;
    let mut t = Table::new("guard of a copy", &world);
    let pods = world.ns.core("pods");
    let copy = format!("{pods}/copy");
    let held = json!({"metadata": {"finalizers": ["a.b/c", "a.b/d"], "labels": {"own": "label"}}});
    let body = with(crate::bodies::copy("copy", &world.labels(), &owner), &held);
    t.case("controller makes a copy that something holds", Allowed, "ctl", Call::post(&pods, body)).await;
    let merge = |metadata: Value| Call::merge(&copy, json!({"metadata": metadata}));
    let on = |subresource: &str, body| Call::merge(format!("{copy}/{subresource}"), body);
    let patch = |operations| Call::json_patch(&copy, operations);

    t.case("dave annotates it", Allowed, "dave", merge(json!({"annotations": {"a": "b"}}))).await;
    t.case("dave takes that back", Allowed, "dave", merge(json!({"annotations": {"a": null}}))).await;
    t.case("erin (no rights on pods) annotates it", Rbac, "erin", merge(json!({"annotations": {"a": "b"}})))
        .await;
    let message = json!({"status": {"message": "x"}});
    t.case("boss writes its status", Allowed, "boss", on("status", message.clone()).dry()).await;
    t.case("dave (reads it only) writes its status", Rbac, "dave", on("status", message)).await;
    let finalizers = |list: &[&str]| json!({"finalizers": list});
    t.case("dave adds a finalizer", GUARD, "dave", merge(finalizers(&["a.b/c", "a.b/d", "a.b/e"]))).await;
    t.case("dave swaps one", GUARD, "dave", merge(finalizers(&["a.b/c", "a.b/e"]))).await;
    t.case("dave takes one off", Allowed, "dave", merge(finalizers(&["a.b/d"]))).await;
    t.case("dave puts it back", GUARD, "dave", merge(finalizers(&["a.b/c", "a.b/d"]))).await;
    let again = json!({"metadata": finalizers(&["a.b/c", "a.b/d"])});
    t.case("boss puts it back through /status", GUARD, "boss", on("status", again)).await;

    t.case("dave adds another label", GUARD, "dave", merge(json!({"labels": {"app": "web"}}))).await;
    t.case("dave takes another label off", GUARD, "dave", merge(json!({"labels": {"own": null}}))).await;
    t.case("dave strips the owner", GUARD, "dave", merge(json!({"ownerReferences": null}))).await;
    let two = json!([owner, crate::bodies::dangling_owner()[0]]);
    t.case("dave adds an owner", GUARD, "dave", merge(json!({"ownerReferences": two}))).await;
    let image = json!({"op": "replace", "path": "/spec/containers/0/image", "value": "localhost/busybox:2"});
    t.case("dave changes its image", GUARD, "dave", patch(json!([image]))).await;
    let note = json!({"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}});
    t.case("dave annotates it and changes its image", GUARD, "dave", patch(json!([note, image]))).await;
    let sooner = json!([{"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": 500}]);
    t.case("dave changes its deadline", GUARD, "dave", patch(sooner)).await;
    let taint = json!([{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]);
    t.case("dave lets it tolerate more", GUARD, "dave", patch(taint)).await;

    let delete = || Call::delete(&copy);
    t.case("dave (no revoke) deletes it", GUARD, "dave", delete()).await;
    t.case("who may revoke another grant deletes it", GUARD, "stranger", delete()).await;
    t.case("frank (no rights on pods) deletes it", Rbac, "frank", delete()).await;
    t.case("who may revoke its grant relabels it", GUARD, "revoker", {
        merge(json!({"labels": {GRANT_LABEL: another}}))
    })
    .await;
    t.case("boss (revoke by *) deletes it", Allowed, "boss", delete().dry()).await;
    t.case("the collectors delete it", Allowed, "gc", delete().dry()).await;
    let all = Call::delete(&pods).query("labelSelector", GRANT_LABEL);
    t.case("who may revoke its grant, by deletecollection", Allowed, "revoker", all.dry()).await;
    t.case("who may revoke its grant deletes it", Allowed, "revoker", delete()).await;
    t.case("dave takes the last finalizer off", Allowed, "dave", merge(json!({"finalizers": null}))).await;
    t.finish();
    world.end().await;
}

#[tokio::test]
async fn guard_of_rights_and_quotas() {
    let world = World::new("guardrights", Cast::Certificates).await;
    let mut t = Table::new("guard of rights and quotas", &world);
    let labels = world.labels();
    let s1 = session_name('p', LONG);
    let rules = json!([rule(&[""], &["pods"], &["web-0"], &["get"])]);
    give(&mut t, &world, &s1, rules.clone()).await;
    let bound = world.ns.rbac(&format!("rolebindings/{s1}"));
    let rights = world.ns.rbac(&format!("roles/{s1}"));
    let to_dave = || Call::merge(&bound, json!({"subjects": [user("dave")]}));
    // RBAC's escalation check looks first; dave holds what this Role gives.
    t.case("dave edits the grant binding", GUARD, "dave", to_dave()).await;
    t.case("boss edits the grant binding", GUARD, "boss", to_dave()).await;
    t.case("erin edits the grant binding", Rbac, "erin", to_dave()).await;
    let finalizer = json!({"metadata": {"finalizers": ["a.b/c"]}});
    t.case("dave plants a finalizer on it", GUARD, "dave", Call::merge(&bound, finalizer)).await;
    t.case("dave deletes it", GUARD, "dave", Call::delete(&bound)).await;
    t.case("dave deletes the Role", GUARD, "dave", Call::delete(&rights)).await;
    t.case("boss (revoke by *) deletes it", GUARD, "boss", Call::delete(&rights)).await;
    t.case("boss widens the Role", GUARD, "boss", Call::merge(&rights, json!({"rules": []}))).await;
    let unlabelled = json!({"metadata": {"labels": {GRANT_LABEL: null}}});
    t.case("boss strips its label", GUARD, "boss", Call::merge(&rights, unlabelled)).await;
    t.case(
        "dave makes a labelled Role",
        GUARD,
        "dave",
        Call::post(world.ns.rbac("roles"), role("z", &labels, rules)),
    )
    .await;
    let forged = binding("z", &labels, ("Role", &s1), &[user("dave")]);
    t.case("dave makes a labelled binding", GUARD, "dave", Call::post(world.ns.rbac("rolebindings"), forged))
        .await;
    let named = |name: &str| json!({"metadata": {"name": name, "labels": labels}});
    let core = |kind: &str, body| Call::post(world.ns.core(kind), body);
    t.case("boss makes a labelled Secret", GUARD, "boss", core("secrets", named("z"))).await;
    t.case(
        "boss: unlabelled Secret",
        Allowed,
        "boss",
        core("secrets", json!({"metadata": {"name": "z"}})).dry(),
    )
    .await;
    t.case("boss: labelled account", GUARD, "boss", core("serviceaccounts", named("z"))).await;
    let quota = with(named("z"), &json!({"spec": {"hard": {"pods": "9"}}}));
    t.case("boss: labelled quota", GUARD, "boss", core("resourcequotas", quota)).await;
    t.case(
        "boss: labelled limits",
        GUARD,
        "boss",
        core("limitranges", with(named("z"), &json!({"spec": {"limits": []}}))),
    )
    .await;
    let policy = with(named("z"), &json!({"spec": {"podSelector": {}}}));
    let policies = world.ns.path("networking.k8s.io/v1", "networkpolicies");
    t.case("boss: labelled network policy", GUARD, "boss", Call::post(policies, policy)).await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    t.case("boss: labelled ClusterRole", GUARD, "boss", Call::post(roles, named("z"))).await;
    let generated = json!({"metadata": {"generateName": "z", "labels": labels}});
    t.case("boss: generateName", GUARD, "boss", core("secrets", generated)).await;
    t.case("boss: by server-side apply", GUARD, "boss", {
        let body = with(named("z"), &json!({"apiVersion": "v1", "kind": "Secret"}));
        Call::apply(world.ns.core("secrets/z"), body, "b").force()
    })
    .await;
    t.case("controller empties its binding", Allowed, "ctl", Call::merge(&bound, json!({"subjects": null})))
        .await;
    t.case("controller deletes it", Allowed, "ctl", Call::delete(&bound)).await;
    t.finish();
    world.end().await;
}

#[tokio::test]
async fn guard_of_lent_namespaces() {
    let world = World::new("guardns", Cast::Certificates).await;
    let name = own("tests-lent");
    let controller = account(SYSTEM_NAMESPACE, "oz-controller");
    let role = own("tests-cluster");
    bind_everywhere(world.who("admin"), &role, &role, &[controller]).await.unwrap();
    let may = json!({"verb": "create", "resource": "namespaces"});
    support::rights::until(world.who("admin"), world.user("ctl"), may, true).await.unwrap();
    let mut t = Table::new("guard of lent namespaces", &world);
    let labels = world.labels();
    let all = "/api/v1/namespaces";
    let path = format!("{all}/{name}");
    let lent = || Call::post(all, json!({"metadata": {"name": name, "labels": labels}}));
    t.case("boss: labelled namespace", GUARD, "boss", lent()).await;
    t.case("controller: unlabelled namespace", CONTROLLER, "ctl", {
        Call::post(all, json!({"metadata": {"name": name, "labels": {RUN_LABEL: run()}}}))
    })
    .await;
    t.case("controller makes a lent namespace", Allowed, "ctl", lent()).await;
    let merge = |metadata| Call::merge(&path, json!({"metadata": metadata}));
    t.case("its owner annotates it", Allowed, "boss", merge(json!({"annotations": {"a": "b"}}))).await;
    let loose = json!({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}});
    t.case("its owner loosens pod security", GUARD, "boss", merge(loose)).await;
    t.case("its owner strips the label", GUARD, "boss", merge(json!({"labels": {GRANT_LABEL: null}}))).await;
    t.case("its owner plants a finalizer", GUARD, "boss", merge(json!({"finalizers": ["a.b/c"]}))).await;
    t.case(
        "its owner plants an owner",
        GUARD,
        "boss",
        merge(json!({"ownerReferences": crate::bodies::dangling_owner()})),
    )
    .await;
    let finalize = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}});
    t.case("... through /finalize", GUARD, "boss", Call::put(format!("{path}/finalize"), finalize)).await;
    let own_path = format!("{all}/{}", world.ns.name);
    let adopt = || Call::merge(&own_path, json!({"metadata": {"labels": labels}}));
    t.case("boss adopts a namespace by label", GUARD, "boss", adopt()).await;
    t.case("controller adopts it", CONTROLLER, "ctl", adopt()).await;
    t.case("controller deletes it", CONTROLLER, "ctl", Call::delete(&own_path)).await;
    t.case(
        "controller strips the label of its own",
        CONTROLLER,
        "ctl",
        merge(json!({"labels": {GRANT_LABEL: null}})),
    )
    .await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": name, "labels": labels}, "rules": []});
    t.case(
        "controller makes a ClusterRole",
        CONTROLLER,
        "ctl",
        Call::post(format!("{rbac}/clusterroles"), role),
    )
    .await;
    let itself = [account(SYSTEM_NAMESPACE, "oz-controller")];
    let everywhere = binding(&name, &labels, ("ClusterRole", "oz-controller"), &itself);
    t.case(
        "controller binds cluster-wide",
        CONTROLLER,
        "ctl",
        Call::post(format!("{rbac}/clusterrolebindings"), everywhere),
    )
    .await;
    t.case("its owner deletes it", Allowed, "boss", Call::delete(&path)).await;
    t.finish();
    world.end().await;
}
