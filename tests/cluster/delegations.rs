//! Delegations: who comes to hold what, on which cue, and that it ends.

use std::time::Duration;

use oz_shared::Delegation;
use oz_shared::names::{GRANT_LABEL, grant_name};
use serde_json::{Value, json};
use support::rights::{account, cluster_role, user};
use support::{Call, Identity, eventually, run};

use crate::delegating::{Delegating, word};
use crate::world::{LIMIT, scenario};

/// What a change of a mirror may take, on a machine that compiles beside it: the promise is a second on one that is idle.
const FOLLOWS: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_role_for_a_while() {
    scenario("del-role", async |world| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        it.until_reads(&world.carol, "configmaps", false).await;
        it.write("d", json!({"deletionTriggers": [{"time": "6s"}], "repeat": 2})).await;
        let lent = it.until_lent("d").await;
        it.until_reads(&world.carol, "configmaps", true).await;
        assert_eq!(world.carol.call(Call::get(world.ns.core("services"))).await.unwrap().code, 403);
        let status = lent.status.clone().unwrap();
        assert_eq!((status.iteration, status.bindings.len()), (1, 1));
        assert!(status.granted.join("\n").contains("Role/reads"), "{:?}", status.granted);
        let grant =
            world.look(&format!("/apis/ozaccess.io/v1alpha1/grants/{}", status.grant.unwrap().name)).await;
        let spec = &grant.unwrap()["spec"];
        assert_eq!(spec["holder"]["username"], "User/carol");
        assert_eq!(spec["expiresAt"], json!(status.deletion_triggers[0].at));
        it.until_reads(&world.carol, "configmaps", false).await;
        it.until("d", "is lent again", |d| {
            d.status.as_ref().is_some_and(|s| s.iteration == 2) && word(d, "Ready") == "Lent"
        })
        .await;
        it.until_reads(&world.carol, "configmaps", true).await;
        let over = it.until_phase("d", "Completed").await;
        it.until_reads(&world.carol, "configmaps", false).await;
        it.until_nothing_left(&over).await;
    })
    .await;
}

#[tokio::test]
async fn all_that_an_account_holds_as_it_comes_and_goes() {
    scenario("del-mirror", async |world| {
        let it = Delegating::new(world).await;
        for (role, resource) in [
            ("configmaps", "configmaps"),
            ("services", "services"),
            ("secrets", "secrets"),
            ("endpoints", "endpoints"),
        ] {
            it.reads(role, resource).await;
        }
        let _ci = it.account("ci").await;
        let here = [account(&world.ns.name, "ci")];
        it.bind("one", "configmaps", &here).await;
        // A namesake elsewhere, one whose name is longer, and a person of the account's username: none of them is it.
        let username = format!("system:serviceaccount:{}:ci", world.ns.name);
        it.bind(
            "namesake",
            "endpoints",
            &[account("default", "ci"), account(&world.ns.name, "ci2"), user(&username)],
        )
        .await;
        let run_one = it.account("run-1").await;
        let other = it.account("other").await;
        it.write("d", json!({
            "origin": {"kind": "ServiceAccount", "name": "ci"},
            "destinations": [{"kind": "User", "name": "carol"}, {"kind": "ServiceAccount", "name": "run-*"}],
        }))
        .await;
        it.until_lent("d").await;
        for who in [&world.carol, &run_one] {
            it.until_reads(who, "configmaps", true).await;
            it.until_reads(who, "endpoints", false).await;
        }
        it.until_reads(&other, "configmaps", false).await;

        it.bind("two", "services", &[account("default", "x"), here[0].clone()]).await;
        follows(&world.carol, &world.ns.core("services"), true).await;
        it.unbind("one").await;
        follows(&world.carol, &world.ns.core("configmaps"), false).await;
        let path = world.ns.rbac("rolebindings/two");
        world.must(&world.admin, Call::merge(&path, json!({"subjects": [account("default", "x")]}))).await;
        follows(&world.carol, &world.ns.core("services"), false).await;
        it.bind("three", "secrets", &here).await;
        let run_two = it.account("run-2").await;
        follows(&run_two, &world.ns.core("secrets"), true).await;
        let gone = world.ns.core("serviceaccounts/run-1");
        world.must(&world.admin, Call::delete(gone)).await;
        let delegation = it
            .until("d", "has one binding", |d| d.status.as_ref().is_some_and(|s| s.bindings.len() == 1))
            .await;
        let grant = grant_name(delegation.metadata.uid.as_deref().unwrap());
        eventually("run-1 is taken out", LIMIT, || async {
            let list = world.look(&world.ns.rbac("rolebindings")).await?;
            let items = list["items"].as_array().cloned().unwrap_or_default();
            let ours = items
                .iter()
                .find(|b| b["metadata"]["labels"][GRANT_LABEL] == grant.as_str())
                .ok_or("none")?;
            if ours["subjects"].to_string().contains("run-1") {
                Err(ours["subjects"].to_string())
            } else {
                Ok(())
            }
        })
        .await
        .unwrap();
        it.release(&world.dave, "d").await;
        let over = it.until_phase("d", "Released").await;
        for who in [&world.carol, &run_two] {
            it.until_reads(who, "secrets", false).await;
        }
        it.until_nothing_left(&over).await;
    })
    .await;
}

