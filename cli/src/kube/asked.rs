//! The kinds of request as this program asks, reads and names them: what an AccessRequest and a NamespaceRequest have in
//! common beyond the API.

use kube::{Api, Client, ResourceExt as _};
use oz_shared::{
    AccessRequest, AccessTemplate, Federation, NamespaceClass, NamespaceRequest, Phase, Policy, Request,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Cluster, Fault};
use super::token::context_name;
use crate::error::Error;
use crate::kubeconfig::PREFIX;
use crate::target::{Kind, Target};

/// A kind of request.
pub(crate) trait Asked:
    Request + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Under what it asks.
    type Policy: Policy + Clone + std::fmt::Debug + DeserializeOwned;
    /// Which kind it is.
    const KIND: Kind;
    /// What that is called.
    const UNDER: &'static str;

    /// Those of a namespace, or of all; where the kind is the whole cluster's, all in any case.
    fn api(client: Client, namespace: Option<&str>) -> Api<Self>;

    /// The policies that may be asked for in a namespace.
    fn policies(cluster: &Cluster, namespace: &str) -> Api<Self::Policy>;

    /// Is there a container that must start first?
    fn starts(policy: &Self::Policy) -> bool;

    /// How long what is approved may take to start, where the policy says so.
    fn start_timeout(policy: &Self::Policy) -> Option<&str>;

    /// The command that asks for the same.
    fn again(&self) -> String;

    /// The request whose account this one uses, by name and uid; none where it has its own.
    fn shares(&self) -> Option<(&str, &str)> {
        None
    }

    /// The contexts that a kubeconfig gets for it, each with its namespace.
    fn contexts(&self) -> Vec<(String, String)>;

    /// As commands name it.
    fn target(&self) -> String {
        Self::KIND.target(&self.name_any())
    }

    /// By which a kubeconfig and the cache tell it: `NAMESPACE/TARGET`.
    fn mark(&self) -> String {
        format!("{}/{}", self.namespace().unwrap_or_default(), self.target())
    }

    /// Does its holder have it by his own name? Then there is no credential to mint, and no context to write.
    fn by_own_name(&self) -> bool {
        self.phase() == Phase::Active
            && self.status().is_some_and(|s| s.account.is_empty())
            && self.shares().is_none()
    }
}

impl Asked for AccessRequest {
    type Policy = AccessTemplate;
    const KIND: Kind = Kind::Access;
    const UNDER: &'static str = "template";

    fn api(client: Client, namespace: Option<&str>) -> Api<Self> {
        match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    fn policies(cluster: &Cluster, namespace: &str) -> Api<AccessTemplate> {
        cluster.templates(Some(namespace))
    }

    fn starts(policy: &AccessTemplate) -> bool {
        policy.spec.starts()
    }

    fn start_timeout(policy: &AccessTemplate) -> Option<&str> {
        Some(&policy.spec.start_timeout)
    }

    fn again(&self) -> String {
        format!("oz access-request {}", self.spec.template)
    }

    fn contexts(&self) -> Vec<(String, String)> {
        let namespace = self.namespace().unwrap_or_default();
        vec![(context_name(&namespace, &self.name_any()), namespace)]
    }
}

impl Asked for NamespaceRequest {
    type Policy = NamespaceClass;
    const KIND: Kind = Kind::Namespaces;
    const UNDER: &'static str = "class";

    fn api(client: Client, namespace: Option<&str>) -> Api<Self> {
        match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    fn policies(cluster: &Cluster, _: &str) -> Api<NamespaceClass> {
        cluster.classes()
    }

    fn starts(_: &NamespaceClass) -> bool {
        false
    }

    fn start_timeout(_: &NamespaceClass) -> Option<&str> {
        None
    }

    fn again(&self) -> String {
        format!("oz namespace-request {} --class {}", self.spec.namespaces.join(" "), self.spec.class)
    }

    fn shares(&self) -> Option<(&str, &str)> {
        let credential = &self.spec.credential;
        (!credential.uid.is_empty()).then_some((credential.name.as_str(), credential.uid.as_str()))
    }

    /// A lent namespace's name is one in the whole cluster.
    fn contexts(&self) -> Vec<(String, String)> {
        let made = self.status.iter().flat_map(|s| &s.namespaces);
        made.map(|n| (format!("{PREFIX}{}", n.name), n.name.clone())).collect()
    }
}

impl Asked for Federation {
    type Policy = NamespaceClass;
    const KIND: Kind = Kind::Federation;
    const UNDER: &'static str = "class";

    fn api(client: Client, _: Option<&str>) -> Api<Self> {
        Api::all(client)
    }

    fn policies(cluster: &Cluster, _: &str) -> Api<NamespaceClass> {
        cluster.classes()
    }

    fn starts(_: &NamespaceClass) -> bool {
        false
    }

    fn start_timeout(_: &NamespaceClass) -> Option<&str> {
        None
    }

    fn again(&self) -> String {
        let spec = &self.spec;
        format!("oz federation-request NAME --class {} --organization '{}'", spec.class, spec.organization)
    }

    /// The first namespace; by the federation's name, which says whose it is on the other side.
    fn contexts(&self) -> Vec<(String, String)> {
        let made = self.status.iter().flat_map(|s| &s.namespaces).take(1);
        made.map(|n| (format!("{PREFIX}{}", self.name_any()), n.name.clone())).collect()
    }
}

/// Reads the request that is meant. A bare name that only a NamespaceRequest has is not guessed at.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn named<R: Asked>(cluster: &Cluster, target: &Target) -> Result<R, Error> {
    match cluster.find::<R>(&target.name).await {
        Err(fault) if fault.code() == Some(404) && target.bare => {
            let error = Error::from(fault);
            let other = cluster.find::<NamespaceRequest>(&target.name).await;
            Err(match other {
                Ok(other) => {
                    error.hint(format!("there is a NamespaceRequest of that name: {}", other.target()))
                }
                Err(_) => error,
            })
        }
        answer => Ok(answer?),
    }
}

impl Cluster {
    /// The requests of one kind, of a namespace or of all.
    pub(crate) fn asked<R: Asked>(&self, namespace: Option<&str>) -> Api<R> {
        R::api(self.client.clone(), namespace)
    }

    /// A request of this namespace, or of the cluster.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn find<R: Asked>(&self, name: &str) -> Result<R, Fault> {
        let doing = match R::KIND {
            Kind::Federation => format!("read federation {name}"),
            _ => format!("read request {name} in namespace {}", self.namespace),
        };
        self.call(&doing, self.asked::<R>(Some(&self.namespace)).get(name)).await
    }

    /// What a request of this namespace asks under.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn policy<R: Asked>(&self, name: &str) -> Result<R::Policy, Fault> {
        let doing = format!("read {} {name} in namespace {}", R::UNDER, self.namespace);
        self.call(&doing, R::policies(self, &self.namespace).get(name)).await
    }
}
