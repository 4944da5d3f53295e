//! What can be measured, and in which order: what needs a quiet controller first.

mod calls;
mod command;
mod copies;
mod crowd;
mod delegations;
mod federations;
mod floor;
mod loans;
mod namespaces;
mod scale;

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::report::Report;
use crate::world::World;
use crate::{Args, process, say};

/// Done this often before anything counts: connections are made, caches filled, the gate tried.
const WARM_UP: u32 = 3;

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// The size of `oz`.
    Size,
    /// How long `oz version` takes.
    Start,
    /// The controller's calls while nothing happens, without grants and with a crowd of them.
    Idle,
    /// The controller's memory without grants, with a crowd, with many.
    Memory,
    /// The same objects by a bare client; a bare exec.
    Floor,
    /// From asking to a first request with the session's token, where nobody needs to agree.
    Create,
    /// From asking to the first byte of a command's output.
    Exec,
    /// The same as `create` from the approval on.
    Approve,
    /// From the release to the first refusal.
    Release,
    /// From the command to the prompt.
    Prompt,
    /// Many requests at once.
    Crowd,
    /// A shell in a copy and a bare pod of the same specification: from asking to a first request with the token.
    Copy,
    /// The same from the command to the prompt.
    CopyPrompt,
    /// Many copies at once.
    Copies,
    /// A namespace, and the same by a bare client: from asking to a first request with the token.
    Namespace,
    /// Many namespaces at once.
    Namespaces,
    /// A partner's cluster, and the same by a bare client: from asking to a first request; and from its end to a refusal.
    Federation,
    /// A crowd of partners with ten namespaces each: made, held, ended.
    Federations,
    /// One delegation, from its making to its bindings and from its release to none; beside others' requests, too.
    Delegation,
    /// Many delegations held: what they cost, and how fast an event is followed.
    Delegations,
    /// The controller's calls for one grant, and for one of a copy.
    Calls,
}

impl Measure {
    /// Those that need the cluster.
    pub(crate) const ON_CLUSTER: [Measure; 19] = [
        Self::Idle,
        Self::Memory,
        Self::Floor,
        Self::Create,
        Self::Exec,
        Self::Approve,
        Self::Release,
        Self::Prompt,
        Self::Crowd,
        Self::Copy,
        Self::CopyPrompt,
        Self::Copies,
        Self::Namespace,
        Self::Namespaces,
        Self::Federation,
        Self::Federations,
        Self::Delegation,
        Self::Delegations,
        Self::Calls,
    ];
}

/// What needs no cluster.
pub(crate) fn alone(args: &Args, report: &mut Report) {
    if args.wants(Measure::Size) {
        command::size(report);
    }
    if args.wants(Measure::Start) {
        command::start(report);
    }
}

/// Everything else that is wanted. One that fails keeps no other from being taken.
pub(crate) async fn all(args: &Args, world: &World, report: &mut Report) {
    // One pass gives both: grants are made once.
    let scale = args.wants(Measure::Idle) || args.wants(Measure::Memory);
    step("idle and memory", scale, world, report, async |report| scale::take(args, world, report).await)
        .await;
    let n = args.n;
    let wants = |measure| args.wants(measure);
    step("floor", wants(Measure::Floor), world, report, async |report| floor::take(world, n, report).await)
        .await;
    step("create", wants(Measure::Create), world, report, async |report| {
        loans::create(world, n, report).await
    })
    .await;
    step("exec", wants(Measure::Exec), world, report, async |report| loans::exec(world, n, report).await)
        .await;
    step("approve", wants(Measure::Approve), world, report, async |report| {
        loans::approve(world, n, report).await
    })
    .await;
    step("release", wants(Measure::Release), world, report, async |report| {
        loans::release(world, n, report).await
    })
    .await;
    step("prompt", wants(Measure::Prompt), world, report, async |report| {
        command::prompt(world, n, report).await
    })
    .await;
    step("crowd", wants(Measure::Crowd), world, report, async |report| {
        crowd::take(args, world, report).await
    })
    .await;
    step("copy", wants(Measure::Copy), world, report, async |report| copies::usable(world, n, report).await)
        .await;
    step("copy prompt", wants(Measure::CopyPrompt), world, report, async |report| {
        copies::prompt(world, n, report).await
    })
    .await;
    step("copies", wants(Measure::Copies), world, report, async |report| {
        copies::at_once(world, args.rounds, report).await
    })
    .await;
    step("namespace", wants(Measure::Namespace), world, report, async |report| {
        namespaces::usable(world, n, report).await
    })
    .await;
    step("namespaces", wants(Measure::Namespaces), world, report, async |report| {
        namespaces::at_once(world, args, report).await
    })
    .await;
    step("federation", wants(Measure::Federation), world, report, async |report| {
        federations::usable(world, n, report).await
    })
    .await;
    step("federations", wants(Measure::Federations), world, report, async |report| {
        federations::many(args, world, report).await
    })
    .await;
    step("delegation", wants(Measure::Delegation), world, report, async |report| {
        delegations::cycle(world, n, report).await
    })
    .await;
    step("delegations", wants(Measure::Delegations), world, report, async |report| {
        delegations::many(args, world, report).await
    })
    .await;
    step("calls", wants(Measure::Calls), world, report, async |report| calls::take(world, n, report).await)
        .await;
    report.machine.push(("load at the end", process::load()));
}

/// One measure, and the end of all that it lent.
async fn step(
    name: &str,
    wanted: bool,
    world: &World,
    report: &mut Report,
    measure: impl AsyncFnOnce(&mut Report) -> Result<()>,
) {
    if !wanted {
        return;
    }
    let start = Instant::now();
    say(&format!("{name} …"));
    if let Err(error) = measure(report).await {
        report.fail(name, &error);
    }
    if let Err(error) = world.release_all().await {
        report.fail(name, &error);
    }
    say(&format!("{name}: {:.1} s", start.elapsed().as_secs_f32()));
}

/// Runs `once` to warm up, then `n` times more; gives what the latter gave.
async fn repeat<T, F: Future<Output = Result<T>>>(n: u32, mut once: impl FnMut(u32) -> F) -> Result<Vec<T>> {
    let mut results = Vec::new();
    for round in 0..WARM_UP + n {
        let result = crate::lending::within("one round", once(round)).await?;
        if round >= WARM_UP {
            results.push(result);
        }
    }
    Ok(results)
}

/// In milliseconds.
fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One column of many.
fn column<T>(results: &[T], value: impl Fn(&T) -> Duration) -> Vec<f64> {
    results.iter().map(|result| ms(value(result))).collect()
}
