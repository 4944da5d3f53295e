//! Copies, case by case: what is kept, what is lost, and what no patch can undo.

use proptest::prelude::*;

use super::*;

fn source() -> Source {
    let object = json!({
        "metadata": {"name": "db", "uid": "w-1"},
        "spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            "template": {
                "metadata": {"labels": {"app": "db"}, "annotations": {"kept": "yes"}},
                "spec": {
                    "serviceAccountName": "db", "somethingNew": {"unknown": [1, 2]}, "nodeName": "n1", "subdomain": "db",
                    "terminationGracePeriodSeconds": 600, "restartPolicy": "Always",
                    "securityContext": {"runAsUser": 1000},
                    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]}}},
                    "topologySpreadConstraints": [{"maxSkew": 1}], "readinessGates": [{"conditionType": "x"}],
                    "initContainers": [{"name": "init", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}],
                    "containers": [
                        {"name": "postgres", "image": "pg:1", "command": ["postgres"], "args": ["-x"],
                         "env": [{"name": "A", "value": "1"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                         "livenessProbe": {}, "readinessProbe": {}, "lifecycle": {"preStop": {}},
                         "ports": [{"containerPort": 5432, "hostPort": 5432, "hostIP": "1.2.3.4"}],
                         "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/tmp"},
                                          {"name": "shared", "mountPath": "/shared"}]},
                        {"name": "exporter", "image": "ex:1", "args": ["serve"]},
                    ],
                    "volumes": [
                        {"name": "scratch", "emptyDir": {}}, {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}},
                        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"podCertificate": {"signerName": "s"}}, {"configMap": {"name": "c"}}]}},
                    ],
                },
            },
        },
    });
    Source::read(WorkloadKind::StatefulSet, &object).unwrap()
}

fn shell(more: Value) -> ShellAccess {
    let mut shell = json!({"workload": {"kind": "StatefulSet", "name": "db"}});
    for (key, value) in more.as_object().unwrap() {
        shell[key] = value.clone();
    }
    serde_json::from_value(shell).unwrap()
}

fn made(more: Value) -> Copied {
    copy(&shell(more), &Asked::default(), &source()).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect()
}

#[test]
fn keeps_what_makes_the_workload_and_loses_what_makes_it_one_of_many() {
    let copied = made(json!({}));
    let spec = &copied.spec;
    assert_eq!(spec["somethingNew"], json!({"unknown": [1, 2]}));
    assert_eq!(spec["securityContext"], json!({"runAsUser": 1000}));
    assert_eq!(spec["serviceAccountName"], "db");
    assert_eq!(names(&spec["containers"]), ["postgres", "exporter"]);
    assert_eq!(names(&spec["initContainers"]), ["init"]);
    assert_eq!(spec["containers"][0]["image"], "pg:1");
    assert_eq!(names(&spec["containers"][0]["env"]), ["A", "S"]);
    assert_eq!(spec["containers"][1]["args"], json!(["serve"]));
    assert!(copied.labels.is_empty());
    assert_eq!(copied.annotations, BTreeMap::from([("kept".to_owned(), "yes".to_owned())]));
    for gone in ["nodeName", "subdomain", "topologySpreadConstraints", "readinessGates"] {
        assert!(spec.get(gone).is_none(), "{gone}");
    }
    let main = &spec["containers"][0];
    for gone in ["livenessProbe", "readinessProbe", "lifecycle", "args"] {
        assert!(main.get(gone).is_none(), "{gone}");
    }
    assert_eq!(main["command"][0], "sh");
    assert_eq!(main["ports"], json!([{"containerPort": 5432}]));
    assert_eq!((copied.container.as_str(), copied.image()), ("postgres", "pg:1"));
}

