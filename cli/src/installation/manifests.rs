//! The manifests that this program carries, and what it fills in: the image, the number of replicas, and the API server's
//! own audience.

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::Refused;

/// Files under `manifests/`, by what they are for. A test fails when one is missing here.
const FILES: [(Part, &str, &str); 20] = [
    (Part::Kinds, "crds/accesstemplates.yaml", include_str!("../../../manifests/crds/accesstemplates.yaml")),
    (Part::Kinds, "crds/accessrequests.yaml", include_str!("../../../manifests/crds/accessrequests.yaml")),
    (
        Part::Kinds,
        "crds/namespaceclasses.yaml",
        include_str!("../../../manifests/crds/namespaceclasses.yaml"),
    ),
    (
        Part::Kinds,
        "crds/namespacerequests.yaml",
        include_str!("../../../manifests/crds/namespacerequests.yaml"),
    ),
    (Part::Kinds, "crds/federations.yaml", include_str!("../../../manifests/crds/federations.yaml")),
    (Part::Kinds, "crds/delegations.yaml", include_str!("../../../manifests/crds/delegations.yaml")),
    (Part::Kinds, "crds/grants.yaml", include_str!("../../../manifests/crds/grants.yaml")),
    (Part::Rights, "namespaces.yaml", include_str!("../../../manifests/namespaces.yaml")),
    (Part::Rights, "rbac/people.yaml", include_str!("../../../manifests/rbac/people.yaml")),
    (Part::Rights, "rbac/controller.yaml", include_str!("../../../manifests/rbac/controller.yaml")),
    (Part::Gate, "admission/requests.yaml", include_str!("../../../manifests/admission/requests.yaml")),
    (Part::Gate, "admission/templates.yaml", include_str!("../../../manifests/admission/templates.yaml")),
    (Part::Gate, "admission/namespaces.yaml", include_str!("../../../manifests/admission/namespaces.yaml")),
    (Part::Gate, "admission/delegations.yaml", include_str!("../../../manifests/admission/delegations.yaml")),
    (Part::Gate, "admission/guard.yaml", include_str!("../../../manifests/admission/guard.yaml")),
    (Part::Gate, "admission/sessions.yaml", include_str!("../../../manifests/admission/sessions.yaml")),
    (Part::Gate, "admission/records.yaml", include_str!("../../../manifests/admission/records.yaml")),
    (Part::Gate, "admission/connections.yaml", include_str!("../../../manifests/admission/connections.yaml")),
    (Part::Gate, "admission/controller.yaml", include_str!("../../../manifests/admission/controller.yaml")),
    (Part::Probe, "gate-probe.yaml", include_str!("../../../manifests/gate-probe.yaml")),
];
/// Last, because it works only behind the gate.
const CONTROLLER: &str = include_str!("../../../manifests/controller/controller.yaml");
/// Nothing rests on it, so it comes after all.
const FILL: &str = include_str!("../../../manifests/admission-fill/requester.yaml");

/// The one that most API servers have.
pub(crate) const DEFAULT_AUDIENCE: &str = "https://kubernetes.default.svc";
/// How the policy about sessions compares an audience; `oz install` fills in the cluster's own.
const COMPARED: &str = "a == 'https://kubernetes.default.svc'";
/// The policy in which that stands.
pub(crate) const SESSIONS_POLICY: &str = "oz-sessions";
/// The Deployment, its lease and its account all have this name.
pub(crate) const CONTROLLER_NAME: &str = "oz-controller";

/// What is applied together, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Custom resource definitions: to be served before anything else is of use.
    Kinds,
    /// Namespaces and RBAC.
    Rights,
    /// Admission policies and their bindings.
    Gate,
    /// What the gate is probed with.
    Probe,
    /// The program.
    Controller,
    /// The policy that fills in who asks, where that is wished for.
    Fill,
}

/// What is filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choices {
    /// What the API server takes tokens for.
    pub(crate) audiences: Vec<String>,
    /// The controller's image, unless it is the manifest's.
    pub(crate) image: Option<String>,
    /// How many controllers, unless it is the manifest's number.
    pub(crate) replicas: Option<u32>,
    /// Is it filled in who asks?
    pub(crate) fill: bool,
}

/// All objects, in the order in which they are applied.
///
/// # Errors
/// An audience that cannot stand in a policy.
pub(crate) fn objects(choices: &Choices) -> Result<Vec<(Part, Value)>, Refused> {
    let mut objects = Vec::new();
    for (part, _, text) in FILES {
        for mut object in documents(text)? {
            for_audiences(&mut object, &choices.audiences)?;
            objects.push((part, object));
        }
    }
    for mut object in documents(CONTROLLER)? {
        if object["kind"] == "Deployment" {
            if let Some(image) = &choices.image {
                object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
            }
            if let Some(replicas) = choices.replicas {
                object["spec"]["replicas"] = json!(replicas);
            }
        }
        objects.push((Part::Controller, object));
    }
    if choices.fill {
        objects.extend(fill_requester()?.into_iter().map(|object| (Part::Fill, object)));
    }
    Ok(objects)
}

/// The policy that fills in who asks, and its binding.
///
/// # Errors
/// The manifest is broken.
pub(crate) fn fill_requester() -> Result<Vec<Value>, Refused> {
    documents(FILL)
}

/// The image that the manifest names.
pub(crate) fn default_image() -> String {
    let image = documents(CONTROLLER).unwrap_or_default().into_iter().find_map(|object| {
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().map(str::to_owned)
    });
    image.unwrap_or_default()
}