/// Waits until someone may, or may not, do this: soon.
async fn follows(who: &Identity, path: &str, may: bool) {
    eventually(&format!("{} at {path}: {may}", who.user().username), FOLLOWS, || async {
        let code = who.call(Call::get(path)).await.map_err(|error| format!("{error:#}"))?.code;
        if (code == 200) == may { Ok(()) } else { Err(code.to_string()) }
    })
    .await
    .unwrap();
}

/// An object of each kind that may be waited for: where, and what.
fn objects(ns: &str, name: &str) -> Vec<(&'static str, String, Value)> {
    let labels = json!({"app": name});
    let metadata = json!({"name": name, "labels": labels});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "nodeSelector": {"no": "node"},
        "containers": [{"name": "main", "image": "localhost/busybox:1"}]}});
    let core = |kind: &str| format!("/api/v1/namespaces/{ns}/{kind}");
    let apps = |kind: &str| format!("/apis/apps/v1/namespaces/{ns}/{kind}");
    let mut always = pod.clone();
    always["spec"]["restartPolicy"] = json!("Always");
    let workload = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": always});
    vec![
        ("Pod", core("pods"), json!({"metadata": metadata, "spec": pod["spec"]})),
        ("Service", core("services"), json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}})),
        ("Secret", core("secrets"), json!({"metadata": metadata})),
        ("ServiceAccount", core("serviceaccounts"), json!({"metadata": metadata})),
        ("Endpoints", core("endpoints"), json!({"metadata": metadata})),
        (
            "EndpointSlice",
            format!("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"),
            json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [], "ports": []}),
        ),
        ("Deployment", apps("deployments"), json!({"metadata": metadata, "spec": workload})),
        ("StatefulSet", apps("statefulsets"), json!({"metadata": metadata, "spec": workload})),
        (
            "Job",
            format!("/apis/batch/v1/namespaces/{ns}/jobs"),
            json!({"metadata": metadata, "spec": {"suspend": true, "template": pod}}),
        ),
    ]
}

/// For each kind: what was there does not count, two that come do, a change of another does not, a change of this one begins
/// the next, and a deletion ends it.
#[tokio::test]
async fn every_kind_of_event() {
    scenario("del-events", async |world| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        let ns = &world.ns.name;
        for (kind, path, body) in objects(ns, "web-0") {
            world.must(&world.admin, Call::post(&path, body)).await;
            let name = kind.to_lowercase();
            let event = |on: &str, what: Value, count: i32| {
                let mut event = json!({"change": on, "kind": kind, "count": count});
                event.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
                json!([{"event": event}])
            };
            it.write(&format!("{name}-a"), json!({
                "triggers": event("Added", json!({"name": "web-*"}), 2),
                "deletionTriggers": event("Deleted", json!({"selector": {"matchLabels": {"app": "web-1"}}}), 1),
            }))
            .await;
            it.write(&format!("{name}-u"), json!({"triggers": event("Updated", json!({"name": "web-0"}), 1)})).await;
        }
        for (kind, path, _) in objects(ns, "") {
            let name = kind.to_lowercase();
            for suffix in ["a", "u"] {
                let waits = |d: &Delegation| d.status.as_ref().is_some_and(|s| !s.triggers.is_empty());
                let delegation = it.until(&format!("{name}-{suffix}"), "waits", waits).await;
                assert_eq!(delegation.status.as_ref().unwrap().triggers[0].count, 0, "{kind}: {:?}", delegation.status);
            }
            for (what, body) in ["web-1", "other", "web-2"].map(|n| (n, objects(ns, n))) {
                let body = body.into_iter().find(|(k, ..)| *k == kind).unwrap().2;
                world.must(&world.admin, Call::post(&path, body)).await;
                if what == "other" {
                    it.until(&format!("{name}-a"), "has counted one", |d| d.status.as_ref().is_some_and(|s| s.triggers[0].count == 1)).await;
                    let change = json!({"metadata": {"annotations": {"changed": "yes"}}});
                    world.must(&world.admin, Call::merge(format!("{path}/other"), change)).await;
                }
            }
            it.until_lent(&format!("{name}-a")).await;
            if kind != "Pod" {
                // The scheduler looks at pods, too.
                assert_eq!(it.get(&format!("{name}-u")).await.unwrap().phase().as_str(), "Waiting", "{kind}");
            }
            let change = json!({"metadata": {"annotations": {"changed": "yes"}}});
            world.must(&world.admin, Call::merge(format!("{path}/web-0"), change)).await;
            it.until_lent(&format!("{name}-u")).await;
            world.must(&world.admin, Call::delete(format!("{path}/web-1")).query("gracePeriodSeconds", "0")).await;
            let over = it.until_phase(&format!("{name}-a"), "Completed").await;
            it.until_nothing_left(&over).await;
        }
    })
    .await;
}

