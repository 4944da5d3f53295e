//! What comes out: a table for people, JSON for programs. Aims and the figures of the tool before Oz stand here alone.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::stats::Summary;

/// What is measured, in the order and the words of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    OzSize,
    OzStart,
    Prompt,
    BareSequential,
    BareParallel,
    BareHeld,
    CreateActive,
    CreateMinted,
    CreateUsable,
    BareExec,
    CreateExec,
    ApproveActive,
    ApproveUsable,
    ReleaseRefused,
    BareCrowd,
    CrowdEach,
    CrowdLast,
    BarePod,
    CopyActive,
    CopyUsable,
    BarePrompt,
    CopyPrompt,
    BarePods,
    CopiesEach,
    CopiesLast,
    BareNamespace,
    NamespaceActive,
    NamespaceUsable,
    BareNamespaces,
    NamespacesEach,
    NamespacesLast,
    MemoryNamespaces,
    BareFederation,
    FederationUsable,
    FederationRefused,
    FederationsMade,
    FederationsEnded,
    IdleFederations,
    MemoryFederations,
    DelegationBound,
    DelegationUnbound,
    DelegationCalls,
    DelegationEvent,
    IdleDelegations,
    MemoryDelegations,
    WritesToActive,
    CallsToActive,
    WritesLife,
    CallsLife,
    CopyWritesToActive,
    CopyCallsToActive,
    CopyWritesLife,
    CopyCallsLife,
    IdleNone,
    IdleCrowd,
    MemoryNone,
    MemoryCrowd,
    MemoryMany,
}

/// Words about a figure: name, unit, aim, and what the tool before Oz took.
struct Words(&'static str, &'static str, &'static str, &'static str);

