//! Templates of the Go tool "Oz" (group crds.wizardofoz.co, v1alpha1), in this one's words. Pure: an object in, objects
//! and notes out. What each field meant is told by that tool's CRDs.

use jiff::SignedDuration;
use oz_shared::template::WorkloadKind;
use oz_shared::{AccessTemplateSpec, duration};
use serde_json::{Value, json};

use super::fields::Fields;
use super::go;
use super::object::{Metadata, Migrated, Old, ours, tell, typed};
use super::shell::shell;

const GROUP: &str = "crds.wizardofoz.co/";
/// What that tool's CRDs fill in.
const DEFAULT_DURATION: &str = "1h";
const MAX_DURATION: &str = "24h";
const COMMAND: &str = "kubectl exec -ti -n {{ .Metadata.Namespace }} {{ .Metadata.Name }} -- /bin/sh";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Translates one object.
///
/// # Errors
/// It is of another kind, or not what that tool's API server would have stored.
pub(super) fn migrate(object: Value) -> Result<Migrated, String> {
    let Old { version, kind, fields } = Old::of(object)?;
    match (version.strip_prefix(GROUP), kind.as_str()) {
        (Some("v1alpha1"), "PodAccessTemplate" | "ExecAccessTemplate") => {
            template(fields, kind == "PodAccessTemplate")
        }
        (Some("v1alpha1"), "PodAccessRequest" | "ExecAccessRequest") => request(fields),
        (Some(_), _) => Err(format!("{kind} of {version} is no kind that can be migrated")),
        (None, _) => {
            Err(format!("{kind} of {version} is none of the Go tool's, whose group is crds.wizardofoz.co"))
        }
    }
}

/// Who asks, and that he may, is for the API server to see: nobody else can ask in his place.
fn request(mut fields: Fields) -> Result<Migrated, String> {
    let mut spec = fields.inner("spec")?;
    let mut again = format!("oz access-request {}", typed(&spec.text("templateName")?.unwrap_or_default()));
    if let Some(pod) = spec.text("targetPod")? {
        again.push_str(&format!(" --pod {}", typed(&pod)));
    }
    if let Some((seconds, _)) = spec.text("duration")?.as_deref().and_then(go::seconds) {
        again.push_str(&format!(" --duration {}", duration::format(SignedDuration::from_secs(seconds))));
    }
    let note = format!("a request is not taken over; who made it asks again: {again}");
    Ok(Migrated::told(vec![note]))
}

fn template(mut fields: Fields, copies: bool) -> Result<Migrated, String> {
    let mut notes = Vec::new();
    let metadata = Metadata::take(&mut fields, &mut notes)?;
    let name = metadata.name.clone();
    let mut spec = fields.inner("spec")?;
    let mut access = spec.inner("accessConfig")?;
    let groups = access.texts("allowedGroups")?;
    let bounds = bounds(&mut access, &mut notes)?;
    if access.text("accessCommand")?.is_some_and(|command| command != COMMAND) {
        let path = access.at("accessCommand");
        notes
            .push(format!("{path} has no counterpart: oz opens the shell itself (oz access-request {name})"));
    }
    let mut target = spec.inner("controllerTargetRef")?;
    target.take("apiVersion");
    let (kind, of) = (target.text("kind")?, target.text("name")?);
    let (Some(kind), Some(of)) = (kind, of) else {
        let why = "it names no workload (spec.controllerTargetRef), and Oz copies nothing else; a Deployment of 0 replicas \
                   with spec.podSpec in it can be named there";
        return Ok(Migrated::without(why));
    };
    let kind: WorkloadKind =
        serde_json::from_value(json!(kind)).map_err(|_| format!("Oz knows no pods of a {kind}"))?;
    let workload = json!({"kind": kind, "name": of});

    let access_spec = match copies {
        true => ("shell", shell(&mut spec, workload, &mut notes)?),
        false => ("exec", json!({"pods": {"workload": workload}, "connections": ["exec"]})),
    };
    tell(&[&fields, &spec, &access, &target], &mut notes);
    notes.push("nobody had to agree, and nobody has to: approvals: 1 or more asks for it".to_owned());

    let body =
        json!({"duration": bounds, "approvals": 0, "reason": "Optional", access_spec.0: access_spec.1});
    serde_json::from_value::<AccessTemplateSpec>(body.clone()).map_err(|error| format!("spec: {error}"))?;
    let mut objects = vec![ours("AccessTemplate", metadata.ours(metadata.beside(&name)), body)];
    if groups.is_empty() {
        notes.push(format!(
            "spec.accessConfig.allowedGroups is empty: nobody may ask for {name} until a role says so"
        ));
    } else {
        notes.push(format!(
            "spec.accessConfig.allowedGroups: whoever is in {} may ask for {name} (Role and RoleBinding oz-request-{name}), \
             and then he alone may use it, no longer the whole group",
            groups.join(", ")
        ));
        objects.extend(asking(&name, &groups, |name| metadata.beside(name)));
    }
    Ok(Migrated { objects, notes, left_out: None })
}

