//! Oz itself as a set of objects in a cluster: what it consists of, how it is put there and taken away, and whether what is
//! there is what it should be. For those who run the cluster; nothing here is needed to borrow access.

mod ceiling;
mod drift;
mod enabled;
mod filling;
mod loans;
mod manifests;
mod namespaces;
mod objects;
mod power;
mod probes;
mod rollout;

pub(crate) use ceiling::{Ceiling, ceiling};
pub(crate) use drift::{Standing, standing};
pub(crate) use enabled::{ALL_BINDINGS, BINDINGS, Enabled, binding, controller_subject, enabled, is_ours};
pub(crate) use filling::{can_fill, is_filled};
pub(crate) use loans::{delete as delete_grants, end_all, end_delegations, live, wait_until_gone};
pub(crate) use manifests::{
    CONTROLLER_NAME, Choices, DEFAULT_AUDIENCE, Part, SESSIONS_POLICY, audiences_of, default_image, objects,
    of_kind,
};
pub(crate) use namespaces::{
    CLUSTER_BINDINGS, DELEGATION_BINDINGS, FEDERATION_BINDINGS, bindable, bound, cluster_binding, lent,
    says_the_same,
};
pub(crate) use objects::{
    Right, apply, audiences, create, delete, find, gone, missing_rights, name_of, read, replace,
    server_version,
};
pub(crate) use power::lasting;
pub(crate) use probes::{Answer, probe};
pub(crate) use rollout::{available, counts, image, is_complete};

/// The oldest Kubernetes whose admission policies can keep the gate.
pub(crate) const OLDEST: (u32, u32) = (1, 30);
/// Who writes Oz's objects by server-side apply.
pub(crate) const FIELD_MANAGER: &str = "oz";
/// Carried by everything that `oz install` makes.
pub(crate) const PART_OF_OZ: &str = "app.kubernetes.io/part-of=oz";

/// What cannot be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the manifests in this program are broken: {0}")]
    Manifest(String),
    #[error(
        "{0:?} cannot be an audience: letters, digits and punctuation, without quotes, spaces and backslashes"
    )]
    Audience(String),
}

impl From<Refused> for crate::error::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Manifest(_) => Self::internal(refused.to_string()),
            Refused::Audience(_) => Self::usage(refused.to_string()),
        }
    }
}
