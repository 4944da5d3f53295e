//! Shells in a copy of a workload's pod: what the copy is, who takes notice of it, how it fails to start, how it ends.

use futures::FutureExt as _;
use oz_shared::Request as _;
use oz_shared::conditions::READY;
use serde_json::{Value, json};
use support::{Call, Outcome, eventually, with};

use crate::bodies;
use crate::gate::Mutating;
use crate::lending::message;
use crate::offers::{deployed, make, shell_of};
use crate::session::{Ran, Session};
use crate::world::{LIMIT, World, scenario};

fn kind_of(kind: &str, mut body: Value) -> Value {
    body["kind"] = json!(kind);
    body["apiVersion"] = json!(if kind.ends_with("Job") { "batch/v1" } else { "apps/v1" });
    body
}

async fn the_copy(world: &World, session: &Session) -> Value {
    world.look(&world.ns.core(&format!("pods/{}", session.pod))).await.unwrap()
}

#[tokio::test]
async fn is_nobodys_but_its_holders() {
    scenario("private", async |world| {
        let service = json!({"metadata": {"name": "api"}, "spec": {"selector": {"app": "api"}, "ports": [{"port": 80}]}});
        world.must(&world.dave, Call::post(world.ns.core("services"), service)).await;
        let budget = json!({"metadata": {"name": "api"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "api"}}}});
        world.must(&world.admin, Call::post(world.ns.path("policy/v1", "poddisruptionbudgets"), budget)).await;
        let one = deployed(world, &json!({})).await;
        let (request, session) = world.used("r", json!({})).await;
        let copy = the_copy(world, &session).await;
        assert!(copy["metadata"]["labels"]["app"].is_null(), "{}", copy["metadata"]);
        assert_eq!(copy["spec"]["containers"][0]["image"], one["spec"]["containers"][0]["image"]);

        let own = one["metadata"]["name"].as_str().unwrap();
        let slices = world.ns.path("discovery.k8s.io/v1", "endpointslices");
        eventually("the Service has its own pod, and no other", LIMIT, || async {
            let slices = world.look(&slices).await?;
            let ends = slices["items"].as_array().into_iter().flatten();
            let ends = ends.flat_map(|s| s["endpoints"].as_array().into_iter().flatten());
            let names: Vec<&str> = ends.filter_map(|e| e["targetRef"]["name"].as_str()).collect();
            if names == [own] { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await
        .unwrap();
        let sets = world.look(&world.ns.path("apps/v1", "replicasets")).await.unwrap();
        assert_eq!(sets["items"][0]["status"]["replicas"], 1);
        let budget = world.ns.path("policy/v1", "poddisruptionbudgets/api");
        eventually("the disruption budget counts one pod", LIMIT, || async {
            let budget = world.look(&budget).await?;
            if budget["status"]["expectedPods"] == 1 { Ok(()) } else { Err(budget["status"].to_string()) }
        })
        .await
        .unwrap();

        // No token is in it, and none of the workload's own pods is lent with it.
        let secrets = session.run(world, "main", &["ls", "/var/run/secrets"]).await;
        assert!(secrets.is_err(), "{secrets:?}");
        let other = Session { pod: own.to_owned(), ..session };
        assert_eq!(other.run(world, "main", &["id"]).await.unwrap(), Ran::Refused(403));
        let stranger = Call::merge(world.ns.core(&format!("pods/{}", request.status.unwrap().pod)),
            json!({"metadata": {"labels": {"app": "api"}}}));
        assert_eq!(Outcome::of(&world.dave.call(stranger).await.unwrap()), Outcome::Policy("oz-guard".into()));
    })
    .await;
}

/// A copy of a pod of every kind of workload; of a CronJob none need ever have run.
#[tokio::test]
async fn is_made_of_every_kind_of_workload() {
    scenario("kinds", async |world| {
        for kind in ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"] {
            let name = kind.to_lowercase();
            let mut body = bodies::workload(if kind == "CronJob" { "Job" } else { kind }, &name);
            if kind == "CronJob" {
                body["spec"] =
                    json!({"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": body["spec"]}});
            }
            let body = kind_of(kind, body);
            let group = body["apiVersion"].as_str().unwrap().to_owned();
            world.must(&world.dave, Call::post(world.ns.path(&group, &format!("{name}s")), body)).await;
            world.template(&name, shell_of(kind, &name, &json!({}))).await;
            let (request, session) = world.used(&format!("r-{name}"), json!({"template": name})).await;
            let said = &request.status.as_ref().unwrap().granted[0];
            assert!(said.starts_with(&format!("a copy of a pod of {kind} {name}: ")), "{said}");
            assert_eq!(the_copy(world, &session).await["spec"]["restartPolicy"], "Never");
        }
    })
    .await;
}

