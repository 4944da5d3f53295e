//! The optional policy that fills in who asks, for one namespace alone: the other tests are for clusters without it.

use anyhow::Result;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{Call, Identity, Namespace, RUN_LABEL, is_served, run, with};

const MANIFEST: &str = include_str!("../../manifests/admission-fill/requester.yaml");
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// The kinds that carry the run's label afterwards, as kubectl names them.
pub const KINDS: &str = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";

/// Whether the API server serves such policies: 1.36 does.
///
/// # Errors
/// When it does not say.
pub async fn can_fill_in(admin: &Identity) -> Result<bool> {
    is_served(admin, GROUP, "mutatingadmissionpolicies").await
}

/// Puts it there under a name of the namespace's own. It takes a moment to be in force.
///
/// # Errors
/// When the API server refuses it.
pub async fn fill_in(admin: &Identity, ns: &Namespace) -> Result<()> {
    let meta = json!({"metadata": {"name": ns.name, "labels": {RUN_LABEL: run()}}});
    for document in serde_yaml::Deserializer::from_str(MANIFEST) {
        let object = with(Value::deserialize(document)?, &meta);
        let (kind, spec) = match object["kind"] == "MutatingAdmissionPolicy" {
            true => ("mutatingadmissionpolicies", json!({})),
            false => {
                // A selector of namespaces alone would let through what is in none.
                let here = json!({"matchLabels": {"kubernetes.io/metadata.name": ns.name}});
                let rules = json!([{"apiGroups": [oz_shared::GROUP], "apiVersions": ["*"], "operations": ["CREATE"],
                    "resources": ["*"], "scope": "Namespaced"}]);
                let spec = json!({"policyName": ns.name,
                    "matchResources": {"namespaceSelector": here, "resourceRules": rules}});
                ("mutatingadmissionpolicybindings", spec)
            }
        };
        let object = with(object, &json!({"spec": spec}));
        admin.call(Call::post(format!("{GROUP}/{kind}"), object)).await?.object()?;
    }
    Ok(())
}
