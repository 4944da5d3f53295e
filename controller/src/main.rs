//! Oz's controller: decides requests and holds grants. One process, one reconciler a kind; this file only reads the
//! arguments and starts [`run`].

mod backoff;
mod children;
mod clock;
mod context;
mod fault;
mod gate;
mod http;
mod index;
mod metrics;
mod ntp;
mod reconcile;
mod report;
mod rests;
mod run;
mod sightings;
mod sweep;
mod watches;
mod write;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Decides requests for access and holds the grants.
#[derive(Debug, Parser)]
#[command(name = "oz-controller", version)]
pub(crate) struct Args {
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    http_address: SocketAddr,
    /// The name under which this replica holds the lease.
    #[arg(long, env = "OZ_IDENTITY", default_value = "oz-controller")]
    identity: String,
    /// Work without the lease. Safe, but two replicas then do the same work.
    #[arg(long)]
    no_leader_election: bool,
    /// Reach the cluster by this kubeconfig, for work outside it. Default: the pod's own account.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Ask this NTP server for the time too, HOST or HOST:PORT; repeat it for three or more, of which most must agree. What
    /// ends, ends by their time if that is ahead of the API server's clock, by a minute at most.
    #[arg(long = "ntp-server", value_name = "HOST[:PORT]", env = "OZ_NTP_SERVERS", value_delimiter = ',')]
    ntp_servers: Vec<ntp::Server>,
    /// How much to log, as `info` or `oz_controller=debug`.
    #[arg(long, env = "OZ_LOG", default_value = "info")]
    log: String,
    #[command(flatten)]
    nsplease: reconcile::nsplease::Options,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "failed to start the runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %report::chain(&error), "stopped");
            ExitCode::FAILURE
        }
    }
}
