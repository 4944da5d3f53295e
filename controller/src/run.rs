//! Puts the process together: client, lease, watches, reconcilers; and ends it in order on SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller, WatchStreamExt as _, watcher};
use kube::{Api, Client, Config, ResourceExt as _};
use kube_lease_manager::LeaseManagerBuilder;
use oz_client::ServerClock;
use oz_shared::names::{SYSTEM_NAMESPACE, SessionKind, grant_name};
use oz_shared::{AccessRequest, Grant, Phase};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::backoff::Backoff;
use crate::children::Index;
use crate::context::{Context, Superseded};
use crate::gate::Gate;
use crate::http;
use crate::metrics::{Counts, Metrics};
use crate::reconcile::{self, grant, request};
use crate::report::{self, Events};
use crate::{pods, sweep};

/// How many objects of a kind are worked on at once: enough that one slow pass delays nobody, few enough that the
/// connections (one a request in flight) stay few.
const CONCURRENCY: u16 = 16;
/// The lease's length and how long before its end it is renewed, in seconds.
const LEASE: (u64, u64) = (15, 10);
/// How many events a slow reader may be behind.
const BUFFER: usize = 1024;

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to read the cluster's address and credential")]
    InCluster(#[source] kube::config::InClusterError),
    #[error("failed to read the kubeconfig")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    #[error("failed to make a client")]
    Client(#[source] oz_client::Error),
    #[error("failed to serve /metrics")]
    Http(#[source] std::io::Error),
    #[error("failed to wait for signals")]
    Signal(#[source] std::io::Error),
    #[error("failed to hold the lease")]
    Lease(#[source] kube_lease_manager::LeaseManagerError),
    #[error("a watch ended")]
    Watch(#[source] reflector::store::WriterDropped),
    #[error("the lease went to another replica")]
    LeaseLost,
}

/// Runs until SIGTERM or SIGINT; the passes in hand are finished first.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let config = match &args.kubeconfig {
        None => Config::incluster().map_err(Error::InCluster)?,
        Some(path) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(Error::Kubeconfig)?;
            Config::from_custom_kubeconfig(kubeconfig, &Default::default())
                .await
                .map_err(Error::Kubeconfig)?
        }
    };
    let (client, clock) = oz_client::client(config).map_err(Error::Client)?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        let (mut term, mut int) = (
            signal(SignalKind::terminate()).map_err(Error::Signal)?,
            signal(SignalKind::interrupt()).map_err(Error::Signal)?,
        );
        async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            tracing::info!("stopping");
            stop.cancel();
        }
    });

    let status = Arc::new(Process::default());
    let listener = TcpListener::bind(args.http_address).await.map_err(Error::Http)?;
    tokio::spawn(http::serve(listener, status.clone()));

    if args.no_leader_election {
        return lead(&args, client, clock, status, stop).await;
    }
    let lease = LeaseManagerBuilder::new(client.clone(), "oz-controller")
        .with_namespace(SYSTEM_NAMESPACE)
        .with_identity(&args.identity)
        .with_duration(LEASE.0)
        .with_grace(LEASE.1)
        .build()
        .await
        .map_err(Error::Lease)?;
    let (mut held, task) = lease.watch().await;
    status.waiting.store(true, Ordering::Relaxed);
    tracing::info!("waiting for the lease");
    let leads = tokio::select! {
        () = stop.cancelled() => false,
        first = held.wait_for(|held| *held) => first.is_ok(),
    };
    let led = if leads {
        status.waiting.store(false, Ordering::Relaxed);
        tracing::info!("leading");
        tokio::select! {
            led = lead(&args, client, clock, status, stop) => led,
            // Another replica leads now. What this one has in hand can do no harm; it starts over as the second.
            _ = held.wait_for(|held| !*held) => Err(Error::LeaseLost),
        }
    } else if stop.is_cancelled() {
        Ok(())
    } else {
        Err(Error::LeaseLost)
    };
    drop(held);
    // Gives the lease back, so that the other replica need not wait for its end.
    let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
    led
}

