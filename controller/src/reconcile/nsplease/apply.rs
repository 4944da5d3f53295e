//! Does what a plan for a request says, by at most a handful of writes, the token's last.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Api;
use oz_shared::names::{
    ANSWER_ANNOTATION, GRANT_LABEL, ISSUE_TOKEN_LABEL, ISSUED_LABEL, NSPLEASE, POD_SECURITY_LABEL,
    REQUESTS_LABEL,
};
use serde_json::{Value, json};

use super::observe::{Issued, Ours};
use super::plan::Step;
use super::settings::{Policy, Settings, base64};
use super::{ACCOUNT, ISSUED_TO, RENEW_AT};
use crate::children::{Child, Kind};
use crate::context::Context;
use crate::reconcile::{Doing as _, Error, later};
use crate::write;

/// How long a token lives, in seconds; the policy oz-controller knows the bound. The API server may make it less.
const LIFE: i64 = 12 * 3600;
/// No API server makes a token's life less than this, in seconds.
const SHORTEST: i64 = 600;
/// A token is replaced after this much of its life, in hundredths.
const RENEWED_AFTER: i64 = 80;
/// What nsplease marks its namespaces with.
const THANK_YOU: &str = "nsplease.container.training/thank-you";
const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) async fn apply(
    name: &str,
    step: &Step,
    settings: &Settings,
    context: &Context,
) -> Result<(), Error> {
    let client = &context.client;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let requests: Api<ConfigMap> = write::namespaced(client, &settings.requests);
    let secrets: Api<Secret> = write::namespaced(client, &settings.requests);
    match step {
        Step::Rest(_) => Ok(()),
        Step::Answer { request, words, .. } => {
            let patch = json!({"annotations": {ANSWER_ANNOTATION: words}});
            write::metadata(&requests, name, &request.uid, patch).await.doing("answer on the ConfigMap")
        }
        Step::Retract(request) => {
            let patch = json!({"annotations": {ANSWER_ANNOTATION: null}});
            write::metadata(&requests, name, &request.uid, patch).await.doing("answer on the ConfigMap")
        }
        Step::Make(policy) => {
            let namespace = namespace(name, *policy, settings).doing("make the namespace")?;
            write::create(&namespaces, &namespace).await.map(drop).doing("make the namespace")
        }
        Step::Own { request, namespace } => {
            let patch = json!({"ownerReferences": [owner(name, namespace)]});
            write::metadata(&requests, name, &request.uid, patch).await.doing("have the ConfigMap owned")
        }
        Step::Tighten(ours) => {
            let patch = json!({"labels": {ISSUE_TOKEN_LABEL: Policy::OnlyOnce}});
            write::metadata(&namespaces, name, &ours.uid, patch).await.doing("record the policy")
        }
        Step::Discard(secret) => write::delete(&secrets, name, &secret.uid)
            .await
            .doing("delete the Secret of a namespace that is gone"),
        Step::Issue { ours, to, into } => issue(name, ours, to, into.as_ref(), settings, context).await,
        Step::Record { ours, to } => {
            // Told in nsplease's own words first; what the account says already is its owner's to have said.
            if ours.said.is_none() {
                make(&[account(name, Some(ours.policy), settings)], context).await?;
            }
            let patch = json!({"labels": {ISSUED_LABEL: to}});
            write::metadata(&namespaces, name, &ours.uid, patch)
                .await
                .doing("record that the token was issued")
        }
        Step::Release(secret) => {
            let patch = json!({"labels": {ISSUED_LABEL: ""}});
            write::metadata(&secrets, name, &secret.uid, patch).await.doing("let the Secret be deleted")
        }
    }
}

fn namespace(name: &str, policy: Policy, settings: &Settings) -> kube::Result<Namespace> {
    let labels = json!({
        GRANT_LABEL: NSPLEASE, REQUESTS_LABEL: settings.requests, ISSUE_TOKEN_LABEL: policy, THANK_YOU: "",
        POD_SECURITY_LABEL: settings.pod_security,
    });
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    serde_json::from_value(namespace).map_err(kube::Error::SerdeError)
}

fn owner(name: &str, uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": uid})
}

