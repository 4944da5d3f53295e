//! The optional policy that fills in who asks, for one namespace alone: the other tests are for clusters without it.

use anyhow::Result;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{Call, Identity, Namespace, RUN_LABEL, run, with};

const MANIFEST: &str = include_str!("../../manifests/admission-fill/requester.yaml");
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// The kinds that carry the run's label afterwards, as kubectl names them.
pub const KINDS: &str = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";

/// Whether the API server serves such policies. Where it does not, what takes one is said not to be shown.
///
/// # Errors
/// When it does not answer.
pub async fn is_served(admin: &Identity) -> Result<bool> {
    let served = admin.call(Call::get(format!("{GROUP}/mutatingadmissionpolicies"))).await?.code != 404;
    if !served {
        println!("not shown: this API server serves no MutatingAdmissionPolicies (v1, from 1.36 on)");
    }
    Ok(served)
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
                let here = json!({"matchLabels": {"kubernetes.io/metadata.name": ns.name}});
                let spec = json!({"policyName": ns.name, "matchResources": {"namespaceSelector": here}});
                ("mutatingadmissionpolicybindings", spec)
            }
        };
        let object = with(object, &json!({"spec": spec}));
        admin.call(Call::post(format!("{GROUP}/{kind}"), object)).await?.object()?;
    }
    Ok(())
}