#[test]
fn holds_no_token_and_ends_for_good() {
    let copied = made(json!({}));
    assert_eq!(copied.mounted_account(), None);
    let pod = copied.pod(60);
    let spec = &pod["spec"];
    assert_eq!(spec["restartPolicy"], "Never");
    assert_eq!(spec["terminationGracePeriodSeconds"], 1);
    assert_eq!(spec["activeDeadlineSeconds"], 60);
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["volumes"][1]["projected"]["sources"], json!([{"configMap": {"name": "c"}}]));
    let kept = made(
        json!({"keep": ["ServiceAccountToken", "Probes", "Lifecycle", "HostPorts", "TopologySpread", "ReadinessGates"]}),
    );
    assert_eq!(kept.mounted_account().as_deref(), Some("db"));
    assert!(kept.spec["containers"][0].get("livenessProbe").is_some());
    assert_eq!(kept.spec["containers"][0]["ports"][0]["hostPort"], 5432);
}

#[test]
fn persistent_volumes_are_left_out_or_shared() {
    let omitted = made(json!({}));
    assert_eq!(names(&omitted.spec["volumes"]), ["scratch", "token"]);
    assert_eq!(names(&omitted.spec["containers"][0]["volumeMounts"]), ["scratch"]);
    assert_eq!(omitted.spec["initContainers"][0]["volumeMounts"], json!([]));
    let claims = |copied: &Copied| -> Vec<String> {
        let volumes = copied.spec["volumes"].as_array().unwrap().iter();
        volumes
            .filter_map(|v| Some(v.pointer("/persistentVolumeClaim/claimName")?.as_str()?.to_owned()))
            .collect()
    };
    assert!(claims(&omitted).is_empty());
    let shared = made(json!({"volumeClaims": "Share"}));
    assert_eq!(names(&shared.spec["containers"][0]["volumeMounts"]), ["data", "scratch", "shared"]);
    assert_eq!(claims(&shared), ["shared", "data-db-0"]);
    let second = Asked { pod: "db-1".into(), ..Asked::default() };
    let shared = copy(&shell(json!({"volumeClaims": "Share"})), &second, &source()).unwrap();
    assert_eq!(claims(&shared), ["shared", "data-db-1"]);
    assert_eq!(copy(&shell(json!({})), &second, &source()), Err(Misfit::NotChosen("pod")));
    // Another's claims may have a name that begins alike.
    for strange in ["payroll-0", "db", "db-", "db-00", "db-x-0", "db-b-0", "db--1", "db-+1", "db-99999999999"]
    {
        let asked = Asked { pod: strange.into(), ..Asked::default() };
        let refused = copy(&shell(json!({"volumeClaims": "Share"})), &asked, &source());
        assert_eq!(refused, Err(Misfit::NotItsPod("db".into(), strange.into())), "{strange}");
    }
}

#[test]
fn more_than_the_template_lends_is_refused_never_clamped() {
    let bounded =
        shell(json!({"maxResources": {"memory": "1Gi"}, "resources": {"memory": "64Mi", "cpu": "100m"}}));
    let ask = |memory: &str, cpu: &str| Asked {
        amounts: Amounts { memory: memory.into(), cpu: cpu.into() },
        ..Asked::default()
    };
    let resources = |asked: &Asked| {
        copy(&bounded, asked, &source()).map(|c| c.spec["containers"][0]["resources"].clone())
    };
    let both = |memory: &str, cpu: &str| json!({"requests": {"memory": memory, "cpu": cpu}, "limits": {"memory": memory, "cpu": cpu}});
    assert_eq!(resources(&Asked::default()), Ok(both("64Mi", "100m")));
    assert_eq!(resources(&ask("1024Mi", "")), Ok(both("1024Mi", "100m")));
    assert!(matches!(resources(&ask("1025Mi", "")), Err(Misfit::TooMuch { what: "memory", .. })));
    for none in ["0", "0m", "0.000Ki", "much"] {
        assert!(matches!(resources(&ask(none, "")), Err(Misfit::TooMuch { .. })), "{none}");
    }
    assert_eq!(resources(&ask("", "1")), Err(Misfit::NotChosen("cpu")));
}

