//! The controller with nothing to do, and with much to hold: its calls in an idle minute, and its memory.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::{PostParams, WatchParams};
use oz_shared::AccessRequest;
use tokio::sync::Semaphore;

use super::Measure;
use crate::Args;
use crate::audit::{self, Audit};
use crate::lending::{Changes, is_active, request};
use crate::process::Controller;
use crate::report::{Figure, Report};
use crate::world::{BRIEF, World};

/// Events, and the records of earlier requests, are over by then.
pub(super) const SETTLED: Duration = Duration::from_secs(5);
/// How many requests wait for their grants at once: a busy day, not a crowd.
const AT_ONCE: usize = 16;
/// How many are waited for by one watch.
const BATCH: u32 = 200;
/// For these to be made; a watch lasts a little longer.
const LIMIT: Duration = Duration::from_secs(280);

pub(crate) async fn take(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    let (_, others) = world.grants().await?;
    if others > 0 {
        report.note(format!("others held {others} grants during idle and memory"));
    }
    let (idle, memory) = (args.wants(Measure::Idle), args.wants(Measure::Memory));
    let steps = [
        (0, Some(Figure::IdleNone), Figure::MemoryNone),
        (args.crowd, Some(Figure::IdleCrowd), Figure::MemoryCrowd),
        (args.many, None, Figure::MemoryMany),
    ];
    let mut held = 0;
    for (count, calls, resident) in steps {
        if count > held {
            let start = Instant::now();
            while held < count {
                let next = count.min(held + BATCH);
                let made = tokio::time::timeout(LIMIT, lend(world, held..next)).await;
                made.with_context(|| format!("{held} of {count} grants were made, the next took too long"))??;
                held = next;
            }
            report.note(format!(
                "up to {count} grants, {AT_ONCE} at once: {:.1} s",
                start.elapsed().as_secs_f32()
            ));
        }
        tokio::time::sleep(SETTLED).await;
        if memory {
            measure_memory(world, count, resident, report).await;
        }
        if idle && let Some(figure) = calls {
            measure_idle(args, world, count, figure, report).await?;
        }
        if !memory && count >= args.crowd {
            break;
        }
    }
    Ok(())
}

pub(super) async fn measure_memory(world: &World, count: u32, figure: Figure, report: &mut Report) {
    match Controller::find(&world.admin).await.and_then(|controller| controller.memory()) {
        Ok((now, most)) => {
            report.add(figure, &[now]);
            report.note(format!(
                "memory with {count} grants: {now:.1} MB now, {most:.1} MB at most since its start"
            ));
        }
        Err(error) => report.skip(&format!("memory with {count} grants"), &format!("{error:#}")),
    }
}

pub(super) async fn measure_idle(
    args: &Args,
    world: &World,
    count: u32,
    figure: Figure,
    report: &mut Report,
) -> Result<()> {
    let Some(audit) = Audit::find() else {
        report.skip(&format!("idle with {count} grants"), audit::NONE);
        return Ok(());
    };
    let mark = audit.mark()?;
    tokio::time::sleep(Duration::from_secs(args.idle)).await;
    let calls = audit.since(mark).await?;
    report.add(figure, &[calls.len() as f64 * 60.0 / args.idle as f64]);
    if !calls.is_empty() {
        let words = audit::breakdown(&calls, 1);
        let elsewhere = calls.iter().filter(|call| call.is_elsewhere(&world.ns.name)).count();
        report.note(format!(
            "calls in {} idle seconds with {count} grants: {words}; {elsewhere} of them in others' namespaces",
            args.idle
        ));
    }
    Ok(())
}

/// Makes requests until so many are Active.
async fn lend(world: &World, numbers: std::ops::Range<u32>) -> Result<()> {
    let client = world.alice.client()?;
    let api: Api<AccessRequest> = Api::namespaced(client, &world.ns.name);
    let mut changes = Changes::watch(&api, &WatchParams::default()).await?;
    let mut awaited: HashSet<String> = numbers.map(|i| format!("held-{i}")).collect();
    let requests: Vec<AccessRequest> =
        awaited.iter().map(|name| request(&world.alice.user, name, BRIEF)).collect::<Result<_>>()?;
    let params = PostParams::default();
    let room = Semaphore::new(AT_ONCE);
    let send = stream::iter(&requests)
        .map(|request| async {
            room.acquire().await?.forget();
            Ok(api.create(&params, request).await?)
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_: AccessRequest| async { anyhow::Ok(()) });
    let arrive = async {
        while !awaited.is_empty() {
            let request = changes.next().await?;
            let name = request.metadata.name.clone().unwrap_or_default();
            if awaited.contains(&name) && is_active(&request)? {
                awaited.remove(&name);
                room.add_permits(1);
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(async { send.await.context("failed to ask") }, arrive).map(drop)
}
