//! The contract between Oz's parts: the API types of group `ozaccess.io`, the names and labels that admission policies
//! rely on, durations, and what templates lend. No client, no runtime and no clock: time is passed in.

mod access_request;
pub mod conditions;
pub mod copy;
pub mod debug;
pub mod delegation;
pub mod duration;
pub mod exec;
pub mod federation;
pub mod gate;
pub mod grant;
pub mod lasting;
pub mod names;
pub mod namespace_class;
pub mod namespace_request;
pub mod plain;
pub mod policy;
pub mod quantity;
pub mod request;
pub mod role;
mod schema;
pub mod template;
pub mod trigger_time;

pub use access_request::{AccessRequest, AccessRequestSpec};
pub use delegation::{Delegation, DelegationSpec, DelegationStatus};
pub use federation::{Federation, FederationSpec};
pub use grant::{Grant, GrantSpec, GrantStatus};
pub use namespace_class::{NamespaceClass, NamespaceClassSpec};
pub use namespace_request::{NamespaceRequest, NamespaceRequestSpec};
pub use policy::Policy;
pub use request::{Phase, Request, RequestStatus};
pub use template::{AccessTemplate, AccessTemplateSpec};

/// The API group of everything that is Oz's.
pub const GROUP: &str = "ozaccess.io";
/// The version served.
pub const VERSION: &str = "v1alpha1";
/// Who writes Oz's fields by server-side apply in the controller.
pub const FIELD_MANAGER: &str = "oz-controller";

/// The custom resource definitions in the order in which they are to be applied.
#[must_use]
pub fn custom_resource_definitions()
-> Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> {
    use kube::CustomResourceExt as _;
    vec![
        AccessTemplate::crd(),
        AccessRequest::crd(),
        NamespaceClass::crd(),
        NamespaceRequest::crd(),
        Federation::crd(),
        delegation::definition(),
        Grant::crd(),
    ]
}
