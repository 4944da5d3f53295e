//! The cluster: which one, as whom, and every request to it under a time limit.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::client::AuthError;
use kube::config::AuthInfo;
use kube::core::Status;
use kube::{Api, Client, Config, Resource};
use oz_client::ServerClock;
use oz_shared::request::Requester;
use oz_shared::{AccessTemplate, Grant, NamespaceClass};

use super::way::Way;
use crate::settings::Settings;

/// Why the API server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The kubeconfig cannot be used.
    #[error("failed to use the kubeconfig: {0}")]
    Config(String),
    /// The credential in it cannot be used, or its plugin failed.
    #[error("failed to use your credential: {0}")]
    Credential(String),
    /// The API server's answer is no.
    #[error("failed to {doing}: {}", status.message)]
    Api {
        /// What was tried.
        doing: String,
        /// The answer.
        status: Box<Status>,
    },
    /// No answer in time.
    #[error("the cluster did not answer within {} s: failed to {doing}", after.as_secs())]
    Timeout {
        /// What was tried.
        doing: String,
        /// The limit.
        after: Duration,
    },
    /// No connection, or it broke.
    #[error("the cluster cannot be reached: failed to {doing}: {cause}")]
    Unreachable {
        /// What was tried.
        doing: String,
        /// Why not.
        cause: String,
    },
    /// The answer is none that can be understood.
    #[error("failed to {doing}: {cause}")]
    Protocol {
        /// What was tried.
        doing: String,
        /// Why not.
        cause: String,
    },
}

impl Fault {
    /// The HTTP status of a refusal.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(status.code),
            _ => None,
        }
    }

    /// kube's error, with what was being done.
    pub(crate) fn of(doing: &str, error: kube::Error) -> Self {
        let doing = doing.to_owned();
        match error {
            kube::Error::Api(status) => Self::Api { doing, status },
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self::Unreachable { doing, cause: causes(&error) }
            }
            kube::Error::Auth(error) => Self::Credential(credential(&error)),
            other => Self::Protocol { doing, cause: causes(&other) },
        }
    }
}

/// The innermost cause, which is the one that says something: `Connection refused`.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

/// Why there is no credential; a plugin's own words stand as they are.
fn credential(error: &AuthError) -> String {
    match error {
        AuthError::AuthExec(words) => words.clone(),
        other => causes(other),
    }
}

/// One cluster, reached as the user.
pub(crate) struct Cluster {
    /// The user's own client.
    pub(crate) client: Client,
    /// The API server's clock.
    pub(crate) clock: ServerClock,
    /// The namespace that counts.
    pub(crate) namespace: String,
    /// From a pod's own account rather than a kubeconfig?
    pub(crate) in_pod: bool,
    /// How it is reached.
    pub(crate) way: Way,
    timeout: Duration,
}

impl Cluster {
    /// Reads the kubeconfig, or the pod's own credential where there is none.
    ///
    /// # Errors
    /// [`Fault::Config`] and [`Fault::Credential`].
    pub(crate) async fn connect(settings: &Settings) -> Result<Self, Fault> {
        Self::by(Way::find(settings).await?, settings)
    }

    /// The cluster to which this way leads. A credential plugin is run here.
    ///
    /// # Errors
    /// [`Fault::Config`] and [`Fault::Credential`].
    pub(crate) fn by(way: Way, settings: &Settings) -> Result<Self, Fault> {
        let namespace = way.namespace(settings);
        let (client, clock) = client(way.config.clone())?;
        Ok(Self { client, clock, namespace, in_pod: way.in_pod, way, timeout: settings.request_timeout })
    }

    /// One request to the API server, under the time limit.
    ///
    /// # Errors
    /// The API server's refusal, or that there was no answer.
    pub(crate) async fn call<T>(
        &self,
        doing: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Fault> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(answer) => answer.map_err(|error| Fault::of(doing, error)),
            Err(_) => Err(Fault::Timeout { doing: doing.to_owned(), after: self.timeout }),
        }
    }

    /// The time by the API server's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The API server's address, as it is written into a kubeconfig.
    pub(crate) fn server(&self) -> String {
        self.way.config.cluster_url.to_string().trim_end_matches('/').to_owned()
    }

    /// A client of the same server that acts under `token` and nothing else: neither the user's certificate, nor
    /// plugin, nor impersonation goes with it.
    ///
    /// # Errors
    /// [`Fault::Config`].
    pub(crate) fn session(&self, token: &str) -> Result<Client, Fault> {
        let mut config = self.way.config.clone();
        config.auth_info = AuthInfo::default();
        config.headers.clear();
        let bearer = serde_json::json!({ "token": token });
        config.auth_info = serde_json::from_value(bearer).map_err(|e| Fault::Config(e.to_string()))?;
        Ok(client(config)?.0)
    }

    /// The templates of a namespace, or of all.
    pub(crate) fn templates(&self, namespace: Option<&str>) -> Api<AccessTemplate> {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// All classes.
    pub(crate) fn classes(&self) -> Api<NamespaceClass> {
        Api::all(self.client.clone())
    }

    /// All grants.
    pub(crate) fn grants(&self) -> Api<Grant> {
        Api::all(self.client.clone())
    }

    /// A template of this namespace.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn template(&self, name: &str) -> Result<AccessTemplate, Fault> {
        let doing = format!("read template {name} in namespace {}", self.namespace);
        self.call(&doing, self.templates(Some(&self.namespace)).get(name)).await
    }

    /// Who the user is to the API server.
    ///
    /// # Errors
    /// It does not say.
    pub(crate) async fn whoami(&self) -> Result<Requester, Fault> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (question, with) = (SelfSubjectReview::default(), PostParams::default());
        let answer = self.call("ask who you are", api.create(&with, &question)).await?;
        let info = answer.status.and_then(|s| s.user_info).unwrap_or_default();
        Ok(Requester {
            username: info.username.unwrap_or_default(),
            uid: info.uid.unwrap_or_default(),
            groups: info.groups.unwrap_or_default(),
        })
    }

    /// May the user do this with a template, or with a class in a namespace? An empty name asks for all of them.
    ///
    /// # Errors
    /// The API server does not say.
    pub(crate) async fn may<P: Resource<DynamicType = ()>>(
        &self,
        verb: &str,
        namespace: &str,
        name: &str,
    ) -> Result<bool, Fault> {
        let attributes = ResourceAttributes {
            group: Some(oz_shared::GROUP.to_owned()),
            resource: Some(P::plural(&()).into_owned()),
            namespace: Some(namespace.to_owned()),
            name: (!name.is_empty()).then(|| name.to_owned()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let with = PostParams::default();
        let answer = self.call("ask what you may do", api.create(&with, &review)).await?;
        Ok(answer.status.is_some_and(|s| s.allowed))
    }
}

fn client(config: Config) -> Result<(Client, ServerClock), Fault> {
    oz_client::client(config).map_err(|error| match error {
        oz_client::Error::Kube(kube::Error::Auth(error)) => Fault::Credential(credential(&error)),
        oz_client::Error::Plugin(words) => Fault::Credential(words),
        other => Fault::Config(causes(&other)),
    })
}
