//! Oz in the cluster: what `manifests/` says, with the controller that was just built.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::Lab;
use crate::run::{output, output_with, say};
use crate::{files, kubectl, wait};

/// Where the controller runs.
pub(crate) const NAMESPACE: &str = "oz-system";
const DEPLOYMENT: &str = "oz-controller";

/// Changes with the controller's program, so that a new one replaces the pods.
const PROGRAM: &str = "oz-lab/program";

/// What keeps others from touching Oz's objects.
const POLICY_KINDS: [&str; 4] = [
    "ValidatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
];

/// The API server serves a new kind about a second after its definition.
const APPLY_LIMIT: Duration = Duration::from_secs(60);
/// As long as for the rest.
const ESTABLISHED_LIMIT: &str = "60s";
/// A pod whose image is there starts in a second.
const ROLLOUT_LIMIT: &str = "120s";

/// Which controller is installed, and how the node gets it.
pub(crate) struct Controller<'a> {
    pub(crate) image: &'a str,
    pub(crate) pull: &'a str,
    pub(crate) program: &'a Path,
}

/// Installs or updates Oz and returns when its controller is available.
pub(crate) fn apply(lab: &Lab, controller: &Controller<'_>) -> Result<()> {
    let objects = render(lab, controller)?;
    let all = list(&objects);
    // Written first: what is half applied is removed as well.
    files::write(&installed(lab), all.as_bytes())?;
    define(lab, &objects)?;
    wait::until("the API server to take Oz's objects", APPLY_LIMIT, || match kubectl::apply(lab, &all) {
        Ok(_) => Ok(Some(())),
        Err(error) if is_too_early(&format!("{error:#}")) => Ok(None),
        Err(error) => Err(error).context("failed to install Oz"),
    })?;
    let rollout =
        ["--namespace", NAMESPACE, "rollout", "status", "deployment", DEPLOYMENT, "--timeout", ROLLOUT_LIMIT];
    kubectl::say(lab, rollout).map(drop).with_context(|| diagnosis(lab))
}

/// Kinds come before the objects of these kinds.
fn define(lab: &Lab, objects: &[Value]) -> Result<()> {
    let kinds: Vec<Value> =
        objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").cloned().collect();
    kubectl::apply(lab, &list(&kinds)).context("failed to define Oz's kinds")?;
    let wait = ["wait", "--for=condition=Established", "--timeout", ESTABLISHED_LIMIT, "-f", "-"];
    output_with(&mut kubectl::admin(lab, wait)?, &list(&kinds)).map(drop)
}

fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

/// Removes what [`apply`] installed: the policies first, because they keep what is Oz's from everybody else.
pub(crate) fn remove(lab: &Lab) -> Result<()> {
    let Some(all) = files::read_if_there(&installed(lab))? else { return Ok(()) };
    say("removing Oz");
    let mut all: Value = serde_json::from_str(&all).context("the record of what was installed is no JSON")?;
    let objects: Vec<Value> = all["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let is_policy = |object: &Value| object["kind"].as_str().is_some_and(|kind| POLICY_KINDS.contains(&kind));
    let (policies, rest): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_policy);
    delete(lab, &policies)?;
    // The API server goes by a policy for a moment after it is gone.
    wait::until("Oz's policies to be out of force", APPLY_LIMIT, || match delete(lab, &rest) {
        Ok(()) => Ok(Some(())),
        Err(error) if format!("{error:#}").contains("denied request") => Ok(None),
        Err(error) => Err(error).context("failed to remove Oz"),
    })
}

fn delete(lab: &Lab, objects: &[Value]) -> Result<()> {
    let words = ["delete", "--ignore-not-found", "-f", "-"];
    output_with(&mut kubectl::admin(lab, words)?, &list(objects)).map(drop)
}

/// The manifests with the lab's overlay and the controller at hand.
fn render(lab: &Lab, controller: &Controller<'_>) -> Result<Vec<Value>> {
    let overlay = lab.workspace.join("tests/lab/manifests");
    let text = output(kubectl::admin(lab, ["kustomize"])?.arg(overlay))?;
    let program = fs::read(controller.program)
        .with_context(|| format!("failed to read {}", controller.program.display()))?;
    let program = format!("{:x}", Sha256::digest(program));
    let mut objects = Vec::new();
    let mut found = false;
    for document in serde_yaml::Deserializer::from_str(&text) {
        let mut object = Value::deserialize(document).context("kubectl kustomize gave no YAML")?;
        if object["kind"] == "Deployment" && object["metadata"]["name"] == DEPLOYMENT {
            let template = &mut object["spec"]["template"];
            template["metadata"]["annotations"][PROGRAM] = json!(program);
            let container = &mut template["spec"]["containers"][0];
            container["image"] = json!(controller.image);
            container["imagePullPolicy"] = json!(controller.pull);
            found = true;
        }
        objects.push(object);
    }
    if !found {
        bail!("manifests/ holds no Deployment {DEPLOYMENT}");
    }
    Ok(objects)
}

/// All that was ever tried to apply: what [`remove`] removes.
fn installed(lab: &Lab) -> PathBuf {
    lab.dir.join("installed.json")
}

/// Objects of a kind whose definition came with the same call.
fn is_too_early(error: &str) -> bool {
    ["no matches for kind", "ensure CRDs are installed first", "could not find the requested resource"]
        .iter()
        .any(|words| error.contains(words))
}

/// What a person would look at next.
fn diagnosis(lab: &Lab) -> String {
    let pods = kubectl::say(lab, ["--namespace", NAMESPACE, "get", "pods", "-o", "wide"]);
    let events = kubectl::say(lab, ["--namespace", NAMESPACE, "events", "--types", "Warning"]);
    let logs =
        kubectl::say(lab, ["--namespace", NAMESPACE, "logs", "--tail", "15", "deployment/oz-controller"]);
    let text = |result: Result<String>| result.unwrap_or_else(|error| format!("{error:#}"));
    format!(
        "Oz's controller does not become available\npods:\n{}\nevents:\n{}\nlog:\n{}",
        text(pods),
        text(events),
        text(logs)
    )
}