/// The objects of one kind, as they are for the default audience.
pub(crate) fn of_kind(kind: &str) -> Vec<Value> {
    let objects = objects(&Choices::default()).unwrap_or_default();
    objects.into_iter().map(|(_, object)| object).filter(|object| object["kind"] == kind).collect()
}

fn documents(text: &str) -> Result<Vec<Value>, Refused> {
    let broken = |error: serde_yaml::Error| Refused::Manifest(error.to_string());
    serde_yaml::Deserializer::from_str(text).map(|d| Value::deserialize(d).map_err(broken)).collect()
}

/// Puts the audiences into every comparison with the default one. None given: as the manifest has it.
fn for_audiences(object: &mut Value, audiences: &[String]) -> Result<(), Refused> {
    // They stand between quotes in an expression.
    let plain = |c: char| c.is_ascii_graphic() && c != '\'' && c != '\\';
    if let Some(bad) = audiences.iter().find(|a| a.is_empty() || !a.chars().all(plain)) {
        return Err(Refused::Audience(bad.clone()));
    }
    let compared = match audiences {
        [] => return Ok(()),
        [one] => format!("a == '{one}'"),
        several => format!("a in ['{}']", several.join("', '")),
    };
    replace(object, &compared);
    Ok(())
}

fn replace(value: &mut Value, compared: &str) {
    match value {
        Value::String(text) if text.contains(COMPARED) => *text = text.replace(COMPARED, compared),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, compared)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, compared)),
        _ => {}
    }
}

/// The audiences that a policy in the cluster lets sessions have; empty where they cannot be made out.
pub(crate) fn audiences_of(policy: &Value) -> Vec<String> {
    let validations = policy["spec"]["validations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let expressions = validations.iter().filter_map(|v| v["expression"].as_str());
    let Some(expression) = expressions.into_iter().find(|e| e.starts_with("variables.audiences.all(")) else {
        return Vec::new();
    };
    // What stands between quotes.
    expression.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_manifest_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
        let mut folders: Vec<PathBuf> = vec![root.clone()];
        let mut there = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                match path.is_dir() {
                    // Examples are for reading; the way of nsplease is switched on by kubectl.
                    true if !["examples", "nsplease"].contains(&name.as_str()) => folders.push(path),
                    false if name.ends_with(".yaml") && !name.ends_with("kustomization.yaml") => {
                        there.push(name)
                    }
                    _ => {}
                }
            }
        }
        let mut carried: Vec<String> = FILES.iter().map(|(_, name, _)| (*name).to_owned()).collect();
        carried.extend(["controller/controller.yaml", "admission-fill/requester.yaml"].map(str::to_owned));
        there.sort();
        carried.sort();
        assert_eq!(there, carried);
    }

    #[test]
    fn kinds_come_first_and_the_controller_last() {
        let whole = objects(&Choices { fill: true, ..Choices::default() }).unwrap();
        assert!(
            whole.is_sorted_by_key(|(part, _)| *part) && whole.iter().any(|(part, _)| *part == Part::Fill)
        );
        let objects = objects(&Choices::default()).unwrap();
        assert_eq!(objects[0].1["kind"], "CustomResourceDefinition");
        let kinds: Vec<&str> = objects.iter().filter_map(|(_, o)| o["kind"].as_str()).collect();
        let at = |kind| kinds.iter().position(|k| *k == kind).unwrap();
        assert!(at("Namespace") < at("Role") && at("ValidatingAdmissionPolicyBinding") < at("Deployment"));
        assert_eq!(of_kind("ValidatingAdmissionPolicy").len(), 13);
        assert_eq!(of_kind("ValidatingAdmissionPolicyBinding").len(), 15);
    }

    #[test]
    fn every_binding_has_its_policy() {
        let policies = of_kind("ValidatingAdmissionPolicy");
        for binding in of_kind("ValidatingAdmissionPolicyBinding") {
            let policy = &binding["spec"]["policyName"];
            assert!(policies.iter().any(|p| p["metadata"]["name"] == *policy), "{policy}");
        }
    }

    #[test]
    fn image_and_replicas_are_filled_in() {
        let choices =
            Choices { image: Some("r.example/oz:2".to_owned()), replicas: Some(1), ..Choices::default() };
        let all = objects(&choices).unwrap();
        let (_, deployment) = all.iter().find(|(_, o)| o["kind"] == "Deployment").unwrap();
        assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "r.example/oz:2");
        assert_eq!(deployment["spec"]["replicas"], 1);
        assert_eq!(default_image(), concat!("oz-controller:", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_cluster_s_own_audience_is_put_in_and_found_again() {
        let found = |audiences: &[&str]| {
            let audiences = audiences.iter().map(|a| (*a).to_owned()).collect();
            let objects = objects(&Choices { audiences, ..Choices::default() }).unwrap();
            let policy = objects.into_iter().map(|(_, o)| o).find(|o| {
                o["kind"] == "ValidatingAdmissionPolicy" && o["metadata"]["name"] == SESSIONS_POLICY
            });
            audiences_of(&policy.unwrap())
        };
        assert_eq!(found(&[]), [DEFAULT_AUDIENCE]);
        assert_eq!(found(&["https://eks.example/id/1"]), ["https://eks.example/id/1"]);
        assert_eq!(found(&["api", "https://k.example"]), ["api", "https://k.example"]);
        for bad in ["", "a' || 'b", "a b", "x\n", "a\\"] {
            assert!(
                objects(&Choices { audiences: vec![bad.to_owned()], ..Choices::default() }).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_audience_stands_in_comparisons_alone() {
        for (_, name, text) in FILES {
            assert_eq!(text.matches(DEFAULT_AUDIENCE).count(), text.matches(COMPARED).count(), "{name}");
        }
    }
}
