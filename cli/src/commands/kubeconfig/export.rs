//! `oz kubeconfig export`

use oz_shared::{AccessRequest, Federation, NamespaceRequest, Phase};

use crate::app::App;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, entries, is_mine, mint, named, outcome};
use crate::kubeconfig::{BadServer, Credential, is_private, server};
use crate::output::stamp;
use crate::session::not_the_holder;
use crate::target::{Kind, Target};

/// Print a kubeconfig that holds a token for an access of yours, and nothing else of you
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  (umask 077; oz kubeconfig export access-request-api-exec-7k2pd > lent.yaml)
  oz kubeconfig export access-request-api-exec-7k2pd --server https://api.example.com:6443 > lent.yaml")]
pub(super) struct Args {
    /// The request: NAME, or accessrequest/NAME, namespacerequest/NAME, federation/NAME
    #[arg(value_name = "NAME")]
    target: Target,
    /// The server's address for whoever gets it, instead of your own context's
    #[arg(long, value_name = "URL", value_parser = parse_server)]
    server: Option<String>,
}

fn parse_server(text: &str) -> Result<String, BadServer> {
    server(text)
}

pub(super) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    match args.target.kind {
        Kind::Access => export::<AccessRequest>(args, app, &cluster).await,
        Kind::Namespaces => export::<NamespaceRequest>(args, app, &cluster).await,
        Kind::Federation => export::<Federation>(args, app, &cluster).await,
        Kind::Delegation => Err(Error::usage(
            "a delegation has no credential of its own: whom it lends to holds it by his own name",
        )),
    }
}

async fn export<R: Asked>(args: Args, app: &App, cluster: &Cluster) -> Result<u8, Error> {
    let (me, request) = tokio::join!(cluster.whoami(), named::<R>(cluster, &args.target));
    let (me, request) = (me?, request?);
    if !is_mine(&request, &me) {
        let holder = &request.requester().username;
        let message = format!("denied: this access is lent to {holder}, who alone can hand it on");
        return Err(Error::new(exit::DENIED, message));
    }
    if let Some(ended) = outcome(&request) {
        return Err(ended.into());
    }
    let target = request.target();
    if request.phase() != Phase::Active {
        let error = Error::new(exit::NOT_READY, format!("{target} is not granted yet"));
        return Err(error.hint(format!("oz describe {target} tells more")));
    }
    let config = &cluster.way.config;
    if config.accept_invalid_certs {
        return Err(Error::usage("your own context does not check the server's certificate, so there is nothing by which others could")
            .hint("name a context with a certificate authority: --context NAME"));
    }
    let token = mint(cluster, &request).await.map_err(|error| not_the_holder(&request, error))?;
    let mut lent = entries(cluster, &request, &token);
    let Some(mut lent) = (!lent.is_empty()).then(|| lent.swap_remove(0)) else {
        return Err(Error::new(exit::NOT_READY, format!("{target} has no namespace yet")));
    };
    lent.credential = Credential::Token(token.secret.clone());
    if let Some(server) = args.server {
        (lent.server, lent.tls_server_name) = (server, None);
    }
    if lent.proxy_url.take().is_some() {
        app.printer.warn("your own context goes through a proxy, which is not handed on");
    }
    app.printer.data(&lent.alone())?;

    let left = human(token.end().duration_since(cluster.now()));
    app.printer.say(&format!("Whoever holds this has the access until {} (in {left}).", stamp(token.end())));
    app.printer.say("  keep it to yourself:  chmod 600 FILE");
    let at = format!("{target} -n {}{}", cluster.namespace, app.settings.repeat());
    app.printer.say(&format!("  take it back:         oz release {at}"));
    if R::KIND == Kind::Federation {
        app.printer.say(&format!(
            "  over there:           oz kubeconfig import FILE, and it renews itself until {}",
            stamp(token.until)
        ));
    } else if !token.lasts() {
        app.printer.warn(&format!(
            "the access goes on until {}, no token does: export it again before this one ends",
            stamp(token.until)
        ));
    }
    if is_private(&lent.server) {
        app.printer.warn(&format!(
            "{} is a private address, which others may not reach: --server URL names another",
            lent.server
        ));
    }
    Ok(exit::DONE)
}