#[test]
fn the_container_is_the_one_that_was_meant() {
    let choose = |template: &str, asked: &str| {
        let asked = Asked { container: asked.into(), ..Asked::default() };
        copy(&shell(json!({"container": template})), &asked, &source()).map(|c| c.container)
    };
    assert_eq!(choose("", "").unwrap(), "postgres");
    assert_eq!(choose("", "exporter").unwrap(), "exporter");
    assert_eq!(choose("exporter", "").unwrap(), "exporter");
    assert_eq!(choose("exporter", "postgres"), Err(Misfit::NotOffered("postgres".into())));
    assert!(matches!(choose("", "init"), Err(Misfit::NoSuchContainer { .. })));
    let mut annotated = source();
    annotated.template["metadata"]["annotations"][DEFAULT_CONTAINER] = json!("exporter");
    let copied = copy(&shell(json!({})), &Asked::default(), &annotated).unwrap();
    assert_eq!(copied.container, "exporter");
    // Only the one that is entered waits; the others do their work.
    assert_eq!(copied.spec["containers"][0]["command"], json!(["postgres"]));
}

#[test]
fn a_rollout_may_point_elsewhere() {
    use WorkloadKind::{Deployment, Rollout};
    let template = json!({"spec": {"containers": [{"name": "main"}]}});
    let deployment = json!({"metadata": {"name": "web", "uid": "d-1"}, "spec": {"template": template}});
    let points = json!({"metadata": {"name": "roll", "uid": "r-1"},
        "spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    let other = Source::elsewhere(Rollout, &points).unwrap();
    assert_eq!((other.kind, other.name.as_str()), (Deployment, "web"));
    let source = Source::through(Rollout, &points, other.kind, &deployment).unwrap();
    // It is the Rollout's pod that is copied, whosever template it has.
    assert_eq!((source.kind, source.name.as_str(), source.uid.as_str()), (Rollout, "roll", "r-1"));
    assert_eq!((&source.template, source.containers()), (&template, vec!["main".to_owned()]));
    // A template of its own counts, and no other kind points anywhere.
    let mut own = points.clone();
    own["spec"]["template"] = template;
    assert_eq!(Source::elsewhere(Rollout, &own), None);
    assert_eq!(Source::elsewhere(Deployment, &points), None);
    for strange in [json!({"kind": "ConfigMap", "name": "web"}), json!("web"), json!(null)] {
        let mut points = points.clone();
        points["spec"]["workloadRef"] = strange;
        assert_eq!(Source::elsewhere(Rollout, &points), None);
    }
    assert_eq!(Source::through(Rollout, &points, Deployment, &points), None);
}

#[test]
fn a_node_is_chosen_for_a_daemon_only() {
    let asked = Asked { node: "n7".into(), ..Asked::default() };
    assert_eq!(copy(&shell(json!({})), &asked, &source()), Err(Misfit::NotChosen("node")));
    let daemon = Source { kind: WorkloadKind::DaemonSet, ..source() };
    let of_daemon = shell(json!({"workload": {"kind": "DaemonSet", "name": "db"}}));
    let spec = copy(&of_daemon, &asked, &daemon).unwrap().spec;
    let terms = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    assert_eq!(terms[0]["matchFields"][0]["values"], json!(["n7"]));
    assert_eq!(terms[0]["matchExpressions"][0]["key"], "disk");
}

#[test]
fn the_templates_own_terms_are_put_in() {
    let copied = made(json!({
        "args": ["--check"], "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}], "labels": {"team": "x"},
        "annotations": {"a": "b"}, "purgeAnnotations": true, "nodeSelector": {"pool": "shells"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
    }));
    let main = &copied.spec["containers"][0];
    assert_eq!((&main["command"], &main["args"]), (&json!(["postgres"]), &json!(["--check"])));
    assert_eq!(names(&main["env"]), ["S", "A", "B"]);
    assert_eq!(copied.labels["team"], "x");
    assert_eq!(copied.annotations.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(copied.spec["nodeSelector"]["pool"], "shells");
    assert_eq!(copied.spec["tolerations"][0]["key"], "k");
}

#[test]
fn patches_reach_what_they_may_and_undo_nothing_that_holds() {
    let all = made(json!({"patches": [
        {"op": "test", "path": "/spec/containers/0/name", "value": "postgres"},
        {"op": "replace", "path": "/spec/containers/0/image", "value": "pg:2"},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "C", "value": "4"}},
        {"op": "copy", "from": "/spec/containers/0/image", "path": "/spec/containers/1/image"},
        {"op": "move", "from": "/metadata/annotations/kept", "path": "/metadata/annotations/moved"},
        {"op": "remove", "path": "/spec/serviceAccountName"},
        {"op": "add", "path": "/metadata/labels/team", "value": "x"},
        {"op": "add", "path": "/spec/restartPolicy", "value": "Always"},
        {"op": "add", "path": "/spec/terminationGracePeriodSeconds", "value": 3600},
        {"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 999_999},
        {"op": "add", "path": "/spec/automountServiceAccountToken", "value": true},
        {"op": "add", "path": "/spec/volumes/-", "value": {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}},
        {"op": "add", "path": "/spec/ephemeralContainers", "value": [{"name": "e"}]},
    ]}));
    assert_eq!((all.image(), &all.spec["containers"][1]["image"]), ("pg:2", &json!("pg:2")));
    assert_eq!(all.labels["team"], "x");
    assert_eq!(all.annotations.keys().collect::<Vec<_>>(), ["moved"]);
    assert_eq!(all.mounted_account(), None);
    let pod = all.pod(60);
    assert_eq!(
        (&pod["spec"]["restartPolicy"], &pod["spec"]["activeDeadlineSeconds"]),
        (&json!("Never"), &json!(60))
    );
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 1);
    assert!(pod["spec"].get("ephemeralContainers").is_none());

    for bad in [
        json!({"op": "add", "path": "/metadata/name", "value": "x"}),
        json!({"op": "add", "path": "/metadata/finalizers", "value": ["x/y"]}),
        json!({"op": "add", "path": "/metadata/labelsx", "value": {}}),
        json!({"op": "replace", "path": "", "value": {}}),
        json!({"op": "copy", "from": "/metadata", "path": "/spec/x"}),
        json!({"op": "test", "path": "/spec/containers/0/name", "value": "other"}),
        json!({"op": "remove", "path": "/spec/nothing"}),
        json!({"op": "replace", "path": "/spec/containers/0/name", "value": "renamed"}),
        json!({"op": "replace", "path": "/spec", "value": "no pod"}),
        json!({"op": "replace", "path": "/spec/containers", "value": 7}),
    ] {
        let refused = copy(&shell(json!({"patches": [bad]})), &Asked::default(), &source());
        assert!(matches!(refused, Err(Misfit::Patch(_) | Misfit::NoPod(_))), "{bad}: {refused:?}");
    }
    // One that copies itself into itself grows without end.
    let grows: Vec<Value> =
        (0..32).map(|i| json!({"op": "copy", "from": "/spec", "path": format!("/spec/x{i}")})).collect();
    assert_eq!(copy(&shell(json!({"patches": grows})), &Asked::default(), &source()), Err(Misfit::TooLarge));
}

#[test]
fn the_offer_says_what_an_approver_must_know() {
    let access = shell(
        json!({"volumeClaims": "Share", "keep": ["ServiceAccountToken"], "connections": ["exec", "log"]}),
    );
    let copied = copy(&access, &Asked::default(), &source()).unwrap();
    let offer = offer(&access, &copied, &source(), "db-oz-1", &["deny-all".to_owned()]).unwrap();
    let words = offer.words.join("\n");
    for said in [
        "a copy of a pod of StatefulSet db",
        "image pg:1",
        "data-db-0",
        "service account db",
        "deny-all",
        "deleted",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    let names = offer.rules.iter().flat_map(|r| r.resource_names.iter().flatten());
    assert!(names.clone().all(|n| n == "db-oz-1" || n.starts_with("db-oz-1/")), "{names:?}");
}

#[test]
fn what_reaches_beyond_the_copy_is_said() {
    let access = shell(json!({"patches": [
        {"op": "add", "path": "/spec/hostPID", "value": true},
        {"op": "add", "path": "/spec/serviceAccountName", "value": "root"},
        {"op": "add", "path": "/spec/containers/1/securityContext", "value": {"privileged": true, "capabilities": {"add": ["SYS_ADMIN"]}}},
        {"op": "add", "path": "/spec/volumes/-", "value": {"name": "h", "hostPath": {"path": "/"}}},
        {"op": "add", "path": "/spec/volumes/-", "value": {"name": "c", "persistentVolumeClaim": {"claimName": "other"}}},
        {"op": "add", "path": "/spec/containers/1/envFrom", "value": [{"secretRef": {"name": "all"}}]},
    ]}));
    let copied = copy(&access, &Asked::default(), &source()).unwrap();
    let words = offer(&access, &copied, &source(), "db-oz-1", &[]).unwrap().words.join("\n");
    for said in [
        "service account root, not db",
        "hostPID",
        "hostPath /",
        "exporter is privileged",
        "SYS_ADMIN",
        "Secrets, and whoever reads one keeps it: all, s",
        "claims: other",
        "(6 operations)",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
}

#[test]
fn what_is_nested_without_end_is_refused_before_it_is_touched() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let value = json!({"op": "add", "path": "/spec/x", "value": deep});
    let by_value = copy(&shell(json!({"patches": [value]})), &Asked::default(), &source());
    assert!(matches!(by_value, Err(Misfit::Patch(_))), "{by_value:?}");
    let mut tower = json!(1);
    for _ in 0..14 {
        tower = json!([tower]);
    }
    let mut patches = vec![json!({"op": "add", "path": "/spec/a", "value": tower})];
    patches
        .extend((0..8).map(
            |_| json!({"op": "copy", "from": "/spec/a", "path": format!("/spec/a{}", "/0".repeat(14))}),
        ));
    let by_copies = copy(&shell(json!({"patches": patches})), &Asked::default(), &source());
    assert!(matches!(by_copies, Err(Misfit::Patch(_))), "{by_copies:?}");
}

#[test]
fn a_template_that_is_none_is_not_read() {
    for odd in
        [json!({"resources": "lots"}), json!({"resources": {"limits": "x"}}), json!({"env": 7}), json!("c")]
    {
        let object = json!({"metadata": {"name": "r", "uid": "u"}, "spec": {"template": {"spec": {"containers": [odd]}}}});
        assert_eq!(Source::read(WorkloadKind::Rollout, &object), None, "{odd}");
    }
}

proptest! {
    #[test]
    fn no_patch_keeps_a_copy_alive(path in "/(spec|metadata/labels)(/[a-zA-Z]{1,30}|/containers/0(/[a-z]{1,9})?)?", value in "[a-zA-Z]{0,8}") {
        let patch = json!({"op": "add", "path": path, "value": value});
        if let Ok(copied) = copy(&shell(json!({"patches": [patch]})), &Asked::default(), &source()) {
            let pod = copied.pod(60);
            prop_assert_eq!(&pod["spec"]["restartPolicy"], "Never");
            prop_assert_eq!(&pod["spec"]["terminationGracePeriodSeconds"], 1);
            prop_assert_eq!(&pod["spec"]["automountServiceAccountToken"], false);
        }
    }
}