impl Figure {
    const fn words(self) -> Words {
        match self {
            Self::OzSize => Words("size of oz", "MB", "≤ 15", ""),
            Self::OzStart => Words("oz version, start to end", "ms", "≤ 10", ""),
            Self::Prompt => Words("command → prompt", "ms", "≤ 200", "1,278"),
            Self::BareSequential => Words("bare: same objects, one by one", "ms", "about 25", ""),
            Self::BareParallel => Words("bare: same objects, in parallel", "ms", "", ""),
            Self::BareHeld => Words("bare: in parallel, not an administrator", "ms", "", ""),
            Self::CreateActive => Words("create → Active", "ms", "", ""),
            Self::CreateMinted => Words("create → token minted", "ms", "", ""),
            Self::CreateUsable => Words("create → usable", "ms", "≤ 1.5 × bare", "116"),
            Self::BareExec => Words("bare: exec dial → first byte", "ms", "", ""),
            Self::CreateExec => Words("create → exec's first byte", "ms", "", ""),
            Self::ApproveActive => Words("approve → Active", "ms", "", ""),
            Self::ApproveUsable => Words("approve → usable", "ms", "", ""),
            Self::ReleaseRefused => Words("release → refused", "ms", "≤ 20", "25"),
            Self::BareCrowd => Words("bare: a crowd, last usable", "ms", "", ""),
            Self::CrowdEach => Words("a crowd at once, each usable", "ms", "", ""),
            Self::CrowdLast => Words("a crowd at once, last usable", "ms", "≤ 1,000", "9,300"),
            Self::BarePod => Words("bare: a pod, create → running", "ms", "", ""),
            Self::CopyActive => Words("copy: create → Active", "ms", "", ""),
            Self::CopyUsable => Words("copy: create → usable", "ms", "≤ 1.15 × bare", ""),
            Self::BarePrompt => Words("bare: a pod, create → prompt", "ms", "", ""),
            Self::CopyPrompt => Words("copy: command → prompt", "ms", "≤ bare + 150", ""),
            Self::BarePods => Words("bare: 20 pods, last running", "ms", "", ""),
            Self::CopiesEach => Words("20 copies at once, each usable", "ms", "", ""),
            Self::CopiesLast => Words("20 copies at once, last usable", "ms", "≤ 2 × one", ""),
            Self::BareNamespace => {
                Words("bare: a namespace, an owner, a token, a call", "ms", "about 27", "")
            }
            Self::NamespaceActive => Words("namespace: create → Active", "ms", "", ""),
            Self::NamespaceUsable => Words("namespace: create → usable", "ms", "≤ 1.5 × bare", "1,054"),
            Self::BareNamespaces => Words("bare: a crowd of namespaces, last usable", "ms", "", ""),
            Self::NamespacesEach => Words("a crowd of namespaces at once, each usable", "ms", "", ""),
            Self::NamespacesLast => {
                Words("a crowd of namespaces at once, last usable", "ms", "≤ 1.5 × bare", "26,000")
            }
            Self::MemoryNamespaces => {
                Words("memory of the controller with a crowd of namespaces", "MB", "", "")
            }
            Self::BareFederation => {
                Words("bare: a namespace, a partner's account, a token, a call", "ms", "", "")
            }
            Self::FederationUsable => Words("federation: create → usable", "ms", "", "63"),
            Self::FederationRefused => Words("federation: release → refused", "ms", "", ""),
            Self::FederationsMade => Words("many federations with their namespaces, made", "ms", "", ""),
            Self::FederationsEnded => Words("many federations with their namespaces, gone", "ms", "", ""),
            Self::IdleFederations => Words("idle minute with many federations", "calls", "0", ""),
            Self::MemoryFederations => Words("memory with many federations", "MB", "", ""),
            Self::DelegationBound => Words("delegation of two bindings: create → bound", "ms", "", "8,000"),
            Self::DelegationUnbound => Words("delegation of two bindings: release → unbound", "ms", "", ""),
            Self::DelegationCalls => Words("controller's calls for a delegation's cycle", "calls", "", "45"),
            Self::DelegationEvent => Words("an event → bound, beside many delegations", "ms", "", ""),
            Self::IdleDelegations => Words("idle minute with many delegations", "calls", "", ""),
            Self::MemoryDelegations => Words("memory with many delegations", "MB", "", ""),
            Self::WritesToActive => Words("controller's writes to Active", "writes", "≤ 10", "17 calls"),
            Self::CallsToActive => Words("controller's calls to Active", "calls", "", ""),
            Self::WritesLife => Words("controller's writes over a life", "writes", "", ""),
            Self::CallsLife => Words("controller's calls over a life", "calls", "", ""),
            Self::CopyWritesToActive => Words("copy: writes to Active", "writes", "≤ 11", ""),
            Self::CopyCallsToActive => Words("copy: calls to Active", "calls", "", ""),
            Self::CopyWritesLife => Words("copy: writes over a life", "writes", "", ""),
            Self::CopyCallsLife => Words("copy: calls over a life", "calls", "", ""),
            Self::IdleNone => Words("idle minute without a grant", "calls", "0", "333"),
            Self::IdleCrowd => Words("idle minute with a crowd", "calls", "0", ""),
            Self::MemoryNone => Words("memory without a grant", "MB", "", ""),
            Self::MemoryCrowd => Words("memory with a crowd", "MB", "", ""),
            Self::MemoryMany => Words("memory with many", "MB", "≤ 40", "60"),
        }
    }
}

/// Everything that was found out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Where it ran.
    pub(crate) machine: Vec<(&'static str, String)>,
    rows: Vec<(Figure, Summary)>,
    notes: Vec<String>,
    skipped: Vec<String>,
    failed: Vec<String>,
}

impl Report {
    /// A figure by its samples; without samples it is left out.
    pub(crate) fn add(&mut self, figure: Figure, samples: &[f64]) {
        if let Some(summary) = Summary::of(samples) {
            self.rows.push((figure, summary));
            self.rows.sort_by_key(|(figure, _)| *figure);
        }
    }

