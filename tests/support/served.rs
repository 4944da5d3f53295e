//! What this API server serves: an older one lacks some of what newer ones have.

use anyhow::Result;

use crate::{Call, Identity};

/// Whether it serves this resource (`pods/resize`) of this group and version (`/api/v1`). Where it does not, what takes
/// it is said not to be shown.
///
/// # Errors
/// When it does not say.
#[allow(clippy::print_stdout, reason = "a test says what it could not show")]
pub async fn is_served(who: &Identity, version: &str, resource: &str) -> Result<bool> {
    let all = who.call(Call::get(version)).await?.object()?;
    let served = all["resources"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == resource));
    if !served {
        println!("not shown: this API server serves no {resource} of {version}");
    }
    Ok(served)
}
