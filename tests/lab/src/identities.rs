//! Real people and a pipeline for the tests: client certificates signed by the cluster at its own interface, and a service
//! account's token. They hold no role: each test binds what it needs.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::run::{command, output, output_with, say, succeeds};
use crate::{files, kubeconfig, kubectl, wait};

/// Name, and groups.
const PEOPLE: [(&str, &[&str]); 4] = [
    // Asks for access.
    ("alice", &["team-shop"]),
    // Decides.
    ("bob", &["leads"]),
    // May nothing.
    ("carol", &[]),
    // Has a namespace of his own.
    ("dave", &[]),
];

/// The pipeline's service account and its namespace.
const PIPELINE: &str = "pipeline";
const PIPELINE_NAMESPACE: &str = "ci";

/// What the lab made in a cluster that is not its own carries this label.
pub(crate) const MADE: &str = "oz-lab/made";

/// Lifetime of a certificate, in seconds: a week of work.
const CERTIFICATE_LIFE: u64 = 7 * 24 * 3600;
/// Lifetime of the pipeline's token.
const TOKEN_LIFE: &str = "24h";
/// What ends within this time, in seconds, is made anew: longer than a working day.
const MARGIN: u64 = 12 * 3600;
/// The signer answers in milliseconds.
const SIGN_LIMIT: Duration = Duration::from_secs(30);

/// Makes those that are missing, refused, or soon at their end.
pub(crate) fn ensure(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab)?;
    let mut made = Vec::new();
    for (name, groups) in PEOPLE {
        if !(certificate_lasts(lab, name) && is_known(lab, name)) {
            make_person(lab, &cluster, name, groups).with_context(|| format!("failed to make {name}"))?;
            made.push(name);
        }
    }
    if !(token_lasts(lab)? && is_known(lab, PIPELINE)) {
        make_pipeline(lab, &cluster).context("failed to make the pipeline's account")?;
        made.push(PIPELINE);
    }
    if !made.is_empty() {
        say(&format!("made kubeconfigs in {}: {}", lab.kubeconfigs().display(), made.join(" ")));
    }
    Ok(())
}

/// Removes from a given cluster what [`ensure`] made there; the certificates end by themselves.
pub(crate) fn remove(lab: &Lab) -> Result<()> {
    let label = format!("{MADE}=true");
    kubectl::say(lab, ["delete", "namespaces", "--selector", &label, "--ignore-not-found"]).map(drop)
}

/// All names of people and pipelines that have a kubeconfig, besides the administrator.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PEOPLE.iter().map(|(name, _)| *name).chain([PIPELINE])
}

/// How the administrator's kubeconfig describes the cluster, with everything in it that reaching it takes.
fn cluster(lab: &Lab) -> Result<Value> {
    let text = kubectl::say(lab, ["config", "view", "--raw", "--minify", "--flatten", "-o", "json"])?;
    let mut config: Value = serde_json::from_str(&text).context("kubectl config view gave no JSON")?;
    Ok(config["clusters"][0]["cluster"].take())
}

fn make_person(lab: &Lab, cluster: &Value, name: &str, groups: &[&str]) -> Result<()> {
    let folder = lab.dir.join("identities");
    files::folder(&folder)?;
    let organizations: String = groups.iter().map(|group| format!("/O={group}")).collect();
    let subject = format!("{organizations}/CN={name}");
    let key = output(&mut command(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"]))?;
    let request = ["openssl", "req", "-new", "-key", "/dev/stdin", "-subj", &subject];
    let request = output_with(&mut command(request), &key)?;
    let certificate = sign(lab, name, &request)?;
    files::write_private(&folder.join(format!("{name}.crt")), &certificate)?;
    let user = json!({
        "client-certificate-data": kubeconfig::base64(&certificate),
        "client-key-data": kubeconfig::base64(key.as_bytes()),
    });
    write(lab, cluster, name, &user)
}

/// Has the cluster sign it, as an administrator who approves it would.
fn sign(lab: &Lab, name: &str, request: &str) -> Result<Vec<u8>> {
    let object = format!("oz-lab-{name}");
    let delete = ["delete", "certificatesigningrequest", &object, "--ignore-not-found"];
    kubectl::say(lab, delete)?;
    let request = json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": object},
        "spec": {
            "request": kubeconfig::base64(request.as_bytes()),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "expirationSeconds": CERTIFICATE_LIFE,
            "usages": ["client auth"],
        },
    });
    output_with(&mut kubectl::admin(lab, ["create", "-f", "-"])?, &request.to_string())?;
    kubectl::say(lab, ["certificate", "approve", &object])?;
    let certificate = wait::until("the cluster to sign a certificate", SIGN_LIMIT, || {
        let found = kubectl::get(lab, ["certificatesigningrequest", &object])?;
        Ok(found.and_then(|found| found["status"]["certificate"].as_str().map(str::to_owned)))
    })?;
    kubectl::say(lab, delete)?;
    STANDARD.decode(certificate).context("the signed certificate is not base64")
}

fn make_pipeline(lab: &Lab, cluster: &Value) -> Result<()> {
    let mut objects = Vec::new();
    if kubectl::get(lab, ["namespace", PIPELINE_NAMESPACE])?.is_none() {
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": PIPELINE_NAMESPACE, "labels": {MADE: "true"}},
        }));
    }
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": PIPELINE, "namespace": PIPELINE_NAMESPACE},
    }));
    kubectl::apply(lab, &json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())?;
    let create = ["create", "token", PIPELINE, "--namespace", PIPELINE_NAMESPACE, "--duration", TOKEN_LIFE];
    let token = kubectl::say(lab, create)?.trim().to_owned();
    files::write_private(&token_path(lab), token.as_bytes())?;
    write(lab, cluster, PIPELINE, &json!({"token": token}))
}

fn write(lab: &Lab, cluster: &Value, name: &str, user: &Value) -> Result<()> {
    let text = kubeconfig::compose(&lab.name, cluster, name, user)?;
    files::write_private(&lab.kubeconfig(name), text.as_bytes())
}

/// Whether the cluster takes the credential: a given cluster may have been made anew under the same kubeconfig.
fn is_known(lab: &Lab, name: &str) -> bool {
    lab.kubeconfig(name).is_file()
        && kubectl::by(lab, name, ["auth", "whoami"]).is_ok_and(|mut whoami| succeeds(&mut whoami))
}

fn certificate_lasts(lab: &Lab, name: &str) -> bool {
    let certificate = lab.dir.join("identities").join(format!("{name}.crt"));
    let margin = MARGIN.to_string();
    succeeds(command(["openssl", "x509", "-noout", "-checkend", &margin, "-in"]).arg(certificate))
}

fn token_lasts(lab: &Lab) -> Result<bool> {
    let Some(token) = files::read_if_there(&token_path(lab))? else { return Ok(false) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    Ok(expiry(&token).is_some_and(|expiry| expiry > now + MARGIN))
}

fn token_path(lab: &Lab) -> std::path::PathBuf {
    Path::new(&lab.dir).join("identities").join("pipeline.token")
}

/// The instant in a JSON web token at which it ends, in seconds since 1970.
fn expiry(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["exp"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::expiry;

    #[test]
    fn a_token_tells_its_end() {
        // {"exp":1795430000}
        assert_eq!(expiry("e30.eyJleHAiOjE3OTU0MzAwMDB9.sig"), Some(1_795_430_000));
        assert_eq!(expiry("no token"), None);
    }
}