/// The work itself.
async fn lead(
    args: &Args,
    client: Client,
    clock: ServerClock,
    process: Arc<Process>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (gate, gate_work) = Gate::watch(&client);
    tokio::spawn(gate_work.for_each(|()| async {}));
    let (children, touched) = Index::watch(&client);

    let (requests, request_writer) = reflector::store_shared::<AccessRequest>(BUFFER);
    let (grants, grant_writer) = reflector::store_shared::<Grant>(BUFFER);
    let subscribed = (
        request_writer.subscribe(),
        request_writer.subscribe(),
        grant_writer.subscribe(),
        grant_writer.subscribe(),
    );
    let (Some(requests_1), Some(requests_2), Some(grants_1), Some(grants_2)) = subscribed else {
        return Err(Error::LeaseLost);
    };

    let context = Arc::new(Context {
        client: client.clone(),
        clock,
        gate: gate.clone(),
        requests: requests.clone(),
        grants: grants.clone(),
        children: children.clone(),
        events: Events::new(client.clone(), &args.identity),
        metrics: Metrics::default(),
        backoff: Backoff::default(),
        superseded: Superseded::default(),
    });
    context.metrics.leads(true);

    // Names of grants to look at: because a part changed, because a pod went, because a Grant went.
    let (suspects, suspected) = tokio::sync::mpsc::unbounded_channel::<String>();
    let (trigger, triggered) = tokio::sync::mpsc::unbounded_channel::<ObjectRef<Grant>>();
    let (changed, pods_changed) = tokio::sync::watch::channel(());

    tokio::spawn(watch::<AccessRequest>(client.clone(), request_writer, |_, _| {}));
    tokio::spawn(watch::<Grant>(client.clone(), grant_writer, {
        let suspects = suspects.clone();
        move |name, deleted| {
            let _ = changed.send(());
            if deleted {
                let _ = suspects.send(name);
            }
        }
    }));
    tokio::spawn({
        let (trigger, suspects) = (trigger.clone(), suspects.clone());
        touched.for_each(move |name| {
            let _ = trigger.send(ObjectRef::new(&name));
            let _ = suspects.send(name);
            std::future::ready(())
        })
    });

    gate.wait_until_ready().await.map_err(Error::Watch)?;
    children.wait_until_ready().await.map_err(Error::Watch)?;
    requests.wait_until_ready().await.map_err(Error::Watch)?;
    grants.wait_until_ready().await.map_err(Error::Watch)?;
    process.lead(&context);

    tokio::spawn(pods::run(client, grants.clone(), pods_changed, trigger));
    for name in sweep::all(&context) {
        let _ = suspects.send(name);
    }
    let suspected = tokio_stream(suspected);
    tokio::spawn(sweep::run(context.clone(), suspected));

    let requests_loop = Controller::for_shared_stream(requests_1, requests.clone())
        .watches_shared_stream(grants_1, |grant: Arc<Grant>| request_of(&grant))
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(request::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    let grants_loop = Controller::for_shared_stream(grants_2, grants)
        .watches_shared_stream(requests_2, |request: Arc<AccessRequest>| Some(grant_of(&request)))
        .reconcile_on(tokio_stream(triggered))
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(grant::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    tokio::join!(requests_loop, grants_loop);
    Ok(())
}

/// Passes handle their own errors; this is never reached by them.
fn on_error<K>(_: Arc<K>, error: &reconcile::Error, _: Arc<Context>) -> kube::runtime::controller::Action {
    tracing::error!(error = %report::chain(error), "unhandled");
    kube::runtime::controller::Action::requeue(Duration::from_secs(5))
}

fn request_of(grant: &Grant) -> Option<ObjectRef<AccessRequest>> {
    let request = &grant.spec.request;
    (request.kind == "AccessRequest").then(|| ObjectRef::new(&request.name).within(&request.namespace))
}

fn grant_of(request: &AccessRequest) -> ObjectRef<Grant> {
    ObjectRef::new(&grant_name(SessionKind::Pods, &request.uid().unwrap_or_default()))
}

fn tokio_stream<T>(mut receiver: tokio::sync::mpsc::UnboundedReceiver<T>) -> impl futures::Stream<Item = T> {
    futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

/// Keeps a store current, for as long as the process lives. `told` hears each name, and whether it is gone.
async fn watch<K>(client: Client, writer: reflector::store::Writer<K>, told: impl Fn(String, bool) + Send)
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let mut events = std::pin::pin!(
        watcher(Api::<K>::all(client), watcher::Config::default())
            .default_backoff()
            .modify(|object| object.meta_mut().managed_fields = None)
            .reflect_shared(writer)
    );
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Delete(object)) => told(object.name_any(), true),
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                told(object.name_any(), false)
            }
            Ok(watcher::Event::InitDone) => told(String::new(), false),
            Ok(watcher::Event::Init) => {}
            Err(error) => {
                tracing::warn!(error = %report::chain(&error), kind = %K::kind(&()), "watch interrupted");
            }
        }
    }
}

/// What /readyz and /metrics tell.
#[derive(Default)]
struct Process {
    waiting: AtomicBool,
    context: std::sync::OnceLock<Arc<Context>>,
}

impl Process {
    fn lead(&self, context: &Arc<Context>) {
        let _ = self.context.set(context.clone());
    }
}

impl http::Status for Process {
    fn is_ready(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) || self.context.get().is_some()
    }

    fn metrics(&self) -> String {
        let Some(context) = self.context.get() else { return "# waiting for the lease\n# EOF\n".to_owned() };
        context.metrics.text(&Counts {
            grants: context.grants.len(),
            requests: by_phase(&context.requests),
            skew: context.clock.skew().as_secs_f64(),
        })
    }
}

fn by_phase(requests: &Store<AccessRequest>) -> Vec<(&'static str, usize)> {
    use Phase::{Active, Approved, Denied, Expired, Failed, Pending, Released};
    let all = requests.state();
    [Pending, Approved, Active, Denied, Released, Expired, Failed]
        .into_iter()
        .map(|phase| (phase.as_str(), all.iter().filter(|r| r.phase() == phase).count()))
        .collect()
}
