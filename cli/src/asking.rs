//! From asking to what was waited for, for every kind of request: it is submitted, the wait is told, and what nobody waits
//! for any more is taken back.

use std::cell::RefCell;
use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use kube::api::PostParams;
use oz_shared::Policy as _;
use oz_shared::request::Requester;

use crate::app::App;
use crate::error::Error;
use crate::kube::{Asked, Cluster, Ended, Fault, Goal, Withdrawn, submit, withdraw};
use crate::signals::{Interrupt, Interrupts};
use crate::waiting::{self, approver_line};

/// How long a decision is waited for unless told otherwise: a template's or a class's own limit ends it earlier.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long what is approved may take where the policy does not say: namespaces are made within seconds, or waited for where
/// one of the name is still being deleted.
const STARTS: Duration = Duration::from_secs(300);

/// Where to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stop {
    /// Once it is asked for
    None,
    /// Once enough people agreed
    Approved,
    /// Once it can be used
    Ready,
}

/// How long, and what becomes of the request then.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct PatienceArgs {
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    pub(crate) timeout: Option<SignedDuration>,
    /// Leave the request when the waiting is broken off
    #[arg(long)]
    pub(crate) keep: bool,
}

/// A request on its way.
pub(crate) struct Asking<'a, R: Asked> {
    pub(crate) app: &'a App,
    pub(crate) cluster: &'a Cluster,
    /// Who asks.
    pub(crate) me: &'a Requester,
    /// Under what, where he may read it.
    pub(crate) policy: Option<&'a R::Policy>,
    /// What is waited for.
    pub(crate) stop: Stop,
    pub(crate) patience: PatienceArgs,
    /// The command that goes on with a request that is left.
    pub(crate) go_on: &'static str,
}

/// Why nothing came of it.
enum Failure {
    Unasked(Fault),
    Unmet(Ended),
    Interrupted(Interrupt),
}

impl<R: Asked> Asking<'_, R> {
    /// Submits the request under a name that begins with `base`, and waits. Whoever calls this has the custody of signals.
    ///
    /// # Errors
    /// It was refused, or nothing came of it; then it was withdrawn, unless that is not wanted.
    pub(crate) async fn ask(&self, request: R, base: &str) -> Result<R, Error> {
        let named = RefCell::default();
        let work = async {
            let submitted = submit(self.cluster, request, base, |name| {
                self.app.printer.say(&format!("Generating `{name}` CR..."));
                named.replace(name.to_owned());
            });
            self.wait(submitted.await.map_err(Failure::Unasked)?).await.map_err(Failure::Unmet)
        };
        self.unless_interrupted(work, &named).await
    }

    /// The same under exactly its own name; none where that is taken. What was not made here is not withdrawn.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ask_named(&self, request: R) -> Result<Option<R>, Error> {
        let made = RefCell::default();
        let work = async {
            let name = request.name_any();
            let api = self.cluster.asked::<R>(Some(&self.cluster.namespace));
            let (doing, with) = (format!("create request {name}"), PostParams::default());
            let created = match self.cluster.call(&doing, api.create(&with, &request)).await {
                Err(fault) if fault.code() == Some(409) => return Ok(None),
                answer => answer.map_err(Failure::Unasked)?,
            };
            made.replace(name);
            self.wait(created).await.map(Some).map_err(Failure::Unmet)
        };
        self.unless_interrupted(work, &made).await
    }

    /// The outcome of `work`; where nothing comes of it, what it has `made` by then is withdrawn.
    async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        made: &RefCell<String>,
    ) -> Result<T, Error> {
        let mut interrupts = Interrupts::new()?;
        let done = tokio::select! {
            done = work => done,
            interrupt = interrupts.next() => Err(Failure::Interrupted(interrupt)),
        };
        match done {
            Ok(outcome) => Ok(outcome),
            Err(failure) => {
                let name = made.take();
                Err(self.broken_off(&name, failure).await)
            }
        }
    }

    /// Waits for one that is there already; it is not withdrawn.
    ///
    /// # Errors
    /// Nothing came of it.
    pub(crate) async fn join(&self, request: R) -> Result<R, Error> {
        let mut interrupts = Interrupts::new()?;
        let target = request.target();
        tokio::select! {
            waited = self.wait(request) => waited.map_err(|ended| Error::from(ended).hint(self.more(&target))),
            interrupt = interrupts.next() => Err(Error::interrupted(interrupt)),
        }
    }

    fn more(&self, target: &str) -> String {
        format!("oz describe {target} -n {} tells more", self.cluster.namespace)
    }

    /// Waits, telling what happens.
    async fn wait(&self, request: R) -> Result<R, Ended> {
        let goal = match self.stop {
            Stop::None => {
                if self.policy.is_none_or(|p| p.consent().approvals > 0) {
                    self.app.printer.say(&approver_line(self.app, self.cluster, &request.target()));
                }
                return Ok(request);
            }
            Stop::Approved => Goal::Approved,
            Stop::Ready => Goal::Ready,
        };
        let note = if self.patience.keep { "Ctrl-C leaves the request" } else { "Ctrl-C withdraws" };
        waiting::wait(self.app, self.cluster, request, self.policy, (goal, self.limit()), note).await
    }

    /// As long as was said; else until the request expires by itself, which says more than giving up a moment earlier.
    fn limit(&self) -> Duration {
        /// The controller is told of an expiry, and tells of it.
        const SLACK: Duration = Duration::from_secs(60);
        let parse =
            |text: &str| oz_shared::duration::parse(text).ok().and_then(|d| Duration::try_from(d).ok());
        let said = self.patience.timeout.and_then(|t| Duration::try_from(t).ok());
        let own = self.policy.and_then(|policy| {
            let starts = R::start_timeout(policy).map_or(Some(STARTS), parse)?;
            Some(parse(policy.consent().pending_timeout)? + starts + SLACK)
        });
        said.or(own).unwrap_or(PATIENCE)
    }

    /// What becomes of the request when nobody waits for it any more.
    async fn broken_off(&self, name: &str, failure: Failure) -> Error {
        let (app, at) = (self.app, &self.cluster.namespace);
        let target = R::KIND.target(name);
        let (error, withdraws) = match failure {
            Failure::Unasked(fault) => {
                // Without an answer it is not known whether the request was made.
                let unknown = matches!(fault, Fault::Timeout { .. });
                (Error::from(fault), unknown)
            }
            Failure::Unmet(ended) => {
                let withdraws = matches!(ended, Ended::TimedOut { .. });
                let error = Error::from(ended);
                (if withdraws { error } else { error.hint(self.more(&target)) }, withdraws)
            }
            Failure::Interrupted(interrupt) => (Error::interrupted(interrupt), true),
        };
        if !withdraws || name.is_empty() {
            return error;
        }
        if self.patience.keep {
            app.printer.say(&format!("The request stays: {} {target} -n {at} goes on with it.", self.go_on));
            return error;
        }
        match withdraw::<R>(self.cluster, name, self.me).await {
            Ok(Withdrawn::Deleted) => app.printer.say(&format!("Withdrew {name}.")),
            Ok(Withdrawn::Released) => {
                app.printer.say(&format!("Released {name}, which had been approved."));
            }
            Ok(Withdrawn::Over) => {}
            Err(fault) => {
                let why = Error::from(fault).message;
                app.printer.warn(&format!("{name} could not be withdrawn: {why}"));
                app.printer.say(&format!("  end it: oz release {target} -n {at}"));
            }
        }
        error
    }
}