/// The right to ask for this template and no other: the ClusterRole oz-requester would give them all.
fn asking(template: &str, groups: &[String], metadata: impl Fn(&str) -> Value) -> [Value; 2] {
    let name = format!("oz-request-{template}");
    let group = [oz_shared::GROUP];
    let rules = json!([
        {"apiGroups": group, "resources": ["accesstemplates"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": group, "resources": ["accesstemplates"], "resourceNames": [template], "verbs": ["request"]},
        {"apiGroups": group, "resources": ["accessrequests"],
         "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]},
    ]);
    let subjects: Vec<Value> =
        groups.iter().map(|group| json!({"apiGroup": RBAC, "kind": "Group", "name": group})).collect();
    let version = format!("{RBAC}/v1");
    [
        json!({"apiVersion": version, "kind": "Role", "metadata": metadata(&name), "rules": rules}),
        json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": metadata(&name), "subjects": subjects,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        }),
    ]
}

fn bounds(access: &mut Fields, notes: &mut Vec<String>) -> Result<Value, String> {
    let mut read = |key: &str, otherwise: &str| {
        let (path, text) = (access.at(key), access.text(key)?.unwrap_or_else(|| otherwise.to_owned()));
        let (seconds, exact) = go::seconds(&text)
            .filter(|(seconds, _)| *seconds > 0)
            .ok_or(format!("{path}: {text:?} lends for no time"))?;
        let length = SignedDuration::from_secs(seconds).min(duration::MAX);
        if !exact || length.as_secs() != seconds {
            notes.push(format!("{path}: {text} becomes {}", duration::format(length)));
        }
        Ok::<_, String>(length)
    };
    let (default, max) = (read("defaultDuration", DEFAULT_DURATION)?, read("maxDuration", MAX_DURATION)?);
    if default > max {
        notes.push(format!(
            "{} is more than the most: it becomes {}",
            access.at("defaultDuration"),
            duration::format(max)
        ));
    }
    Ok(json!({"default": duration::format(default.min(max)), "max": duration::format(max)}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, spec: Value) -> Value {
        json!({"apiVersion": "crds.wizardofoz.co/v1alpha1", "kind": kind,
            "metadata": {"name": "db", "namespace": "shop", "uid": "1", "finalizers": ["x/y"]}, "spec": spec})
    }

    fn of(kind: &str, spec: Value) -> Migrated {
        let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"});
        let mut whole = json!({"accessConfig": {"allowedGroups": ["devs"]}, "controllerTargetRef": target});
        for (key, value) in spec.as_object().unwrap() {
            whole[key] = value.clone();
        }
        migrate(object(kind, whole)).unwrap()
    }

    fn mutated(wishes: Value) -> (Value, Vec<String>) {
        let one = of("PodAccessTemplate", json!({"controllerTargetMutationConfig": wishes}));
        (one.objects[0]["spec"]["shell"].clone(), one.notes)
    }

    fn has(notes: &[String], words: &str) -> bool {
        notes.iter().any(|note| note.contains(words))
    }

    #[test]
    fn exec_with_what_was_left_to_defaults() {
        let one = of("ExecAccessTemplate", json!({}));
        assert_eq!(
            one.objects[0],
            json!({
                "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessTemplate",
                "metadata": {"name": "db", "namespace": "shop"},
                "spec": {
                    "exec": {"pods": {"workload": {"kind": "StatefulSet", "name": "db"}}, "connections": ["exec"]},
                    "duration": {"default": "1h", "max": "24h"}, "approvals": 0, "reason": "Optional",
                },
            })
        );
        assert!(
            has(&one.notes, "metadata.finalizers has no counterpart") && !has(&one.notes, "metadata.uid")
        );
    }

    #[test]
    fn groups_may_ask_for_this_template_alone() {
        let one = of("ExecAccessTemplate", json!({}));
        let (role, binding) = (&one.objects[1], &one.objects[2]);
        let asking: Vec<&Value> =
            role["rules"].as_array().unwrap().iter().filter(|r| r["verbs"] == json!(["request"])).collect();
        assert_eq!(asking[0]["resourceNames"], json!(["db"]));
        assert_eq!(
            (&binding["subjects"][0]["name"], &binding["roleRef"]["name"]),
            (&json!("devs"), &role["metadata"]["name"])
        );
        let nobody = of("ExecAccessTemplate", json!({"accessConfig": {}}));
        assert!(nobody.objects.len() == 1 && has(&nobody.notes, "nobody may ask"));
    }

    #[test]
    fn durations() {
        let access = |default: &str, max: &str| {
            let config = json!({"allowedGroups": [], "defaultDuration": default, "maxDuration": max});
            of("ExecAccessTemplate", json!({"accessConfig": config}))
        };
        let bounds = |default, max| access(default, max).objects[0]["spec"]["duration"].clone();
        assert_eq!(bounds("90m", "1h30m0s"), json!({"default": "1h30m", "max": "1h30m"}));
        assert_eq!(bounds("2h", "1h"), json!({"default": "1h", "max": "1h"}));
        assert_eq!(bounds("1h", "900000h"), json!({"default": "1h", "max": "87600h"}));
        assert!(has(&access("1500ms", "1h").notes, "1500ms becomes 1s"));
        let broken = json!({"accessConfig": {"defaultDuration": "1d"}});
        assert!(
            migrate(object("ExecAccessTemplate", broken))
                .unwrap_err()
                .contains("accessConfig.defaultDuration")
        );
    }

    #[test]
    fn a_copy_with_everything_that_has_a_counterpart() {
        let (shell, notes) = mutated(json!({
            "defaultContainerName": "main", "command": ["sleep"], "args": [999],
            "env": [{"name": "A", "value": "b"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "resources": {"requests": {"memory": "42Mi", "cpu": "100m"}, "limits": {"cpu": 1, "nvidia.com/gpu": 1}},
            "podAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "nodeSelector": {"e": "f"}, "purgeAnnotations": true,
            "keepLivenessProbe": true, "keepTopologySpreadConstraints": true, "keepTerminationGracePeriod": true,
            "patchSpecOperations": [
                {"op": "add", "path": "/spec/hostname", "value": ""}, {"op": "remove", "path": "/spec/dnsPolicy"},
                {"op": "add", "path": "/metadata/name", "value": "x"}, {"op": "copy", "path": "/spec/x"},
            ],
            "later": 1,
        }));
        assert_eq!(
            shell,
            json!({
                "workload": {"kind": "StatefulSet", "name": "db"}, "connections": ["exec"], "container": "main",
                "command": ["sleep"], "args": ["999"], "env": [{"name": "A", "value": "b"}],
                "resources": {"memory": "42Mi", "cpu": "1"}, "annotations": {"a": "b"}, "labels": {"c": "d"},
                "nodeSelector": {"e": "f"}, "purgeAnnotations": true, "keep": ["Probes", "TopologySpread"],
                "patches": [{"op": "add", "path": "/spec/hostname", "value": ""}, {"op": "remove", "path": "/spec/dnsPolicy"}],
            })
        );
        for words in [
            "S is left out",
            "cpu is requested and limited alike, at 1",
            "limits.nvidia.com/gpu has no counterpart",
            "knows no single ones",
            "keepTerminationGracePeriod",
            "/metadata/name is left out",
            "copy /spec/x is left out",
            "controllerTargetMutationConfig.later has no counterpart",
        ] {
            assert!(has(&notes, words), "{words}: {notes:?}");
        }
    }

    #[test]
    fn what_may_be_asked_for() {
        let one = of("PodAccessTemplate", json!({"maxCpu": 1, "maxMemory": "1Gi", "maxStorage": "1Gi"}));
        let shell = &one.objects[0]["spec"]["shell"];
        assert_eq!(shell["maxResources"], json!({"memory": "1Gi", "cpu": "1"}));
        assert!(
            has(&one.notes, "spec.maxStorage has no counterpart") && has(&one.notes, "a shell that waits")
        );
        let odd = of("PodAccessTemplate", json!({"maxCpu": "0", "maxMemory": "1e9"}));
        assert!(
            odd.objects[0]["spec"]["shell"]["maxResources"].is_null() && has(&odd.notes, "1e9 is left out")
        );
    }

    #[test]
    fn what_has_no_counterpart_at_all() {
        let alone = migrate(object("PodAccessTemplate", json!({"podSpec": {"containers": []}}))).unwrap();
        assert!(alone.objects.is_empty() && alone.left_out.unwrap().contains("spec.podSpec"));
        let spec = json!({"templateName": "db", "targetPod": "db-0", "duration": "90m"});
        let request = migrate(object("ExecAccessRequest", spec)).unwrap();
        assert!(
            request.objects.is_empty()
                && has(&request.notes, "oz access-request db --pod db-0 --duration 1h30m")
        );
    }

    #[test]
    fn other_kinds_are_refused() {
        for (version, kind) in [
            ("v1", "Pod"),
            ("ozaccess.io/v1alpha1", "AccessTemplate"),
            ("crds.wizardofoz.co/v1", "PodAccessTemplate"),
            ("crds.wizardofoz.co/v1alpha1", "Other"),
        ] {
            let error = migrate(json!({"apiVersion": version, "kind": kind})).unwrap_err();
            assert!(error.contains(version) && error.contains(kind), "{error}");
        }
        assert!(migrate(json!("text")).is_err() && migrate(json!({})).is_err());
        let broken = json!({"maxCpu": [], "controllerTargetRef": {"kind": "Deployment", "name": "api"}});
        assert!(migrate(object("PodAccessTemplate", broken)).unwrap_err().contains("spec.maxCpu is no text"));
    }
}
