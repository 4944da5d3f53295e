//! What was found out: the lines of the report, and how they are told.

use serde::Serialize;

use crate::kube::Fault;

/// How every detail begins that tells of a missing right.
pub(super) const NOT_YOURS: &str = "you may not";

/// The one that is told of most objects.
pub(super) const NOT_YOURS_TO_SEE: &str = "you may not see this";

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    Warning,
    Failed,
    /// This user may not see it.
    Unknown,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What is checked: one of a fixed set of words.
    pub(super) check: &'static str,
    /// Which object, where there are several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) object: String,
    pub(super) result: Outcome,
    /// What was found.
    pub(super) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) remedy: String,
}

impl Check {
    pub(super) fn new(check: &'static str, result: Outcome, detail: impl Into<String>) -> Self {
        Self { check, object: String::new(), result, detail: detail.into(), remedy: String::new() }
    }

    pub(super) fn about(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// The API server refuses to show it, or it cannot be read.
    pub(super) fn unseen(check: &'static str, fault: &Fault) -> Self {
        match fault.code() {
            Some(403) => Self::new(check, Outcome::Unknown, NOT_YOURS_TO_SEE),
            _ => Self::new(check, Outcome::Failed, fault.to_string()),
        }
    }
}

/// All that was found out; the shape of `-o json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    /// Where Oz may lend.
    pub(super) namespaces: Vec<String>,
    /// What Oz could hand out there, in words.
    pub(super) ceiling: Vec<String>,
}

/// What is well, or unknown for one reason, is one line a check; everything else is a line for each object.
pub(super) fn rows(checks: &[Check], wide: bool) -> Vec<Vec<String>> {
    let row = |check: &Check| {
        let about = if check.object.is_empty() { String::new() } else { format!("{}: ", check.object) };
        let remedy = if check.remedy.is_empty() { String::new() } else { format!(" -> {}", check.remedy) };
        vec![
            check.check.to_owned(),
            word(check.result).to_owned(),
            format!("{about}{}{remedy}", check.detail),
        ]
    };
    let mut rows = Vec::new();
    for (index, check) in checks.iter().enumerate() {
        let alike = |c: &&Check| {
            c.check == check.check
                && c.result == check.result
                && c.detail == check.detail
                && !c.object.is_empty()
        };
        let count = checks.iter().filter(alike).count();
        let collapses = !wide && count > 1 && matches!(check.result, Outcome::Ok | Outcome::Unknown);
        if !collapses {
            rows.push(row(check));
        } else if !checks[..index].iter().any(|c| alike(&c)) {
            let all = checks.iter().filter(|c| c.check == check.check).count();
            let of = if count == all { format!("all {all}") } else { format!("{count} of {all}") };
            rows.push(vec![
                check.check.to_owned(),
                word(check.result).to_owned(),
                format!("{of}: {}", check.detail),
            ]);
        }
    }
    rows
}

pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warning => "warning",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_well_is_one_line_and_what_is_not_is_named() {
        let ok = |name: &str| Check::new("policies", Outcome::Ok, "as shipped").about(name);
        let bad = Check::new("policies", Outcome::Failed, "is missing").about("P c").remedy("oz install");
        let checks = [ok("P a"), ok("P b"), bad, Check::new("server", Outcome::Ok, "Kubernetes v1")];
        let lines: Vec<String> = rows(&checks, false).into_iter().map(|r| r.join(" | ")).collect();
        assert_eq!(
            lines,
            [
                "policies | ok | 2 of 3: as shipped",
                "policies | failed | P c: is missing -> oz install",
                "server | ok | Kubernetes v1",
            ]
        );
        assert_eq!(rows(&checks, true).len(), 4);
    }

    #[test]
    fn the_report_for_programs() {
        let checks = vec![Check::new("gate", Outcome::Unknown, "you may not ask it").about("oz-guard")];
        let report = Report { checks, namespaces: vec!["shop".to_owned()], ceiling: Vec::new() };
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            json!({
                "checks": [{"check": "gate", "object": "oz-guard", "result": "unknown", "detail": "you may not ask it"}],
                "namespaces": ["shop"],
                "ceiling": [],
            })
        );
    }
}
