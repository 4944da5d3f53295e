//! Is Oz there as it was shipped, and does its gate refuse?

use std::time::Duration;

use jiff::SignedDuration;
use oz_shared::names::{GATE_REVISION, SYSTEM_NAMESPACE};
use serde_json::Value;

use super::finding::{Check, NOT_YOURS_TO_SEE, Outcome};
use crate::duration::human;
use crate::error::Error;
use crate::installation::{self, Answer, Choices, OLDEST, SESSIONS_POLICY, Standing, name_of};
use crate::kube::{Cluster, Fault};

/// Deadlines are whole seconds, and an answer's date is too: below this nobody notices.
pub(super) const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// Enough answers for the clock to be known to a fraction of a second: their dates have whole ones.
pub(super) const CLOCK_ANSWERS: usize = 4;

pub(super) fn server((major, minor, version): &(u32, u32, String)) -> Check {
    match (*major, *minor) < OLDEST {
        true => Check::new("server", Outcome::Failed, format!("Kubernetes {version} cannot keep the gate"))
            .remedy(format!("Kubernetes {}.{} or newer", OLDEST.0, OLDEST.1)),
        false => Check::new("server", Outcome::Ok, format!("Kubernetes {version}")),
    }
}

pub(super) async fn clock(cluster: &Cluster) -> Check {
    for _ in 0..CLOCK_ANSWERS {
        let _ = installation::server_version(cluster).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    let skew = cluster.clock.skew();
    let words = match skew.is_zero() {
        true => "this machine's clock and the API server's agree".to_owned(),
        false => {
            let way = if skew.is_positive() { "behind" } else { "ahead of" };
            format!("this machine's clock is about {} {way} the API server's", human(skew.abs()))
        }
    };
    match skew.abs() > SKEW {
        true => Check::new("clock", Outcome::Warning, words)
            .remedy("the API server's counts; set this machine's, by NTP"),
        false => Check::new("clock", Outcome::Ok, words),
    }
}

/// Everyone may ask which kinds an API server serves.
pub(super) async fn served(cluster: &Cluster) -> Result<(), Check> {
    let version = format!("{}/{}", oz_shared::GROUP, oz_shared::VERSION);
    match cluster.call("ask for Oz's kinds", cluster.client.list_api_group_resources(&version)).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.code() == Some(404) => {
            Err(Check::new("kinds", Outcome::Failed, format!("{version} is not served: Oz is not installed"))
                .remedy("oz install"))
        }
        Err(fault) => Err(Check::new("kinds", Outcome::Failed, fault.to_string())),
    }
}

/// What should be there, for the audience that the cluster's policy names.
pub(super) async fn as_shipped(cluster: &Cluster) -> Result<Vec<Value>, Error> {
    let default = installation::objects(&Choices::default())?;
    let is_sessions =
        |o: &&Value| o["kind"] == "ValidatingAdmissionPolicy" && o["metadata"]["name"] == SESSIONS_POLICY;
    let policy = default.iter().map(|(_, o)| o).find(is_sessions);
    let live = match policy {
        Some(policy) => installation::find(cluster, policy).await.ok().flatten(),
        None => None,
    };
    let audiences = live.map(|live| installation::audiences_of(&live)).unwrap_or_default();
    // Who may not see whether it is there is told nothing of it.
    let fill = installation::is_filled(cluster).await.unwrap_or(false);
    // An audience that no install puts in counts as a difference.
    let choices = Choices { audiences, fill, ..Choices::default() };
    let objects = installation::objects(&choices).unwrap_or(default);
    Ok(objects.into_iter().map(|(_, object)| object).collect())
}

pub(super) async fn shipped(
    cluster: &Cluster,
    check: &'static str,
    object: &Value,
    fields: &[&str],
) -> Result<Check, Fault> {
    // What is aggregated is what others add: the ceiling has a check of its own.
    let fields = if object["aggregationRule"].is_null() { fields } else { &["aggregationRule"] };
    let standing = installation::standing(cluster, object, fields).await?;
    let mut found = judge(check, standing).about(name_of(object));
    if found.result == Outcome::Ok && check == "policies" {
        let live = installation::find(cluster, object).await?.unwrap_or_default();
        let warnings = live["status"]["typeChecking"]["expressionWarnings"].as_array().map_or(0, Vec::len);
        if warnings > 0 {
            let detail = format!("the API server does not understand {warnings} of its expressions");
            found = Check::new(check, Outcome::Failed, detail).about(name_of(object));
        }
    }
    Ok(found)
}

pub(super) fn judge(check: &'static str, standing: Standing) -> Check {
    match standing {
        Standing::Same => Check::new(check, Outcome::Ok, "as shipped with this program"),
        Standing::Missing => Check::new(check, Outcome::Failed, "is missing").remedy("oz install"),
        Standing::Going => {
            Check::new(check, Outcome::Failed, "is being deleted").remedy("oz install, once it is gone")
        }
        Standing::Differs(paths) => Check::new(
            check,
            Outcome::Failed,
            format!("is not as shipped with this program: {}", paths.join(", ")),
        )
        .remedy("oz install puts it right; or use the oz that it was installed with"),
        Standing::Hidden => Check::new(check, Outcome::Unknown, NOT_YOURS_TO_SEE),
    }
}

/// A session's token is for the API server's own audience: the policy must name what the API server has.
pub(super) async fn audience(cluster: &Cluster, objects: &[Value]) -> Check {
    let policy = objects
        .iter()
        .find(|o| o["kind"] == "ValidatingAdmissionPolicy" && o["metadata"]["name"] == SESSIONS_POLICY);
    let mut named = policy.map(installation::audiences_of).unwrap_or_default();
    match installation::audiences(cluster, SYSTEM_NAMESPACE).await {
        Ok(mut own) => {
            own.sort();
            named.sort();
            match own == named {
                true => Check::new("audience", Outcome::Ok, own.join(", ")),
                false => Check::new(
                    "audience",
                    Outcome::Failed,
                    format!(
                        "the API server has {}, policy {SESSIONS_POLICY} names {}",
                        own.join(", "),
                        named.join(", ")
                    ),
                )
                .remedy("oz install, or nobody can mint a token"),
            }
        }
        Err(fault) => Check::unseen("audience", &fault),
    }
}

pub(super) fn gate(policy: &str, answer: Answer) -> Check {
    match answer {
        Answer::Refused => Check::new(
            "gate",
            Outcome::Ok,
            format!("refuses what it must, in the present revision {GATE_REVISION}"),
        ),
        Answer::Open(why) => {
            Check::new("gate", Outcome::Failed, why).remedy("oz install; nothing is granted meanwhile")
        }
        Answer::Unknown(why) => Check::new("gate", Outcome::Unknown, why),
    }
    .about(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_fails() {
        assert_eq!(server(&(1, 29, "v1.29.3".to_owned())).result, Outcome::Failed);
        assert_eq!(server(&(1, 30, "v1.30.0".to_owned())).result, Outcome::Ok);
        assert_eq!(server(&(2, 0, "v2".to_owned())).result, Outcome::Ok);
    }
}