/// Makes what gives the token its meaning, mints it, and writes it.
async fn issue(
    name: &str,
    ours: &Ours,
    to: &str,
    into: Option<&Issued>,
    settings: &Settings,
    context: &Context,
) -> Result<(), Error> {
    let said = ours.said.is_some().then_some(ours.policy);
    make(&[account(name, said, settings), own_role(name)], context).await?;
    make(&bindings(name), context).await?;
    let asked = context.clock.now();
    let (token, ends) = write::mint(&context.client, name, ACCOUNT, LIFE).await.doing("mint the token")?;
    let life = ends.duration_since(asked).as_secs().max(SHORTEST);
    let renew_at = later(asked, SignedDuration::from_secs(life.saturating_mul(RENEWED_AFTER) / 100));

    // While it can be issued only once it stays until it is on record; whoever holds it may delete it then.
    let mut labels = json!({GRANT_LABEL: NSPLEASE});
    if ours.policy == Policy::MultipleTimes || ours.issued.is_some() {
        labels[ISSUED_LABEL] = json!("");
    }
    let mut metadata = json!({
        "name": name, "namespace": settings.requests, "labels": labels,
        "annotations": {ISSUED_TO: to, RENEW_AT: renew_at.to_string()},
        "ownerReferences": [owner(name, &ours.uid)],
    });
    if let Some(secret) = into {
        metadata["uid"] = json!(secret.uid);
        metadata["resourceVersion"] = json!(secret.version);
    }
    let secret = Secret {
        metadata: serde_json::from_value(metadata)
            .map_err(kube::Error::SerdeError)
            .doing("write the Secret")?,
        type_: Some("Opaque".to_owned()),
        data: Some(data(name, &token, settings)),
        ..Secret::default()
    };
    let secrets = write::namespaced(&context.client, &settings.requests);
    match into {
        None => write::create(&secrets, &secret).await,
        Some(_) => write::replace(&secrets, name, &secret).await,
    }
    .map(drop)
    .doing("write the Secret")
}

/// What users of nsplease take from the Secret: `token`; and what they need besides to come by the API server.
fn data(name: &str, token: &str, settings: &Settings) -> BTreeMap<String, ByteString> {
    let mut cluster = json!({"server": settings.server});
    if !settings.authority.is_empty() {
        cluster["certificate-authority-data"] = json!(base64(settings.authority.as_bytes()));
    }
    // JSON is YAML, and none of this can come to mean anything else in it.
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": name}}],
    });
    let entries = [
        ("token", token.to_owned()),
        ("ca.crt", settings.authority.clone()),
        ("namespace", name.to_owned()),
        ("server", settings.server.clone()),
        ("kubeconfig", kubeconfig.to_string()),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect()
}

fn child(kind: Kind, namespace: &str, name: &str, annotations: Value, fields: Value) -> Child {
    let resource = kind.resource();
    let mut body = fields;
    body["apiVersion"] = json!(resource.api_version);
    body["kind"] = json!(resource.kind);
    body["metadata"] = json!({"name": name, "namespace": namespace, "labels": {GRANT_LABEL: NSPLEASE}, "annotations": annotations});
    Child { kind, namespace: namespace.to_owned(), name: name.to_owned(), body }
}

fn account(namespace: &str, said: Option<Policy>, settings: &Settings) -> Child {
    let mut annotations = json!({});
    if let Some(policy) = said {
        annotations[&settings.annotation] = json!(policy);
    }
    child(Kind::ServiceAccount, namespace, ACCOUNT, annotations, json!({}))
}

/// To delete its own namespace.
fn own_role(namespace: &str) -> Child {
    let rule = json!({"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["delete"]});
    child(Kind::Role, namespace, ACCOUNT, json!({}), json!({"rules": [rule]}))
}

fn bindings(namespace: &str) -> [Child; 2] {
    let subjects = json!([{"kind": "ServiceAccount", "namespace": namespace, "name": ACCOUNT}]);
    [("admin-clusterrole", "ClusterRole"), ("admin-role", "Role")].map(|(name, kind)| {
        let role = json!({"apiGroup": RBAC, "kind": kind, "name": ACCOUNT});
        child(Kind::RoleBinding, namespace, name, json!({}), json!({"subjects": subjects, "roleRef": role}))
    })
}

/// Makes parts of the namespace, or makes them what they should be, all at once.
async fn make(parts: &[Child], context: &Context) -> Result<(), Error> {
    let make = parts.iter().map(|part| async move {
        let api = part.kind.api(&context.client, &part.namespace);
        write::put(&api, &part.name, &part.body).await.map(drop)
    });
    futures::future::try_join_all(make).await.map(drop).doing("make the account and its rights")
}