#[tokio::test]
async fn keeps_sidecars_and_init_containers() {
    scenario("sidecars", async |world| {
        let mut body = bodies::workload("Deployment", "api");
        let spec = &mut body["spec"]["template"]["spec"];
        let one = spec["containers"][0].clone();
        let named = |name: &str, more: Value| with(one.clone(), &with(json!({"name": name}), &more));
        spec["initContainers"] = json!([
            named("first", json!({"command": ["sh", "-c", "echo made > /shared/file"], "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]})),
            named("beside", json!({"restartPolicy": "Always"})),
        ]);
        spec["volumes"] = json!([{"name": "shared", "emptyDir": {}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
        make(world, "apps/v1", body).await;
        world.template("web", shell_of("Deployment", "api", &json!({}))).await;
        let (_, session) = world.used("r", json!({})).await;
        assert_eq!(session.run(world, "main", &["cat", "/shared/file"]).await.unwrap(), Ran::Output("made\n".into()));
        assert_eq!(session.run(world, "beside", &["echo", "on"]).await.unwrap(), Ran::Output("on\n".into()));
    })
    .await;
}

#[tokio::test]
async fn is_as_large_as_was_asked_and_never_larger_than_allowed() {
    scenario("amounts", async |world| {
        deployed(world, &json!({"maxResources": {"memory": "128Mi"}})).await;
        for (spec, said) in [
            (json!({"memory": "129Mi"}), "web lends memory above zero and up to 128Mi, not 129Mi"),
            (json!({"memory": "1G"}), "web lends memory above zero and up to 128Mi, not 1G"),
            (json!({"memory": "0.0Mi"}), "web lends memory above zero"),
            (json!({"cpu": "1m"}), "web does not let a request choose its cpu"),
            (json!({"image": "localhost/busybox:1"}), "web does not offer image"),
        ] {
            let body = bodies::request(world.alice.user(), "over", &spec);
            let answer = world.alice.call(Call::post(world.ns.oz("accessrequests"), body)).await.unwrap();
            assert_eq!(Outcome::of(&answer), Outcome::Policy("oz-request-template".into()), "{answer}");
            assert!(answer.message().contains(said), "{answer}");
        }
        let (_, session) = world.used("r", json!({"memory": "131072k"})).await;
        let copy = the_copy(world, &session).await;
        let amounts = json!({"limits": {"memory": "131072k"}, "requests": {"memory": "131072k"}});
        assert_eq!(copy["spec"]["containers"][0]["resources"], amounts);
        // Lowered between asking and approving: what was agreed to is what is there now.
        world
            .template(
                "two",
                with(
                    shell_of("Deployment", "api", &json!({"maxResources": {"memory": "64Mi"}})),
                    &json!({"approvals": 1}),
                ),
            )
            .await;
        world.ask("late", json!({"template": "two", "memory": "64Mi"})).await;
        world.until_phase("late", "Pending").await;
        let lower = json!({"spec": {"shell": {"maxResources": {"memory": "32Mi"}}}});
        world.must(&world.dave, Call::merge(world.ns.oz("accesstemplates/two"), lower)).await;
        world.decide(&world.bob, "late", "Approve").await;
        let ended = world.until_ended("late", "Failed", "CopyNotOffered").await;
        assert!(message(&ended, READY).contains("up to 32Mi, not 64Mi"), "{:?}", ended.status);
    })
    .await;
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_told_in_their_words() {
    scenario("failing", async |world| {
        deployed(world, &json!({})).await;
        let patch = |value: Value| json!({"patches": [value]});
        let image =
            |name: &str| patch(json!({"op": "replace", "path": "/spec/containers/0/image", "value": name}));
        for (name, shell, reason, said) in [
            ("no-image", image("localhost/nowhere:1"), "PodFailed", "ErrImageNeverPull"),
            ("no-shell", image("localhost/noshell:1"), "PodFailed", "ask for a debug template"),
            ("crashing", json!({"command": ["sh", "-c", "exit 3"]}), "PodFailed", "(exit code 3)"),
            (
                "invalid",
                patch(json!({"op": "add", "path": "/spec/dnsPolicy", "value": "Odd"})),
                "PodRefused",
                "dnsPolicy",
            ),
            (
                "patch",
                patch(json!({"op": "test", "path": "/spec/nothing", "value": 1})),
                "CopyNotOffered",
                "patches do not apply",
            ),
        ] {
            world.template(name, shell_of("Deployment", "api", &shell)).await;
            world.ask(name, json!({"template": name})).await;
            let ended = world.until_phase(name, "Failed").await;
            let told = message(&ended, READY);
            // One that ends a moment after its start was running for that moment.
            let reasons = [reason, if name == "crashing" { "PodEnded" } else { reason }];
            assert!(reasons.contains(&crate::lending::word(&ended, READY).as_str()), "{told}");
            assert!(told.contains(said), "{told}");
            if reason != "CopyNotOffered" {
                world.until_nothing_left(&ended).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_is_not_scheduled_says_so_and_delays_nobody() {
    scenario("unscheduled", async |world| {
        deployed(world, &json!({})).await;
        let nowhere = json!({"nodeSelector": {"there": "is-none"}});
        let never = with(shell_of("Deployment", "api", &nowhere), &json!({"startTimeout": "5s"}));
        world.template("never", never).await;
        for n in 0..12 {
            world.ask(&format!("never-{n}"), json!({"template": "never"})).await;
        }
        let waiting = world
            .until("never-0", "the scheduler's words are told", |r| {
                message(r, READY).contains("didn't match Pod's node affinity")
            })
            .await;
        assert_eq!(waiting.phase().as_str(), "Approved");
        // Twelve wait; the thirteenth starts beside them.
        world.used("r", json!({})).await;
        for n in 0..12 {
            let ended = world.until_ended(&format!("never-{n}"), "Failed", "NotMade").await;
            assert!(
                message(&ended, READY).contains("didn't match Pod's node affinity"),
                "{:?}",
                ended.status
            );
            world.until_nothing_left(&ended).await;
        }
    })
    .await;
}

#[tokio::test]
async fn pod_security_and_quota_hold_for_copies_too() {
    scenario("restricted", async |world| {
        let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
        let namespace = format!("/api/v1/namespaces/{}", world.ns.name);
        world.must(&world.admin, Call::merge(namespace, label)).await;
        let mut body = bodies::workload("Deployment", "api");
        let spec = &mut body["spec"]["template"]["spec"];
        spec["securityContext"] = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
        for container in spec["containers"].as_array_mut().unwrap() {
            container["securityContext"] = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        }
        make(world, "apps/v1", body).await;
        world.template("web", shell_of("Deployment", "api", &json!({}))).await;
        let (_, session) = world.used("r", json!({})).await;
        assert_eq!(session.run(world, "main", &["id", "-u"]).await.unwrap(), Ran::Output("65532\n".into()));

        let privileged = json!({"patches": [{"op": "add", "path": "/spec/containers/0/securityContext/privileged", "value": true},
            {"op": "replace", "path": "/spec/containers/0/securityContext/allowPrivilegeEscalation", "value": true}]});
        world.template("privileged", shell_of("Deployment", "api", &privileged)).await;
        world.ask("privileged", json!({"template": "privileged"})).await;
        let ended = world.until_ended("privileged", "Failed", "PodRefused").await;
        assert!(message(&ended, READY).contains("violates PodSecurity"), "{:?}", ended.status);
        world.until_nothing_left(&ended).await;

        let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": "2"}}});
        world.must(&world.admin, Call::post(world.ns.core("resourcequotas"), quota)).await;
        eventually("the quota counts", LIMIT, || async {
            let quota = world.look(&world.ns.core("resourcequotas/full")).await?;
            if quota["status"]["used"]["pods"] == "2" { Ok(()) } else { Err(quota["status"].to_string()) }
        })
        .await
        .unwrap();
        world.ask("full", json!({})).await;
        let ended = world.until_ended("full", "Failed", "PodRefused").await;
        assert!(message(&ended, READY).contains("exceeded quota"), "{:?}", ended.status);
    })
    .await;
}

#[tokio::test]
async fn labels_that_others_select_by_are_refused_and_uncovered_policies_told() {
    scenario("selected", async |world| {
        let service = json!({"metadata": {"name": "api"}, "spec": {"selector": {"app": "api"}, "ports": [{"port": 80}]}});
        world.must(&world.dave, Call::post(world.ns.core("services"), service)).await;
        let policy = json!({"metadata": {"name": "hold"}, "spec": {"podSelector": {"matchLabels": {"app": "api"}}}});
        world.must(&world.dave, Call::post(world.ns.path("networking.k8s.io/v1", "networkpolicies"), policy)).await;
        deployed(world, &json!({"labels": {"app": "api"}})).await;
        world.ask("taken", json!({})).await;
        let ended = world.until_ended("taken", "Failed", "LabelsSelected").await;
        assert!(message(&ended, READY).contains("Service api"), "{:?}", ended.status);
        world.template("plain", with(shell_of("Deployment", "api", &json!({})), &json!({"approvals": 1}))).await;
        world.ask("r", json!({"template": "plain"})).await;
        let asked = world.until_waiting("r", "WaitingForApproval").await;
        let offered = asked.status.unwrap().offered.join("\n");
        assert!(offered.contains("outside of network policies that hold the workload's pods: hold"), "{offered}");
    })
    .await;
}

#[tokio::test]
async fn a_stateful_sets_claims_are_shared_where_the_template_says_so() {
    scenario("claims", async |world| {
        // The volume is a folder of the node: no provisioner is needed.
        let volume = format!("{}-data", world.ns.name);
        let body = json!({"metadata": {"name": volume, "labels": {support::RUN_LABEL: support::run()}}, "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": volume, "hostPath": {"path": format!("/tmp/{volume}"), "type": "DirectoryOrCreate"}}});
        world.must(&world.admin, Call::post("/api/v1/persistentvolumes", body)).await;
        let mut body = kind_of("StatefulSet", bodies::workload("StatefulSet", "db"));
        body["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": volume, "resources": {"requests": {"storage": "1Mi"}}}}]);
        body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        make(world, "apps/v1", body).await;
        world.template("shared", shell_of("StatefulSet", "db", &json!({"volumeClaims": "Share"}))).await;
        world.template("web", shell_of("StatefulSet", "db", &json!({}))).await;
        let (request, session) = world.used("shared", json!({"template": "shared"})).await;
        assert!(request.status.unwrap().granted.iter().any(|w| w.contains("data-db-0")));
        session.run(world, "main", &["sh", "-c", "echo seen > /data/file"]).await.unwrap();
        let own = Session { pod: "db-0".into(), account: session.account.clone(), identity: world.admin.clone() };
        assert_eq!(own.run(world, "main", &["cat", "/data/file"]).await.unwrap(), Ran::Output("seen\n".into()));
        let (_, without) = world.used("without", json!({})).await;
        assert!(without.run(world, "main", &["ls", "/data"]).await.is_err());
        world.must(&world.admin, Call::delete(format!("/api/v1/persistentvolumes/{volume}"))).await;
    })
    .await;
}

#[tokio::test]
async fn ends_with_its_streams_when_it_is_released() {
    scenario("copy-released", async |world| {
        deployed(world, &json!({})).await;
        let (request, session) = world.used("r", json!({})).await;
        let after = session.cut_by(world, world.release(&world.alice, "r")).await;
        println!("the stream was cut after {after:?}");
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Released", "Released").await;
        assert!(!message(&ended, READY).contains("not cut"), "{:?}", ended.status);
    })
    .await;
}

#[tokio::test]
async fn ends_with_its_streams_when_its_time_is_over() {
    scenario("copy-expired", async |world| {
        deployed(world, &json!({})).await;
        let (request, session) = world.used("r", json!({"duration": "10s"})).await;
        // It was fixed at approval, with the time to start; once the copy ran, its own end was known.
        let status = request.status.as_ref().unwrap();
        let from_start =
            status.expires_at.as_ref().unwrap().0.duration_since(status.approved_at.as_ref().unwrap().0);
        assert!(from_start.as_secs() < 60, "{status:?}");
        session.cut_by(world, async {}).await;
        world.until_over(&request, &session).await;
        world.until_ended("r", "Expired", "Expired").await;
    })
    .await;
}

#[tokio::test]
async fn ends_when_what_it_runs_ends() {
    scenario("copy-ended", async |world| {
        deployed(world, &json!({})).await;
        let (request, session) = world.used("r", json!({})).await;
        session.cut_by(world, session.run(world, "main", &["kill", "1"]).map(drop)).await;
        world.until_over(&request, &session).await;
        let ended = world.until_ended("r", "Failed", "PodEnded").await;
        assert!(message(&ended, READY).contains("exit code 0"), "{:?}", ended.status);
    })
    .await;
}

#[tokio::test]
async fn ends_when_its_grant_is_deleted() {
    scenario("copy-deleted", async |world| {
        deployed(world, &json!({})).await;
        let (request, session) = world.used("r", json!({})).await;
        world.must(&world.admin, Call::delete(crate::lending::grant_path(&request))).await;
        world.until_over(&request, &session).await;
        world.until_phase("r", "Released").await;
    })
    .await;
}

#[tokio::test]
async fn is_made_of_what_was_agreed_to_or_not_at_all() {
    scenario("agreed", async |world| {
        deployed(world, &json!({})).await;
        world.template("two", with(shell_of("Deployment", "api", &json!({})), &json!({"approvals": 1}))).await;
        world.ask("changed", json!({"template": "two"})).await;
        let before = world.until_waiting("changed", "WaitingForApproval").await.status.unwrap();
        let pin = world.pin("two").await;
        let image = json!([{"op": "add", "path": "/spec/template/spec/hostname", "value": "other"},
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "localhost/pause:1"}]);
        world.must(&world.dave, Call::json_patch(world.ns.path("apps/v1", "deployments/api"), image)).await;
        // bob decides on what he saw.
        let path = world.request_path("changed");
        let answer = json!({"by": "bob", "decision": "Approve", "template": pin, "offer": before.offer_digest,
            "request": world.request("changed").await.unwrap().metadata.uid});
        let decided = json!([{"op": "add", "path": "/spec/decisions/-", "value": answer}]);
        world.must(&world.bob, Call::json_patch(path, decided)).await;
        let ended = world.until_ended("changed", "Failed", "OfferChanged").await;
        assert!(message(&ended, READY).contains("has changed since bob approved"), "{:?}", ended.status);
        // An approval that does not say of what is none.
        world.ask("blind", json!({"template": "two"})).await;
        let blind = world.until_waiting("blind", "WaitingForApproval").await;
        let answer = json!({"by": "bob", "decision": "Approve", "template": pin, "request": blind.metadata.uid});
        let decided = json!([{"op": "add", "path": "/spec/decisions/-", "value": answer}]);
        world.must(&world.bob, Call::json_patch(world.request_path("blind"), decided)).await;
        world.until_ended("blind", "Failed", "OfferChanged").await;
        // What he looked at is granted.
        world.ask("seen", json!({"template": "two"})).await;
        world.until_waiting("seen", "WaitingForApproval").await;
        world.decide(&world.bob, "seen", "Approve").await;
        world.until_phase("seen", "Active").await;
    })
    .await;
}

#[tokio::test]
async fn a_token_that_admission_puts_in_is_not_lent() {
    scenario("injected", async |world| {
        deployed(world, &json!({})).await;
        let source = r#"JSONPatch{op: "add", path: "/spec/volumes", value: [{"name": dyn("t"), "projected": dyn({"sources": dyn([
            {"serviceAccountToken": dyn({"path": dyn("t"), "expirationSeconds": dyn(86400)})}])})}]}"#;
        let Some(injecting) = Mutating::pods(world, source, |pod| pod["spec"]["volumes"][0]["name"] == "t").await else { return };
        world.ask("r", json!({})).await;
        let ended = world.until_ended("r", "Failed", "PodFailed").await;
        assert!(message(&ended, READY).contains("token of service account default"), "{:?}", ended.status);
        world.until_nothing_left(&ended).await;
        world.template("keeps", shell_of("Deployment", "api", &json!({"keep": ["ServiceAccountToken"]}))).await;
        let kept = world.lent("kept", json!({"template": "keeps"})).await;
        assert!(kept.status.unwrap().granted.join("\n").contains("service account default"));
        injecting.remove(world).await;
    })
    .await;
}