    /// A line below the table.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// A measure that cannot be taken here.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        self.skipped.push(format!("{what}: {why}"));
    }

    /// A measure that broke.
    pub(crate) fn fail(&mut self, what: &str, error: &anyhow::Error) {
        self.failed.push(format!("{what}: {error:#}"));
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Says how figures stand to the bare ones of this run.
    pub(crate) fn compare(&mut self) {
        let pairs = [
            (Figure::CreateUsable, Figure::BareSequential),
            (Figure::CreateUsable, Figure::BareParallel),
            (Figure::CreateUsable, Figure::BareHeld),
            (Figure::CrowdLast, Figure::BareCrowd),
            (Figure::CopyUsable, Figure::BarePod),
            (Figure::CopyPrompt, Figure::BarePrompt),
            (Figure::CopiesLast, Figure::BarePods),
            (Figure::CopiesLast, Figure::CopyUsable),
        ];
        let median = |wanted| self.rows.iter().find(|(figure, _)| *figure == wanted).map(|(_, s)| s.p50);
        let lines: Vec<String> = pairs
            .into_iter()
            .filter_map(|(one, other)| {
                let ratio = median(one)? / median(other)?;
                Some(format!("{} is {ratio:.2} × “{}” (medians)", one.words().0, other.words().0))
            })
            .collect();
        self.notes.splice(0..0, lines);
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut lines =
            vec![["", "unit", "n", "p50", "p99", "min", "max", "aim", "before Oz"].map(str::to_owned)];
        for (figure, s) in &self.rows {
            let Words(name, unit, aim, before) = figure.words();
            let figures = [s.p50, s.p99, s.min, s.max].map(|value| number(value, unit));
            let [p50, p99, min, max] = figures;
            let texts = [name, unit, &s.n.to_string(), &p50, &p99, &min, &max, aim, before];
            lines.push(texts.map(str::to_owned));
        }
        let mut text = String::new();
        for (what, value) in &self.machine {
            let _ = writeln!(text, "{what}: {value}");
        }
        text.push('\n');
        for line in &lines {
            text.push_str(aligned(line, &lines).trim_end());
            text.push('\n');
        }
        for (word, list) in [("note", &self.notes), ("skipped", &self.skipped), ("failed", &self.failed)] {
            for item in list {
                let _ = write!(text, "\n{word}: {item}");
            }
        }
        text
    }

    /// For programs: the same.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|(figure, summary)| row(*figure, summary)).collect();
        let machine: Value =
            self.machine.iter().map(|(what, value)| ((*what).to_owned(), json!(value))).collect();
        json!({
            "machine": machine, "rows": rows, "notes": self.notes, "skipped": self.skipped, "failed": self.failed,
        })
    }
}

fn row(figure: Figure, summary: &Summary) -> Value {
    let Words(name, unit, aim, before) = figure.words();
    let mut row = json!({"name": name, "unit": unit, "aim": aim, "before": before});
    if let (Value::Object(row), Ok(Value::Object(summary))) = (&mut row, serde_json::to_value(summary)) {
        row.extend(summary);
    }
    row
}

/// The first two columns to the left, figures to the right, words to the left again.
fn aligned(line: &[String; 9], lines: &[[String; 9]]) -> String {
    let mut text = String::new();
    for (column, cell) in line.iter().enumerate() {
        let width = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let gap = if column == 7 { "   " } else { "  " };
        let _ = match column {
            0 => write!(text, "{cell:<width$}"),
            2..=6 => write!(text, "{gap}{cell:>width$}"),
            _ => write!(text, "{gap}{cell:<width$}"),
        };
    }
    text
}

/// Counts are whole; three digits are enough of anything else.
fn number(value: f64, unit: &str) -> String {
    match unit {
        "calls" | "writes" if value.fract() == 0.0 => format!("{value:.0}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_json_says_the_same() {
        let mut report = Report::default();
        report.add(Figure::CreateUsable, &[30.0, 36.04, 120.0]);
        report.add(Figure::BareSequential, &[24.0]);
        report.skip("prompt", "oz is not there");
        report.compare();
        let table = report.table();
        assert!(
            table.contains(
                "create → usable                 ms    3  36.0   120  30.0   120   ≤ 1.5 × bare  116"
            ),
            "{table}"
        );
        assert!(
            table.contains("note: create → usable is 1.50 × “bare: same objects, one by one” (medians)"),
            "{table}"
        );
        assert!(table.ends_with("skipped: prompt: oz is not there"), "{table}");
        assert_eq!(report.json()["rows"][1]["p50"], 36.04);
        assert!(!report.has_failures());
    }
}
