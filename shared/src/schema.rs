//! Pieces of schema that several types share: patterns and CEL rules that the API server itself keeps.

use serde_json::{Value, json};

/// `1h30m`: hours, minutes, seconds, in this order.
pub(crate) const DURATION: &str = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
/// A DNS subdomain, or nothing.
pub(crate) const SUBDOMAIN_OR_EMPTY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$";
/// A DNS subdomain.
pub(crate) const SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// A DNS label.
pub(crate) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A DNS label, or `*`.
pub(crate) const LABEL_OR_ALL: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?|\*)$";
/// A DNS label, or nothing.
pub(crate) const LABEL_OR_EMPTY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$";
/// An amount of memory or CPU, or nothing: digits, up to three decimals, a suffix of Kubernetes. Zero is for the policies.
pub(crate) const QUANTITY: &str = r"^([0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?)?$";
/// A container image.
pub(crate) const IMAGE: &str = "^[a-zA-Z0-9][-a-zA-Z0-9._/:@]*$";
/// A container image, or nothing.
pub(crate) const IMAGE_OR_EMPTY: &str = "^([a-zA-Z0-9][-a-zA-Z0-9._/:@]*)?$";
/// The name of a role. RBAC takes others too; these have a URL of their own.
pub(crate) const ROLE: &str = "^[a-zA-Z0-9]([-a-zA-Z0-9:._]*[a-zA-Z0-9])?$";
/// The same, or nothing.
pub(crate) const ROLE_OR_EMPTY: &str = "^([a-zA-Z0-9]([-a-zA-Z0-9:._]*[a-zA-Z0-9])?)?$";
/// The parts of a pod that a template may patch.
pub(crate) const PATCH_PATH: &str = "^(/spec|/metadata/labels|/metadata/annotations)(/.*)?$";
/// Text that a person reads: no control, format (bidi), line or paragraph separator characters.
pub(crate) const TEXT: &str = r"^[^\p{C}\p{Zl}\p{Zp}]*$";

/// `x-kubernetes-validations` from pairs of rule and message.
pub(crate) fn rules(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect()
}