#[tokio::test]
async fn another_persons_copy_is_no_pod_to_be_lent() {
    scenario("theirs", async |world| {
        deployed(world, &json!({"labels": {"team": "a"}})).await;
        let (_, session) = world.used("r", json!({})).await;
        world
            .template("steal", json!({"exec": {"pods": {"selector": {"matchLabels": {"team": "a"}}}}}))
            .await;
        world.ask("steal", json!({"template": "steal", "pod": session.pod})).await;
        world.until_ended("steal", "Failed", "PodNotOffered").await;
        world.ask("any", json!({"template": "steal"})).await;
        world.until_ended("any", "Failed", "NoPodReady").await;
    })
    .await;
}

#[tokio::test]
async fn ends_though_oz_has_no_rights_there_any_more() {
    scenario("disabled", async |world| {
        deployed(world, &json!({})).await;
        let (request, session) = world.used("r", json!({})).await;
        for binding in ["oz-controller", "oz-ceiling"] {
            world.must(&world.dave, Call::delete(world.ns.rbac(&format!("rolebindings/{binding}")))).await;
        }
        let as_controller =
            world.admin.mint(oz_shared::names::SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
        let as_controller = world.admin.with_token(&as_controller).await.unwrap();
        world.until_may(&as_controller, "get", "", "pods", false).await.unwrap();
        let act = world.release(&world.alice, "r");
        session.cut_by(world, act).await;
        world.until_over(&request, &session).await;
        world.until_phase("r", "Released").await;
    })
    .await;
}

/// Argo's Rollouts: a kind of others, here without its controller; its ReplicaSet is made by hand.
#[tokio::test]
async fn an_argo_rollout_is_a_workload_too() {
    scenario("rollout", async |world| {
        let crd = json!({"metadata": {"name": "rollouts.argoproj.io"}, "spec": {
            "group": "argoproj.io", "scope": "Namespaced", "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
        // Where Argo is installed, it is there.
        let made = world.admin.call(Call::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)).await.unwrap();
        assert!(made.is_success() || made.code == 409, "{made}");
        let mut rollout = bodies::workload("Deployment", "api");
        rollout["apiVersion"] = json!("argoproj.io/v1alpha1");
        rollout["kind"] = json!("Rollout");
        let path = world.ns.path("argoproj.io/v1alpha1", "rollouts");
        let rollout = eventually("Rollouts are served", LIMIT, || async {
            let made = world.admin.call(Call::post(&path, rollout.clone())).await.map_err(|e| e.to_string())?;
            if made.is_success() { Ok(made.body.clone()) } else { Err(made.to_string()) }
        })
        .await
        .unwrap();
        let mut set = bodies::workload("ReplicaSet", "api");
        set["metadata"]["ownerReferences"] = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "api",
            "uid": rollout["metadata"]["uid"], "controller": true}]);
        let pod = make(world, "apps/v1", kind_of("ReplicaSet", set)).await;
        world.template("exec", bodies::of_workload("Rollout", "api")).await;
        let lent = world.lent("exec", json!({"template": "exec"})).await;
        assert_eq!(lent.status.unwrap().pod, pod["metadata"]["name"].as_str().unwrap());
        world.template("web", shell_of("Rollout", "api", &json!({}))).await;
        let (request, _) = world.used("r", json!({})).await;
        assert!(request.status.unwrap().granted[0].starts_with("a copy of a pod of Rollout api"));
        // One that is no pod template is refused, and nothing else suffers from it.
        let odd = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "odd"},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x", "resources": "lots"}]}}}});
        world.must(&world.admin, Call::post(&path, odd)).await;
        world.template("odd", shell_of("Rollout", "odd", &json!({"maxResources": {"memory": "1Gi"}}))).await;
        world.ask("odd", json!({"template": "odd", "memory": "64Mi"})).await;
        world.until_ended("odd", "Failed", "NotFound").await;
    })
    .await;
}