#[tokio::test]
async fn in_the_whole_cluster() {
    scenario("del-wide", async |world| {
        let it = Delegating::new(world).await;
        let (role, other) = (it.role("nodes"), it.role("storage"));
        let reads = |group: &str, resource: &str| json!([{"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]}]);
        cluster_role(&world.admin, &role, reads("", "nodes")).await.unwrap();
        cluster_role(&world.admin, &other, reads("storage.k8s.io", "storageclasses")).await.unwrap();
        it.everywhere(&role).await;
        let nodes = "/api/v1/nodes";
        let to_carol = json!({"scope": "Cluster", "origin": {"kind": "ClusterRole", "name": role},
            "triggers": [{"event": {"change": "Updated", "kind": "Node", "name": "*"}}]});
        it.write("role", to_carol).await;
        it.until("role", "waits", |d| d.status.as_ref().is_some_and(|s| !s.triggers.is_empty())).await;
        let list = world.look(nodes).await.unwrap();
        let node = list["items"][0]["metadata"]["name"].as_str().unwrap();
        let change = json!({"metadata": {"annotations": {"oz-tests": run()}}});
        world.must(&world.admin, Call::merge(format!("{nodes}/{node}"), change)).await;
        it.until_lent("role").await;
        follows(&world.carol, nodes, true).await;
        it.release(&world.dave, "role").await;
        let over = it.until_phase("role", "Released").await;
        follows(&world.carol, nodes, false).await;
        it.until_nothing_left(&over).await;

        // What a person and a group hold everywhere: what may be lent there of it.
        let (person, team) = (it.role("erin"), it.role("team"));
        let group = support::rights::group;
        for (name, role, subject) in [("w-1", &role, user(&person)), ("w-2", &other, user(&person)), ("w-3", &role, group(&team))] {
            support::rights::bind_everywhere(&world.admin, &it.role(name), role, &[subject]).await.unwrap();
        }
        for (name, kind, whose) in [("user", "User", &person), ("group", "Group", &team)] {
            it.write(name, json!({"scope": "Cluster", "origin": {"kind": kind, "name": whose}})).await;
            let lent = it.until(name, "is bound", |d| d.status.as_ref().is_some_and(|s| s.bindings.len() == 1)).await;
            assert_eq!(word(&lent, "Ready"), if name == "user" { "BeyondCeiling" } else { "Lent" }, "{:?}", lent.status);
            follows(&world.carol, nodes, true).await;
            assert_eq!(world.carol.call(Call::get("/apis/storage.k8s.io/v1/storageclasses")).await.unwrap().code, 403);
            it.release(&world.bob, name).await;
            let over = it.until_phase(name, "Released").await;
            it.until_nothing_left(&over).await;
            follows(&world.carol, nodes, false).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_no_longer_hand_it_on_lends_nothing() {
    scenario("del-lost", async |world| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        let to_bob = json!({"destinations": [{"kind": "User", "name": "bob"}]});
        assert_eq!(it.write_as(&world.carol, "carols", to_bob).await.code, 403);
        it.write("now", json!({})).await;
        it.write(
            "later",
            json!({"triggers": [{"event": {"change": "Added", "kind": "Service", "name": "go"}}]}),
        )
        .await;
        it.until_lent("now").await;
        it.until_phase("later", "Waiting").await;
        it.until_reads(&world.carol, "configmaps", true).await;
        it.unbind("handing-on").await;
        let lost = it.until_phase("now", "Failed").await;
        assert_eq!(word(&lost, "Ready"), "MayNotDelegate");
        it.until_reads(&world.carol, "configmaps", false).await;
        it.until_nothing_left(&lost).await;
        let body = json!({"metadata": {"name": "go"}, "spec": {"ports": [{"port": 80}]}});
        world.must(&world.admin, Call::post(world.ns.core("services"), body)).await;
        let lost = it.until_phase("later", "Failed").await;
        assert_eq!(word(&lost, "Ready"), "MayNotDelegate");
        assert!(lost.status.as_ref().unwrap().lent_at.is_none());
    })
    .await;
}

#[tokio::test]
async fn two_that_point_at_each_other_lend_once() {
    scenario("del-loop", async |world| {
        let it = Delegating::new(world).await;
        it.reads("one", "configmaps").await;
        it.reads("two", "services").await;
        let (a, b) = (it.account("a").await, it.account("b").await);
        it.bind("of-a", "one", &[account(&world.ns.name, "a")]).await;
        it.bind("of-b", "two", &[account(&world.ns.name, "b")]).await;
        for (name, from, to) in [("ab", "a", "b"), ("ba", "b", "a")] {
            it.write(
                name,
                json!({
                    "origin": {"kind": "ServiceAccount", "name": from},
                    "destinations": [{"kind": "ServiceAccount", "name": to}],
                }),
            )
            .await;
        }
        for name in ["ab", "ba"] {
            let lent = it.until_lent(name).await;
            assert_eq!(lent.status.as_ref().unwrap().bindings.len(), 1, "{:?}", lent.status);
        }
        it.until_reads(&a, "services", true).await;
        it.until_reads(&b, "configmaps", true).await;
        // A change passes through both, once.
        it.unbind("of-a").await;
        it.until_reads(&b, "configmaps", false).await;
        for name in ["ab", "ba"] {
            let left = usize::from(name == "ba");
            let is = |d: &Delegation| d.status.as_ref().is_some_and(|s| s.bindings.len() == left);
            it.until(name, "has followed", is).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_elses_binding_is_touched() {
    scenario("del-others", async |world| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        let delegation = it.write("d", json!({"triggers": [{"time": "Never"}]})).await;
        it.until_phase("d", "Waiting").await;
        // A binding of the name that it would make, which is not its own: it is neither taken over nor deleted.
        it.bind("theirs", "reads", &[user("bob")]).await;
        let path = it.path("d");
        let forged = json!({"status": {"bindings": [{"namespace": world.ns.name, "name": "theirs", "role": "Role/reads"}]}});
        let answer = world.dave.call(Call::merge(format!("{path}/status"), forged)).await.unwrap();
        assert_eq!(answer.code, 403, "{answer}");
        it.release(&world.dave, "d").await;
        it.until_phase("d", "Released").await;
        world.look(&world.ns.rbac("rolebindings/theirs")).await.unwrap();
        assert!(delegation["metadata"]["uid"].is_string());
    })
    .await;
}

#[tokio::test]
async fn where_it_is_not_enabled_nothing_is_bound() {
    scenario("del-closed", async |world| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        it.write("d", json!({})).await;
        it.until_lent("d").await;
        it.unbind(oz_shared::names::DELEGATIONS_ROLE).await;
        let closed = it.until("d", "is closed", |d| word(d, "Ready") == "NotEnabled").await;
        assert!(closed.status.as_ref().unwrap().bindings.is_empty());
        it.until_reads(&world.carol, "configmaps", false).await;
        it.write(
            "blind",
            json!({"triggers": [{"event": {"change": "Added", "kind": "Service", "name": "*"}}]}),
        )
        .await;
        it.until("blind", "says that it cannot see", |d| word(d, "Ready") == "CannotWatch").await;
    })
    .await;
}

#[tokio::test]
async fn whoever_deletes_its_grant_or_itself_ends_it() {
    scenario("del-grant", async |world| {
        let it = Delegating::new(world).await;
        it.reads("reads", "configmaps").await;
        for name in ["grant", "itself"] {
            it.write(name, json!({})).await;
            let lent = it.until_lent(name).await;
            it.until_reads(&world.carol, "configmaps", true).await;
            let grant = lent.status.as_ref().unwrap().grant.as_ref().unwrap().name.clone();
            if name == "grant" {
                world
                    .must(&world.admin, Call::delete(format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")))
                    .await;
                let over = it.until_phase(name, "Released").await;
                assert_eq!(word(&over, "Ready"), "GrantDeleted");
            } else {
                world.must(&world.bob, Call::delete(it.path(name))).await;
            }
            it.until_reads(&world.carol, "configmaps", false).await;
            it.until_nothing_left(&lent).await;
        }
    })
    .await;
}
