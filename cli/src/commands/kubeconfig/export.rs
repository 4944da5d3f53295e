//! `oz kubeconfig export`

use kube::ResourceExt as _;
use oz_shared::Phase;
use oz_shared::Request as _;

use crate::app::App;
use crate::duration::human;
use crate::error::Error;
use crate::exit;
use crate::kube::{entry, is_mine, mint, outcome};
use crate::kubeconfig::{BadServer, Credential, is_private, server};
use crate::output::stamp;
use crate::session::not_the_holder;
use crate::target::Target;

/// Print a kubeconfig that holds a token for an access of yours, and nothing else of you
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  (umask 077; oz kubeconfig export access-request-api-exec-7k2pd > lent.yaml)
  oz kubeconfig export access-request-api-exec-7k2pd --server https://api.example.com:6443 > lent.yaml")]
pub(super) struct Args {
    /// The request: NAME, or accessrequest/NAME
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
    let (me, request) = tokio::join!(cluster.whoami(), cluster.request(&args.target.name));
    let (me, request) = (me?, request?);
    if !is_mine(&request, &me) {
        let holder = &request.spec.requester.username;
        let message = format!("denied: this access is lent to {holder}, who alone can hand it on");
        return Err(Error::new(exit::DENIED, message));
    }
    if let Some(ended) = outcome(&request) {
        return Err(ended.into());
    }
    let name = request.name_any();
    if request.phase() != Phase::Active {
        let error = Error::new(exit::NOT_READY, format!("{name} is not granted yet"));
        return Err(error.hint(format!("oz describe {name} tells more")));
    }
    let config = &cluster.way.config;
    if config.accept_invalid_certs {
        return Err(Error::usage("your own context does not check the server's certificate, so there is nothing by which others could")
            .hint("name a context with a certificate authority: --context NAME"));
    }
    let token = mint(&cluster, &request).await.map_err(|error| not_the_holder(&request, error))?;
    let mut lent = entry(&cluster, &request, &token);
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
    let at = format!("{name} -n {}{}", cluster.namespace, app.settings.repeat());
    app.printer.say(&format!("  take it back:         oz release {at}"));
    if !token.lasts() {
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
