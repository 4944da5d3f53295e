//! One loan at a time: how long its holder waits, at the start and at the end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use oz_shared::AccessRequest;

use super::{column, repeat};
use crate::lending::{self, Asking, is_refusal, mint, pod, read_pod};
use crate::report::{Figure, Report};
use crate::world::{APPROVED, AUTOMATIC, World};

/// Between two requests of someone who works steadily.
const STEADY: Duration = Duration::from_millis(1);
/// He works for this long before the release.
const AT_WORK: Duration = Duration::from_millis(20);

/// Instants of one loan, each since the clock was started.
pub(crate) struct Loan {
    pub(crate) active: Duration,
    minted: Duration,
    pub(crate) usable: Duration,
    refused: u32,
}

pub(crate) async fn create(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let loans = repeat(n, |round| async move {
        let mut asking = Asking::prepare(world, &format!("create-{round}")).await?;
        let start = Instant::now();
        asking.send(AUTOMATIC).await?;
        let request = asking.until_active().await?;
        let loan = use_it(world, &asking.client, &request, start).await?;
        asking.end(world, &request).await?;
        Ok(loan)
    })
    .await?;
    report.add(Figure::CreateActive, &column(&loans, |loan| loan.active));
    report.add(Figure::CreateMinted, &column(&loans, |loan| loan.minted));
    report.add(Figure::CreateUsable, &column(&loans, |loan| loan.usable));
    note_refusals("create", loans.iter().map(|loan| loan.refused), report);
    Ok(())
}

pub(crate) async fn approve(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let loans = repeat(n, |round| async move {
        let mut asking = Asking::prepare(world, &format!("approve-{round}")).await?;
        asking.send(APPROVED).await?;
        let pending = asking.until_pending().await?;
        // Bob has looked at it: he has a connection.
        let bob = world.bob.client()?;
        let api: Api<AccessRequest> = Api::namespaced(bob.clone(), &world.ns.name);
        api.get(pending.metadata.name.as_deref().unwrap_or_default()).await?;
        let pin = asking.pin.clone();
        let start = Instant::now();
        let (approved, request) = tokio::join!(world.approve(&bob, &pending, &pin), asking.until_active());
        approved.context("failed to approve")?;
        let request = request?;
        let loan = use_it(world, &asking.client, &request, start).await?;
        asking.end(world, &request).await?;
        Ok(loan)
    })
    .await?;
    report.add(Figure::ApproveActive, &column(&loans, |loan| loan.active));
    report.add(Figure::ApproveUsable, &column(&loans, |loan| loan.usable));
    note_refusals("approve", loans.iter().map(|loan| loan.refused), report);
    Ok(())
}

/// From Active to the first request that the session is allowed, over a connection of its own.
pub(crate) async fn use_it(
    world: &World,
    client: &Client,
    request: &AccessRequest,
    start: Instant,
) -> Result<Loan> {
    let active = start.elapsed();
    let (token, not_minted) = mint(client, request).await.context("failed to mint")?;
    let minted = start.elapsed();
    let session = world.alice.bearer(&token)?;
    let not_read =
        read_pod(&session, &world.ns.name, pod(request)).await.context("failed to use the token")?;
    Ok(Loan { active, minted, usable: start.elapsed(), refused: not_minted + not_read })
}

pub(crate) async fn exec(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let waits = repeat(n, |round| async move {
        let mut asking = Asking::prepare(world, &format!("exec-{round}")).await?;
        let start = Instant::now();
        asking.send(AUTOMATIC).await?;
        let request = asking.until_active().await?;
        let (token, not_minted) = mint(&asking.client, &request).await?;
        let session = world.alice.bearer(&token)?;
        let mut wait = Duration::ZERO;
        let first = || wait = start.elapsed();
        let not_run =
            lending::exec(&session, &world.ns.name, &world.pod, first).await.context("failed to exec")?;
        asking.end(world, &request).await?;
        Ok((wait, not_minted + not_run))
    })
    .await?;
    report.add(Figure::CreateExec, &column(&waits, |(wait, _)| *wait));
    note_refusals("exec", waits.iter().map(|(_, refused)| *refused), report);
    Ok(())
}

pub(crate) async fn release(world: &World, n: u32, report: &mut Report) -> Result<()> {
    let ends = repeat(n, |round| async move {
        let mut asking = Asking::prepare(world, &format!("release-{round}")).await?;
        asking.send(AUTOMATIC).await?;
        let request = asking.until_active().await?;
        let (token, _) = mint(&asking.client, &request).await?;
        let session = world.alice.bearer(&token)?;
        read_pod(&session, &world.ns.name, &world.pod).await?;
        let steady = tokio::spawn(until_refused(session, world.ns.name.clone(), world.pod.clone()));
        tokio::time::sleep(AT_WORK).await;
        let start = Instant::now();
        lending::release(&asking.client, &world.alice.user, &request).await.context("failed to release")?;
        let (refused, code) = steady.await??;
        asking.until_ended().await?;
        world.until_quiet(&request).await?;
        Ok((refused.duration_since(start), code))
    })
    .await?;
    report.add(Figure::ReleaseRefused, &column(&ends, |(wait, _)| *wait));
    let unknown = ends.iter().filter(|(_, code)| *code == 401).count();
    if unknown > 0 {
        report.note(format!("release: {unknown} of {} were refused by 401 first, not by 403", ends.len()));
    }
    Ok(())
}

/// Reads the pod again and again. When it was refused, and by which code.
async fn until_refused(session: Client, namespace: String, pod: String) -> Result<(Instant, u16)> {
    let pods: Api<Pod> = Api::namespaced(session, &namespace);
    loop {
        match pods.get(&pod).await {
            Ok(_) => tokio::time::sleep(STEADY).await,
            Err(error) if is_refusal(&error) => return Ok((Instant::now(), 403)),
            Err(kube::Error::Api(status)) if status.code == 401 => return Ok((Instant::now(), 401)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Rights reach the API server's authorizer by watch: what is Active may be refused for a moment, and was tried again.
fn note_refusals(what: &str, refused: impl Iterator<Item = u32>, report: &mut Report) {
    let (mut tries, mut loans) = (0, 0);
    for refused in refused.filter(|refused| *refused > 0) {
        tries += refused;
        loans += 1;
    }
    if loans > 0 {
        report.note(format!(
            "{what}: {loans} loans were refused at first although Active, {tries} times in all"
        ));
    }
}
