//! Being someone: by a kubeconfig, by a token, or by impersonation where the difference does not matter.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::HeaderValue;
use http::header::{CONTENT_TYPE, HeaderName};
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::json;

use crate::{Answer, Call};

/// No request of a test takes longer; the client itself has no such limit.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Someone as the API server knows him.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The username.
    pub username: String,
    /// The uid; empty for client certificates.
    #[serde(default)]
    pub uid: String,
    /// The groups, in the API server's order.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Someone who can send requests. Belongs to the runtime that it was made in.
#[derive(Clone)]
pub struct Identity {
    user: User,
    config: Config,
    client: Client,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Identity {
    /// By the current context of that kubeconfig.
    ///
    /// # Errors
    /// When the file cannot be used or the API server does not know the credential.
    pub async fn from_kubeconfig(path: &Path) -> Result<Identity> {
        let file =
            Kubeconfig::read_from(path).with_context(|| format!("failed to read {}", path.display()))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Identity::from_config(config).await.with_context(|| format!("as {} says", path.display()))
    }

    /// By a bearer token, at the same API server and with none of this identity's own credentials.
    ///
    /// # Errors
    /// When the API server does not know the token.
    pub async fn with_token(&self, token: &str) -> Result<Identity> {
        let auth_info: AuthInfo = serde_json::from_value(json!({"token": token}))?;
        let mut config = self.config.clone();
        config.auth_info = auth_info;
        Identity::from_config(config).await
    }

    async fn from_config(config: Config) -> Result<Identity> {
        let (client, _) = oz_client::client(config.clone())?;
        let user = User { username: String::new(), uid: String::new(), groups: Vec::new() };
        let mut identity = Identity { user, config, client, headers: Vec::new() };
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let answer =
            identity.call(Call::post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)).await?;
        let known = answer.object().context("failed to ask the API server who this is")?;
        identity.user = serde_json::from_value(known["status"]["userInfo"].clone())?;
        Ok(identity)
    }

    /// Someone else, by this identity's right to impersonate.
    ///
    /// # Errors
    /// When a name holds what no HTTP header can.
    pub fn impersonate(&self, user: User) -> Result<Identity> {
        let mut headers =
            vec![(HeaderName::from_static("impersonate-user"), HeaderValue::from_str(&user.username)?)];
        for group in &user.groups {
            headers.push((HeaderName::from_static("impersonate-group"), HeaderValue::from_str(group)?));
        }
        if !user.uid.is_empty() {
            headers.push((HeaderName::from_static("impersonate-uid"), HeaderValue::from_str(&user.uid)?));
        }
        Ok(Identity { user, headers, ..self.clone() })
    }

    /// Who this is.
    #[must_use]
    pub const fn user(&self) -> &User {
        &self.user
    }

    /// The client of a kubeconfig's or token's identity. An impersonating one has only [`Identity::call`].
    ///
    /// # Panics
    /// For an impersonating identity: the client would act as the one who impersonates.
    #[must_use]
    pub fn client(&self) -> Client {
        assert!(self.headers.is_empty(), "{} is impersonated and has no client", self.user.username);
        self.client.clone()
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When no answer came. A refusal is an answer.
    pub async fn call(&self, call: Call) -> Result<Answer> {
        let what = format!("{} {}", call.method, call.uri());
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(call.uri())
            .header(CONTENT_TYPE, call.content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = call.body.map(|body| serde_json::to_vec(&body)).transpose()?.unwrap_or_default();
        let exchange = async {
            let response = self.client.send(request.body(Body::from(body))?).await?;
            let code = response.status().as_u16();
            if code == 101 {
                return anyhow::Ok((code, Vec::new()));
            }
            Ok((code, response.into_body().collect_bytes().await?.to_vec()))
        };
        let (code, bytes) = tokio::time::timeout(ANSWER_LIMIT, exchange)
            .await
            .with_context(|| format!("no answer to {what}"))?
            .with_context(|| format!("failed to send {what}"))?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| serde_json::Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Answer { code, body, connected: call.connects })
    }

    /// Mints a token for a ServiceAccount, with this identity's right to.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn mint(&self, namespace: &str, account: &str, seconds: i64) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let mut order = json!({"spec": {"expirationSeconds": seconds}});
        // An account that mints its own says which of its name it is: before 1.34 the API server does not fill it in.
        if self.user.username == format!("system:serviceaccount:{namespace}:{account}") {
            order["metadata"]["uid"] = json!(self.user.uid);
        }
        let answer = self.call(Call::post(path, order)).await?.object()?;
        Ok(answer["status"]["token"].as_str().context("an answer without a token")?.to_owned())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).finish_non_exhaustive()
    }
}
