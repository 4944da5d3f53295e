//! The controller's calls as the API server counted them: its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use oz_shared::names::{CONTROLLER_USERNAME, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use serde::Deserialize;

/// The log is written beside the answers; this long after the last of them it is complete.
const SETTLED: Duration = Duration::from_millis(300);

/// Said where there is no log.
pub(crate) const NONE: &str = "OZ_LAB_AUDIT names no audit log";

/// The log.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    path: PathBuf,
}

/// A place in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    offset: u64,
    at: Timestamp,
}

/// One call of the controller's.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) at: Timestamp,
    verb: String,
    resource: String,
    namespace: String,
    name: String,
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: Username,
    #[serde(default)]
    object_ref: ObjectRef,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct Username {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

impl Audit {
    /// The log that the lab names, if it is there.
    pub(crate) fn find() -> Option<Audit> {
        let path = std::env::var_os("OZ_LAB_AUDIT").filter(|path| !path.is_empty()).map(PathBuf::from)?;
        path.is_file().then_some(Audit { path })
    }

    /// The present end of it.
    pub(crate) fn mark(&self) -> Result<Mark> {
        let offset = std::fs::metadata(&self.path).context("failed to look at the audit log")?.len();
        Ok(Mark { offset, at: Timestamp::now() })
    }

    /// The controller's calls that came since, without leases and watches.
    pub(crate) async fn since(&self, mark: Mark) -> Result<Vec<Call>> {
        let until = Timestamp::now();
        tokio::time::sleep(SETTLED).await;
        let mut file = File::open(&self.path).context("failed to open the audit log")?;
        file.seek(SeekFrom::Start(mark.offset))?;
        let mut calls = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.context("failed to read the audit log")?;
            calls.extend(call(&line).filter(|call| mark.at <= call.at && call.at <= until));
        }
        Ok(calls)
    }
}

/// The controller's call in this line, if it is one that counts.
fn call(line: &str) -> Option<Call> {
    // Most lines are others': they need not be taken apart.
    if !line.contains(CONTROLLER_USERNAME) {
        return None;
    }
    // What cannot be read is a line that is still being written.
    let line: Line = serde_json::from_str(line).ok()?;
    let object = line.object_ref;
    let counts = line.user.username == CONTROLLER_USERNAME
        && line.stage == "ResponseComplete"
        && line.verb != "watch"
        && object.resource != "leases";
    let resource = [object.resource, object.subresource].join("/");
    counts.then(|| Call {
        at: line.request_received_timestamp,
        verb: line.verb,
        resource: resource.trim_matches('/').to_owned(),
        namespace: object.namespace,
        name: object.name,
        uri: line.uri,
    })
}

impl Call {
    /// Does it leave something behind? Questions and trials do not; Events are no part of what is counted.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !matches!(self.resource.as_str(), "events" | "subjectaccessreviews")
            && !self.is_trial()
    }

    /// A dry run, by which the controller tries the gate: not for any one grant.
    pub(crate) fn is_trial(&self) -> bool {
        self.uri.contains("dryRun=All")
    }

    /// Is it about something in a namespace other than this one and Oz's own?
    pub(crate) fn is_elsewhere(&self, namespace: &str) -> bool {
        ![namespace, "", SESSIONS_NAMESPACE, SYSTEM_NAMESPACE].contains(&self.namespace.as_str())
    }

    /// Is it about this grant of a request in this namespace, as far as can be told? Reviews name nothing.
    pub(crate) fn concerns(&self, namespace: &str, grant: &str) -> bool {
        match self.namespace.as_str() {
            own if own == namespace => true,
            // Accounts are named after their grant: `oz-p-ID-x…` for `oz-ID`.
            SESSIONS_NAMESPACE => self.uri.contains(grant.strip_prefix("oz-").unwrap_or(grant)),
            "" => self.name == grant || self.resource == "subjectaccessreviews",
            _ => false,
        }
    }
}

/// How many of which, the most frequent first: `patch roles 2, …`, each count divided by `by`.
pub(crate) fn breakdown<'a>(calls: impl IntoIterator<Item = &'a Call>, by: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(format!("{} {}", call.verb, call.resource)).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let by = by.max(1);
    let words = counts.into_iter().map(|(what, count)| match (count % by, count / by) {
        (0, each) => format!("{what} {each}"),
        _ => format!("{what} {:.2}", count as f64 / by as f64),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &str, verb: &str, object: &str, uri: &str) -> String {
        format!(
            r#"{{"stage":"ResponseComplete","requestURI":"{uri}","verb":"{verb}","user":{{"username":"{user}"}},
            "objectRef":{object},"requestReceivedTimestamp":"2026-11-22T12:14:08.305391Z"}}"#
        )
    }

    #[test]
    fn only_the_controllers_own_calls_count() {
        let role = r#"{"resource":"roles","namespace":"oz-sessions","name":"oz-p-1-x9"}"#;
        let found = call(&line(CONTROLLER_USERNAME, "patch", role, "/x/roles/oz-p-1-x9?a")).unwrap();
        assert!(found.writes() && found.concerns("n", "oz-1") && !found.concerns("n", "oz-2"));
        assert!(call(&line("alice", "patch", role, CONTROLLER_USERNAME)).is_none());
        assert!(call(&line(CONTROLLER_USERNAME, "watch", role, "/x")).is_none());
        assert!(call(&line(CONTROLLER_USERNAME, "update", r#"{"resource":"leases"}"#, "/x")).is_none());
        assert!(!call(&line(CONTROLLER_USERNAME, "create", role, "/x?dryRun=All")).unwrap().writes());
    }

    #[test]
    fn calls_are_counted_by_kind() {
        let status = r#"{"resource":"grants","subresource":"status","name":"a"}"#;
        let calls: Vec<Call> = [status, status, "{}"]
            .iter()
            .filter_map(|o| call(&line(CONTROLLER_USERNAME, "patch", o, "/")))
            .collect();
        assert_eq!(breakdown(&calls, 2), "patch grants/status 1, patch  0.50");
    }
}
