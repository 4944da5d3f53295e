//! What one grant costs the API server: the controller's calls, by the audit log.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use kube::Api;
use oz_shared::AccessRequest;

use super::repeat;
use crate::audit::{self, Audit, Call};
use crate::lending::{Asking, release};
use crate::report::{Figure, Report};
use crate::world::{BRIEF, COPY, World};

/// Events are written after what they tell of.
const STRAGGLERS: Duration = Duration::from_millis(300);

/// The calls of one life, split at Active.
struct Life {
    before: Vec<Call>,
    after: Vec<Call>,
}

pub(crate) async fn take(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let Some(audit) = &Audit::find() else {
        report.skip("calls", audit::NONE);
        return Ok(());
    };
    let exec = [Figure::WritesToActive, Figure::CallsToActive, Figure::WritesLife, Figure::CallsLife];
    lives(world, audit, n, (BRIEF, "a grant"), exec, report).await?;
    let copy = [
        Figure::CopyWritesToActive,
        Figure::CopyCallsToActive,
        Figure::CopyWritesLife,
        Figure::CopyCallsLife,
    ];
    lives(world, audit, n, (COPY, "a copy's grant"), copy, report).await?;
    report.note(
        "writes are creates, patches and deletes, without Events, reviews and dry runs; calls are all but \
                 leases, watches and the gate's dry runs"
            .to_owned(),
    );
    Ok(())
}

/// Whole lives of requests for this template.
async fn lives(
    world: &World,
    audit: &Audit,
    n: u32,
    (template, what): (&str, &str),
    figures: [Figure; 4],
    report: &mut Report,
) -> Result<()> {
    let lives = repeat(n, |round| one(world, audit, template, round)).await?;
    let count =
        |counts: &dyn Fn(&Life) -> usize| -> Vec<f64> { lives.iter().map(|l| counts(l) as f64).collect() };
    let writes = |calls: &[Call]| calls.iter().filter(|call| call.writes()).count();
    let [to_active, calls_to_active, whole, calls] = figures;
    report.add(to_active, &count(&|life| writes(&life.before)));
    report.add(calls_to_active, &count(&|life| life.before.len()));
    report.add(whole, &count(&|life| writes(&life.before) + writes(&life.after)));
    report.add(calls, &count(&|life| life.before.len() + life.after.len()));
    let to_active = audit::breakdown(lives.iter().flat_map(|life| &life.before), lives.len());
    let from_then = audit::breakdown(lives.iter().flat_map(|life| &life.after), lives.len());
    report.note(format!("{what}'s calls to Active: {to_active}"));
    report.note(format!("{what}'s calls from then on, to the end of its record: {from_then}"));
    Ok(())
}

/// From the request to the end of its record.
async fn one(world: &World, audit: &Audit, template: &str, round: u32) -> Result<Life> {
    let name = format!("calls-{template}-{round}");
    let mut asking = Asking::prepare(world, &name).await?;
    let mark = audit.mark()?;
    asking.send(template).await?;
    let request = asking.until_active().await?;
    let active = Timestamp::now();
    // What follows Active by itself is not to fall in with the release.
    tokio::time::sleep(STRAGGLERS).await;
    release(&asking.client, &world.alice.user, &request).await?;
    asking.until_ended().await?;
    let api: Api<AccessRequest> = Api::namespaced(asking.client.clone(), &world.ns.name);
    while api.get_opt(&name).await?.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(STRAGGLERS).await;
    let grant = request.status.map(|status| status.grant).context("Active without a grant")?;
    let calls = audit.since(mark).await?.into_iter();
    let calls = calls.filter(|call| !call.is_trial() && call.concerns(&world.ns.name, &grant));
    let (before, after): (Vec<Call>, Vec<Call>) = calls.partition(|call| call.at <= active);
    anyhow::ensure!(!before.is_empty(), "the audit log knows no call of the controller's for this grant");
    Ok(Life { before, after })
}
