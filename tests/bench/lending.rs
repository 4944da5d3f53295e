//! One loan, step by step, as a command line and its session go through it.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _};
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::client::UpgradeConnectionError;
use kube::{Api, Client};
use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::{AccessRequest, AccessRequestSpec, AccessTemplate, Phase, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::User;
use tokio::io::AsyncReadExt as _;

use crate::world::World;

/// Rights that were just given are refused until the API server has seen them.
const REFUSED_PAUSE: Duration = Duration::from_millis(2);
/// No step takes longer, unless it never ends.
const LIMIT: Duration = Duration::from_secs(60);
/// A session's token: longer than any measure, within what is lent.
const TOKEN_SECONDS: u32 = 900;

/// A step with an end.
pub(crate) async fn within<T>(what: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(LIMIT, step)
        .await
        .with_context(|| format!("{what}: not within {} s", LIMIT.as_secs()))?
}

/// Changes of requests, as they come.
pub(crate) struct Changes<R = AccessRequest>(Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<R>>> + Send>>);

impl<R> Changes<R>
where
    R: Request + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    /// Opens a watch; it is open when this returns.
    pub(crate) async fn watch(api: &Api<R>, params: &WatchParams) -> Result<Self> {
        Ok(Changes(api.watch(params, "0").await?.boxed()))
    }

    /// The next state of any of them.
    pub(crate) async fn next(&mut self) -> Result<R> {
        loop {
            match self.0.next().await.context("the watch ended")?? {
                WatchEvent::Added(request) | WatchEvent::Modified(request) => return Ok(request),
                WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(status) => bail!("the watch broke: {status:?}"),
            }
        }
    }
}

/// Is it Active? None: not yet.
///
/// # Errors
/// When it ended instead.
pub(crate) fn is_active(request: &impl Request) -> Result<bool> {
    let phase = request.phase();
    if phase.is_final() {
        let conditions = request.status().into_iter().flat_map(|s| &s.conditions);
        let why: Vec<&str> = conditions.map(|c| c.message.as_str()).collect();
        bail!("the request is {}: {}", phase.as_str(), why.join("; "));
    }
    Ok(phase == Phase::Active)
}

/// The pod that an active request lends.
pub(crate) fn pod(request: &AccessRequest) -> &str {
    request.status.as_ref().map(|s| s.pod.as_str()).unwrap_or_default()
}

/// What alice asks for under this name.
pub(crate) fn request(user: &User, name: &str, template: &str) -> Result<AccessRequest> {
    let spec: AccessRequestSpec = serde_json::from_value(json!({
        "template": template, "reason": "a benchmark",
        "requester": {"username": user.username, "uid": user.uid, "groups": user.groups},
    }))?;
    Ok(AccessRequest::new(name, spec))
}

/// Someone about to ask.
pub(crate) struct Asking {
    /// Alice's, made for this request, with the connections that asking takes.
    pub(crate) client: Client,
    /// The template's state, as a decision pins it.
    pub(crate) pin: Value,
    user: User,
    name: String,
    api: Api<AccessRequest>,
    changes: Changes,
}

impl Asking {
    /// All that comes before the request is sent: who am I and what is offered, at once, then the watch.
    pub(crate) async fn prepare(world: &World, name: &str) -> Result<Asking> {
        let client = world.alice.client()?;
        let api: Api<AccessRequest> = Api::namespaced(client.clone(), &world.ns.name);
        let templates: Api<AccessTemplate> = Api::namespaced(client.clone(), &world.ns.name);
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let who = post(&client, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &review);
        let (_, template) = tokio::try_join!(async { who.await.map_err(Into::into) }, async {
            templates.get(crate::world::APPROVED).await.context("failed to read the template")
        })?;
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        let changes = Changes::watch(&api, &only).await?;
        let pin = json!({"uid": template.metadata.uid, "generation": template.metadata.generation});
        Ok(Asking { client, pin, user: world.alice.user.clone(), name: name.to_owned(), api, changes })
    }

    pub(crate) async fn send(&self, template: &str) -> Result<AccessRequest> {
        Ok(self.api.create(&PostParams::default(), &request(&self.user, &self.name, template)?).await?)
    }

