//! Asking for access, and taking the question back.

use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::core::ObjectMeta;
use oz_shared::copy;
use oz_shared::request::Requester;
use oz_shared::template::Amounts;
use oz_shared::{AccessRequest, AccessRequestSpec, Phase};

use super::asked::Asked;
use super::client::{Cluster, Fault};
use super::decide::release;

/// The letters and digits that end a request's name.
const SUFFIX: usize = 5;
/// The longest name that is also fit to be a label's value.
const MAX_NAME: usize = 63;
/// How often another name is tried where one is taken.
const ATTEMPTS: usize = 4;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    /// The template.
    pub(crate) template: String,
    /// For how long, as the API writes it; empty for the template's default.
    pub(crate) duration: String,
    /// Why.
    pub(crate) reason: String,
    /// The pod, or empty.
    pub(crate) pod: String,
    /// The container, or empty.
    pub(crate) container: String,
    /// Memory for a copy, or empty.
    pub(crate) memory: String,
    /// Cores for a copy, or empty.
    pub(crate) cpu: String,
    /// The node for a copy, or empty.
    pub(crate) node: String,
    /// The image of a debugging container, or empty.
    pub(crate) image: String,
}

impl Ask {
    /// What it asks of a copy.
    pub(crate) fn of_copy(&self) -> copy::Asked {
        copy::Asked {
            container: self.container.clone(),
            amounts: Amounts { memory: self.memory.clone(), cpu: self.cpu.clone() },
            node: self.node.clone(),
            pod: self.pod.clone(),
        }
    }

    /// The request, without a name.
    pub(crate) fn request(&self, requester: &Requester) -> AccessRequest {
        AccessRequest {
            metadata: ObjectMeta::default(),
            spec: AccessRequestSpec {
                template: self.template.clone(),
                duration: self.duration.clone(),
                reason: self.reason.clone(),
                pod: self.pod.clone(),
                container: self.container.clone(),
                memory: self.memory.clone(),
                cpu: self.cpu.clone(),
                node: self.node.clone(),
                image: self.image.clone(),
                requester: requester.clone(),
                decisions: Vec::new(),
                released: false,
                released_by: String::new(),
                release_reason: String::new(),
            },
            status: None,
        }
    }

    /// What its name begins with.
    pub(crate) fn base(&self) -> String {
        format!("access-request-{}", self.template)
    }
}

/// `BASE-7k2pd`, at most 63 characters.
pub(crate) fn request_name(base: &str, random: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = random;
    let suffix: String = (0..SUFFIX)
        .map(|_| {
            let digit = char::from(DIGITS[(rest % 36) as usize]);
            rest /= 36;
            digit
        })
        .collect();
    name_like(base, &suffix)
}

/// `BASE-SUFFIX`, at most 63 characters: the base gives way.
pub(crate) fn name_like(base: &str, suffix: &str) -> String {
    let base: String = base.chars().take(MAX_NAME.saturating_sub(suffix.len() + 1)).collect();
    format!("{}-{suffix}", base.trim_end_matches(['-', '.']))
}

/// A number that differs each time. Names need to be different, not secret.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.write_i128(jiff::Timestamp::now().as_nanosecond());
    hasher.finish()
}

/// Creates the request under a name of its own; `naming` hears of each name before it is tried.
///
/// # Errors
/// The API server refuses it, or does not answer.
pub(crate) async fn submit<R: Asked>(
    cluster: &Cluster,
    mut request: R,
    base: &str,
    mut naming: impl FnMut(&str),
) -> Result<R, Fault> {
    let api = cluster.asked::<R>(Some(&cluster.namespace));
    let mut attempt = 1;
    loop {
        let name = request_name(base, random());
        naming(&name);
        request.meta_mut().name = Some(name.clone());
        let doing = format!("create request {name}");
        let with = PostParams::default();
        match cluster.call(&doing, api.create(&with, &request)).await {
            Err(fault) if fault.code() == Some(409) && attempt < ATTEMPTS => attempt += 1,
            answer => return answer,
        }
    }
}

/// Is it the user's own?
pub(crate) fn is_mine<R: Asked>(request: &R, me: &Requester) -> bool {
    request.requester().username == me.username && request.requester().uid == me.uid
}

/// How a request was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// It was never granted and is gone.
    Deleted,
    /// It was granted meanwhile, and is released.
    Released,
    /// It had ended by itself.
    Over,
}

/// Takes a request back: deletes it, or releases it where it was granted in the meantime.
///
/// # Errors
/// Neither works.
pub(crate) async fn withdraw<R: Asked>(
    cluster: &Cluster,
    name: &str,
    me: &Requester,
) -> Result<Withdrawn, Fault> {
    let request = match cluster.find::<R>(name).await {
        Ok(request) => request,
        Err(fault) if fault.code() == Some(404) => return Ok(Withdrawn::Deleted),
        Err(fault) => return Err(fault),
    };
    let granted = request.status().is_some_and(|s| s.approved_at.is_some());
    if request.phase().is_final() && granted {
        return Ok(Withdrawn::Over);
    }
    if !granted {
        let this = Preconditions { uid: request.meta().uid.clone(), resource_version: None };
        let with = DeleteParams::default().preconditions(this);
        let api = cluster.asked::<R>(Some(&cluster.namespace));
        match cluster.call("withdraw the request", api.delete(name, &with)).await {
            Ok(_) => return Ok(Withdrawn::Deleted),
            Err(fault) if fault.code() == Some(404) => return Ok(Withdrawn::Deleted),
            // Granted since it was read: releasing is what remains.
            Err(fault) if fault.code() == Some(403) => {}
            Err(fault) => return Err(fault),
        }
    }
    match release(cluster, &request, me, "withdrawn").await {
        Ok(_) => Ok(Withdrawn::Released),
        Err(fault) => match cluster.find::<R>(name).await {
            Ok(now) if matches!(now.phase(), Phase::Released | Phase::Expired) => Ok(Withdrawn::Over),
            _ => Err(fault),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_template_and_five_more() {
        assert_eq!(request_name("access-request-api-exec", 0), "access-request-api-exec-00000");
        assert_eq!(request_name("access-request-api-exec", 36), "access-request-api-exec-01000");
        let long = request_name(&format!("access-request-{}", "a.".repeat(100)), u64::MAX);
        assert!(long.len() <= 63 && long.starts_with("access-request-a.a") && !long.contains(".-"), "{long}");
        assert_ne!(random(), random());
    }
}
