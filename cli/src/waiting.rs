//! Waiting for a request, and telling what happens meanwhile: who decides, and what its pod still waits for.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use oz_shared::conditions::{self, READY};
use oz_shared::request::Verdict;
use oz_shared::{Phase, Policy as _};

use crate::app::App;
use crate::kube::{Asked, Cluster, Ended, Goal, until};

/// A controller that runs has looked at a request long before this.
const SILENCE: Duration = Duration::from_secs(10);

/// Waits until `goal` is reached; `note` says what Ctrl-C does.
///
/// # Errors
/// It ended otherwise, or took longer than `limit`.
pub(crate) async fn wait<R: Asked>(
    app: &App,
    cluster: &Cluster,
    request: R,
    policy: Option<&R::Policy>,
    (goal, limit): (Goal, Duration),
    note: &'static str,
) -> Result<R, Ended> {
    let told = RefCell::new(Told::before::<R>(policy));
    let line = approver_line(app, cluster, &request.target());
    let ask_for_yes = || {
        app.printer.say("Waiting for approval...");
        app.printer.say(&line);
    };
    // Who may not read what he asks under learns whether anybody must agree once the controller has looked.
    let unsaid = Cell::new(request.phase() == Phase::Pending && policy.is_none());
    if told.borrow().needed > 0 && request.phase() == Phase::Pending && policy.is_some() {
        ask_for_yes();
    }
    let spinner = spinner(app, note);
    let tell = |now: &R| {
        if unsaid.get() && now.phase() == Phase::Pending && now.status().is_some_and(|s| s.phase.is_some()) {
            unsaid.set(false);
            spinner.suspend(ask_for_yes);
        }
        for line in told.borrow_mut().news(now) {
            spinner.suspend(|| app.printer.say(&line));
        }
    };
    let seen = Cell::new(false);
    let mut waiting = std::pin::pin!(until(cluster, request, goal, limit, |now| {
        seen.set(seen.get() || now.status().is_some());
        tell(now);
    }));
    let waited = tokio::select! {
        waited = &mut waiting => waited,
        () = tokio::time::sleep(SILENCE) => {
            if !seen.get() {
                let word = "Oz's controller has not looked at it yet: kubectl get pods -n oz-system";
                spinner.suspend(|| app.printer.say(word));
            }
            waiting.await
        }
    };
    if let (Goal::Ready, Ok(request)) = (goal, &waited) {
        tell(request);
    }
    spinner.finish_and_clear();
    waited
}

/// The line to paste for who may approve.
pub(crate) fn approver_line(app: &App, cluster: &Cluster, target: &str) -> String {
    format!("  to approve: oz approve {target} -n {}{}", cluster.namespace, app.settings.repeat())
}

fn spinner(app: &App, note: &'static str) -> ProgressBar {
    if !app.ui.interactive() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed}  ({msg})") {
        spinner.set_style(style);
        spinner.set_message(note);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// What was told already.
#[derive(Debug)]
struct Told {
    /// How many must approve.
    needed: i32,
    /// Is there a container that must start?
    starts: bool,
    decisions: usize,
    approved: bool,
    /// What the pod waited for.
    words: String,
}

impl Told {
    fn before<R: Asked>(policy: Option<&R::Policy>) -> Self {
        Self {
            needed: policy.map_or(1, |p| p.consent().approvals),
            starts: policy.is_some_and(R::starts),
            decisions: 0,
            approved: false,
            words: String::new(),
        }
    }

    /// What is new, line by line.
    fn news<R: Asked>(&mut self, now: &R) -> Vec<String> {
        let mut lines = Vec::new();
        for decision in now.decisions().iter().skip(self.decisions) {
            self.decisions += 1;
            lines.push(match decision.decision {
                Verdict::Approve => {
                    format!("{} approved ({} of {})", decision.by, self.decisions, self.needed)
                }
                Verdict::Deny => format!("{} denied", decision.by),
            });
        }
        let starting = starting(now);
        self.starts |= starting.is_some();
        if !self.starts || !matches!(now.phase(), Phase::Approved | Phase::Active) {
            return lines;
        }
        if !std::mem::replace(&mut self.approved, true) {
            lines.push("Waiting for Pod...".to_owned());
        }
        if let Some(words) = starting.filter(|words| *words != self.words) {
            words.clone_into(&mut self.words);
            lines.push(format!("  {words}"));
        }
        if let (Phase::Active, Some(status)) = (now.phase(), now.status()) {
            lines.push(match status.container == status.grant {
                true => format!("Container Launched: {} in pod {}", status.container, status.pod),
                false => format!("Pod Launched: {}", status.pod),
            });
        }
        lines
    }
}

/// What the pod waits for, in the scheduler's and the kubelet's words.
pub(crate) fn starting<R: Asked>(request: &R) -> Option<&str> {
    let conditions = request.status().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let ready = conditions::get(conditions, READY)?;
    (ready.status == "False" && ready.reason == "Starting").then_some(ready.message.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oz_shared::{AccessRequest, AccessTemplate};
    use serde_json::{Value, json};

    fn request(phase: &str, words: &str, decisions: Value) -> AccessRequest {
        let ready = json!({"type": "Ready", "status": "False", "reason": "Starting", "message": words,
            "lastTransitionTime": "2026-11-22T12:00:00Z"});
        let conditions = if words.is_empty() { json!([]) } else { json!([ready]) };
        serde_json::from_value(json!({
            "apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "metadata": {"name": "x"},
            "spec": {"template": "t", "requester": {"username": "alice"}, "decisions": decisions},
            "status": {"phase": phase, "pod": "db-oz-1", "container": "main", "grant": "oz-1", "conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn everything_is_told_once() {
        let shell = json!({"shell": {"workload": {"kind": "Deployment", "name": "db"}},
            "duration": {"default": "1h", "max": "1h"}});
        let template = AccessTemplate::new("t", serde_json::from_value(shell).unwrap());
        let mut told = Told::before::<AccessRequest>(Some(&template));
        let yes = json!([{"by": "bob", "decision": "Approve", "request": "u", "template": {"uid": "t", "generation": 1}}]);
        assert!(told.news(&request("Pending", "", json!([]))).is_empty());
        assert_eq!(told.news(&request("Pending", "", yes.clone())), ["bob approved (1 of 1)"]);
        let unschedulable = request("Approved", "Unschedulable: 0/1 nodes", yes.clone());
        assert_eq!(told.news(&unschedulable), ["Waiting for Pod...", "  Unschedulable: 0/1 nodes"]);
        assert!(told.news(&unschedulable).is_empty());
        assert_eq!(told.news(&request("Active", "", yes)), ["Pod Launched: db-oz-1"]);
    }

    #[test]
    fn what_needs_no_pod_tells_of_none() {
        let mut told = Told::before::<AccessRequest>(None);
        assert!(told.news(&request("Approved", "", json!([]))).is_empty());
        assert!(told.news(&request("Active", "", json!([]))).is_empty());
    }
}
