//! Puts the process together: client, lease, watches, reconcilers; and ends it in order on SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::pending;
use kube::runtime::Controller;
use kube::runtime::reflector;
use kube::{Api, Client, Config};
use kube_lease_manager::LeaseManagerBuilder;
use oz_shared::delegation::DelegationPhase;
use oz_shared::names::SYSTEM_NAMESPACE;
use oz_shared::{AccessRequest, Delegation, Federation, Grant, NamespaceRequest, Phase, Request as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::context::{Context, Superseded};
use crate::gate::Gate;
use crate::http;
use crate::index::Index;
use crate::metrics::{Counts, Metrics};
use crate::reconcile::{self, delegation, grant, nsplease, request};
use crate::report::{self, Events};
use crate::sightings::Sightings;
use crate::watches::{Triggers, watch};
use crate::{ntp, rests, sweep};

/// How many requests and how many grants are worked on at once: enough that one slow pass delays nobody, few enough that
/// the connections (one an API request in flight) stay few, and more grants, so that what was begun is finished first.
const CONCURRENCY: (u16, u16) = (8, 16);
/// How many requests search for a pod at once: a page of pods can be tens of megabytes.
const SEARCHES: usize = 3;
/// The lease's length and how long before its end it is renewed, in seconds.
const LEASE: (u64, u64) = (15, 10);

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
    #[error("failed to read the settings of nsplease")]
    Nsplease(#[source] nsplease::Error),
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
    let adapter = args.nsplease.settings(&config).map_err(Error::Nsplease)?;
    let (client, clock) = oz_client::client(config).map_err(Error::Client)?;
    let clock = Clock::new(clock);
    let stop = CancellationToken::new();
    let (apart, clocks) = tokio::sync::watch::channel(false);
    tokio::spawn(ntp::run(args.ntp_servers.clone(), clock.clone(), apart, stop.clone()));
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
        return lead(&args, adapter, client, (clock, clocks), status, stop).await;
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
            led = lead(&args, adapter, client, (clock, clocks), status, stop) => led,
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

/// The work itself. With the clock comes when it begins or ceases to be too far from NTP's.
async fn lead(
    args: &Args,
    adapter: Option<nsplease::Settings>,
    client: Client,
    (clock, mut clocks): (Clock, tokio::sync::watch::Receiver<bool>),
    process: Arc<Process>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (gate, gate_work) = Gate::watch(&client, clock.clone());
    tokio::spawn(gate_work.for_each(|()| async {}));
    let (children, touched) = Index::watch(&client);

    let (requests, request_writer) = reflector::store::<AccessRequest>();
    let (namespace_requests, namespace_request_writer) = reflector::store::<NamespaceRequest>();
    let (federations, federation_writer) = reflector::store::<Federation>();
    let (delegations, delegation_writer) = reflector::store::<Delegation>();
    let (grants, grant_writer) = reflector::store::<Grant>();
    let (triggers, triggered) = Triggers::new(
        requests.clone(),
        namespace_requests.clone(),
        federations.clone(),
        delegations.clone(),
        grants.clone(),
    );
    let sightings = Sightings::new(client.clone(), clock.clone(), {
        let triggers = triggers.clone();
        move |delegation| triggers.delegated(delegation)
    });
    let context = Arc::new(Context {
        client: client.clone(),
        clock,
        gate: gate.clone(),
        requests: requests.clone(),
        namespace_requests: namespace_requests.clone(),
        federations: federations.clone(),
        delegations: delegations.clone(),
        grants: grants.clone(),
        children: children.clone(),
        sightings: sightings.clone(),
        events: Events::new(client.clone(), &args.identity),
        metrics: Metrics::default(),
        backoff: Backoff::default(),
        superseded: Superseded::default(),
        searching: tokio::sync::Semaphore::new(SEARCHES),
    });
    context.metrics.leads(true);

    let (changed, grants_changed) = tokio::sync::watch::channel(());
    tokio::spawn(watch(Api::all(client.clone()), request_writer, {
        let triggers = triggers.clone();
        move |event| triggers.access_request(event)
    }));
    tokio::spawn(watch(Api::all(client.clone()), namespace_request_writer, {
        let triggers = triggers.clone();
        move |event| triggers.namespace_request(event)
    }));
    tokio::spawn(watch(Api::all(client.clone()), federation_writer, {
        let triggers = triggers.clone();
        move |event| triggers.federation(event)
    }));
    tokio::spawn(watch(Api::all(client.clone()), delegation_writer, {
        let (triggers, sightings, known) = (triggers.clone(), sightings.clone(), delegations.clone());
        move |event| {
            sightings.told(event, &known);
            triggers.delegation(event);
        }
    }));
    tokio::spawn(watch(Api::all(client.clone()), grant_writer, {
        let triggers = triggers.clone();
        move |event| {
            triggers.grant(event);
            let _ = changed.send(());
        }
    }));
    tokio::spawn({
        let triggers = triggers.clone();
        async move {
            while clocks.changed().await.is_ok() {
                triggers.clocks();
            }
        }
    });
    tokio::spawn({
        let triggers = triggers.clone();
        touched.for_each(move |grant| {
            triggers.part(grant);
            std::future::ready(())
        })
    });

    gate.wait_until_ready().await.map_err(Error::Watch)?;
    children.wait_until_ready().await.map_err(Error::Watch)?;
    requests.wait_until_ready().await.map_err(Error::Watch)?;
    namespace_requests.wait_until_ready().await.map_err(Error::Watch)?;
    federations.wait_until_ready().await.map_err(Error::Watch)?;
    delegations.wait_until_ready().await.map_err(Error::Watch)?;
    grants.wait_until_ready().await.map_err(Error::Watch)?;
    process.lead(&context);
    tokio::spawn(sweep::run(context.clone(), triggered.suspects, {
        let triggers = triggers.clone();
        move |grant| triggers.suspect(grant)
    }));
    tokio::spawn(rests::run(client, grants.clone(), grants_changed, triggers));

    let at_once = |n| kube::runtime::controller::Config::default().concurrency(n);
    let access = Controller::for_stream(pending(), requests)
        .reconcile_on(triggered.access)
        .with_config(at_once(CONCURRENCY.0))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(request::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    let namespaces = Controller::for_stream(pending(), namespace_requests)
        .reconcile_on(triggered.namespaces)
        .with_config(at_once(CONCURRENCY.0))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(request::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    let partners = Controller::for_stream(pending(), federations)
        .reconcile_on(triggered.federations)
        .with_config(at_once(CONCURRENCY.0))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(request::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    let delegated = Controller::for_stream(pending(), delegations)
        .reconcile_on(triggered.delegations)
        .with_config(at_once(CONCURRENCY.0))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(delegation::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    let held = Controller::for_stream(pending(), grants)
        .reconcile_on(triggered.grants)
        .with_config(at_once(CONCURRENCY.1))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(grant::reconcile, on_error, context.clone())
        .for_each(|_| async {});
    tokio::join!(
        access,
        namespaces,
        partners,
        delegated,
        held,
        nsplease::run(adapter, context.clone(), stop)
    );
    Ok(())
}

/// Passes handle their own errors; this is never reached by them.
fn on_error<K>(_: Arc<K>, error: &reconcile::Error, _: Arc<Context>) -> kube::runtime::controller::Action {
    tracing::error!(error = %report::chain(error), "unhandled");
    kube::runtime::controller::Action::requeue(Duration::from_secs(5))
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
            requests: by_phase(context),
            skew: context.clock.skew(Instant::now()),
        })
    }
}

fn by_phase(context: &Context) -> Vec<(&'static str, usize)> {
    use Phase::{Active, Approved, Denied, Expired, Failed, Pending, Released};
    let mut all: Vec<Phase> = context.requests.state().iter().map(|r| r.phase()).collect();
    all.extend(context.namespace_requests.state().iter().map(|r| r.phase()));
    all.extend(context.federations.state().iter().map(|r| r.phase()));
    let phases = [Pending, Approved, Active, Denied, Released, Expired, Failed];
    let mut counts: Vec<(&'static str, usize)> = phases
        .into_iter()
        .map(|phase| (phase.as_str(), all.iter().filter(|p| **p == phase).count()))
        .collect();
    for phase in [DelegationPhase::Waiting, DelegationPhase::Completed] {
        counts.push((phase.as_str(), 0));
    }
    for delegation in context.delegations.state() {
        let phase = delegation.phase().as_str();
        counts.iter_mut().filter(|(name, _)| *name == phase).for_each(|(_, n)| *n += 1);
    }
    counts
}