    pub(crate) async fn until_active(&mut self) -> Result<AccessRequest> {
        loop {
            let request = self.changes.next().await?;
            if is_active(&request)? {
                return Ok(request);
            }
        }
    }

    /// Until the controller has looked and said that someone must decide.
    pub(crate) async fn until_pending(&mut self) -> Result<AccessRequest> {
        loop {
            let request = self.changes.next().await?;
            if request.status.as_ref().and_then(|s| s.phase) == Some(Phase::Pending) {
                return Ok(request);
            }
        }
    }

    /// Until it is over, whatever the end.
    pub(crate) async fn until_ended(&mut self) -> Result<()> {
        while !self.changes.next().await?.phase().is_final() {}
        Ok(())
    }

    /// Ends it, and waits until nothing of it is left to do for the controller: the next one is not to wait for this.
    pub(crate) async fn end(mut self, world: &World, request: &AccessRequest) -> Result<()> {
        release(&self.client, &self.user, request).await?;
        self.until_ended().await?;
        world.until_quiet(request).await
    }
}

/// Sends a release as `oz release` does.
pub(crate) async fn release(client: &Client, user: &User, request: &AccessRequest) -> Result<()> {
    let (Some(namespace), Some(name)) = (&request.metadata.namespace, &request.metadata.name) else {
        bail!("a request without a name");
    };
    let api: Api<AccessRequest> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"metadata": {"uid": request.metadata.uid},
        "spec": {"released": true, "releasedBy": user.username}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Mints a token for the account of an active request. Also how often that was refused at first.
pub(crate) async fn mint(client: &Client, request: &AccessRequest) -> Result<(String, u32)> {
    let account = request.status.as_ref().map(|s| s.account.clone()).unwrap_or_default();
    mint_for(client, SESSIONS_NAMESPACE, &account).await
}

/// Mints a token for any account.
pub(crate) async fn mint_for(client: &Client, namespace: &str, account: &str) -> Result<(String, u32)> {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let order = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS}});
    let (answer, refused) = patiently(|| post(client, &path, &order)).await?;
    Ok((answer["status"]["token"].as_str().context("an answer without a token")?.to_owned(), refused))
}

/// Reads the pod. Also how often that was refused at first.
pub(crate) async fn read_pod(client: &Client, namespace: &str, pod: &str) -> Result<u32> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Ok(patiently(|| pods.get(pod)).await?.1)
}

/// Runs `id` in the pod until the first byte of its output has come, then calls `first`; ends when the command has.
pub(crate) async fn exec(client: &Client, namespace: &str, pod: &str, first: impl FnOnce()) -> Result<u32> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = AttachParams::default().stdin(false).stdout(true).stderr(false);
    let (mut process, refused) = patiently(|| pods.exec(pod, ["id"], &params)).await?;
    let status = process.take_status().context("no status")?;
    let mut output = process.stdout().context("no output")?;
    let mut byte = [0];
    output.read_exact(&mut byte).await.context("exec wrote nothing")?;
    first();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).await?;
    drop(output);
    let status = status.await.context("exec did not tell its end")?;
    process.join().await?;
    if status.status.as_deref() != Some("Success") {
        bail!("exec failed: {status:?}");
    }
    Ok(refused)
}

/// Is this a 403?
pub(crate) fn is_refusal(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 403,
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => {
            *code == StatusCode::FORBIDDEN
        }
        _ => false,
    }
}

/// Again until it is not refused any more; and how often it was.
pub(crate) async fn patiently<T, F: Future<Output = kube::Result<T>>>(
    mut step: impl FnMut() -> F,
) -> Result<(T, u32)> {
    let mut refused = 0;
    let patience = tokio::time::Instant::now() + LIMIT;
    loop {
        match step().await {
            Err(error) if is_refusal(&error) && tokio::time::Instant::now() < patience => {
                refused += 1;
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            other => return Ok((other?, refused)),
        }
    }
}

/// Creates what has no type here.
pub(crate) async fn post(client: &Client, path: &str, body: &Value) -> kube::Result<Value> {
    let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
    let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json").body(body);
    client.request(request.map_err(kube::Error::HttpError)?).await
}
