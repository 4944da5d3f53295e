//! `oz pending`

use std::collections::HashMap;

use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, Federation, NamespaceRequest, Phase};

use super::list::{self, Item, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, Listing};
use crate::output::{Format, plain};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  oz pending -A
  oz pending -w";

/// List the requests that wait for your decision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    list: ListArgs,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let me = cluster.whoami().await?;
    let list = &args.list;
    if list.watch {
        return tokio::try_join!(
            follow::<AccessRequest>(app, &cluster, list, &me),
            follow_visible::<NamespaceRequest>(app, &cluster, list, &me),
            follow_visible::<Federation>(app, &cluster, list, &me),
        )
        .map(|(code, ..)| code);
    }
    let access = undecided_now::<AccessRequest>(&cluster, list, &me).await?;
    let namespaces = undecided_visible::<NamespaceRequest>(&cluster, list, &me).await?;
    let federations = undecided_visible::<Federation>(&cluster, list, &me).await?;
    let others = namespaces.items.len() + federations.items.len();
    if matches!(list.output, Format::Json | Format::Yaml) && others > 0 {
        for unread in [&access.unread, &namespaces.unread, &federations.unread] {
            list::left_out(app, unread);
        }
        let mut items = access.items.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
        items.extend(namespaces.items.iter().map(plain).collect::<Result<Vec<_>, _>>()?);
        items.extend(federations.items.iter().map(plain).collect::<Result<Vec<_>, _>>()?);
        app.printer.data(&list.output.list_of(items)?)?;
        return Ok(exit::DONE);
    }
    if others == 0 {
        list::left_out(app, &namespaces.unread);
        list::left_out(app, &federations.unread);
        return list::print(app, &cluster, list, access);
    }
    let printed = part(app, &cluster, list, access, false)?;
    let printed = part(app, &cluster, list, namespaces, printed)?;
    part(app, &cluster, list, federations, printed)?;
    Ok(exit::DONE)
}

/// One kind, if there is any of it, below what was printed before. Is something printed by now?
fn part<R: Asked + Item>(
    app: &App,
    cluster: &Cluster,
    list: &ListArgs,
    listing: Listing<R>,
    below: bool,
) -> Result<bool, Error> {
    if listing.items.is_empty() {
        list::left_out(app, &listing.unread);
        return Ok(below);
    }
    if below && list.output.is_table() {
        app.printer.data("")?;
    }
    list::print(app, cluster, list, listing)?;
    Ok(true)
}

/// Where to look for this kind.
fn scope<'a, R: Asked>(cluster: &'a Cluster, list: &ListArgs) -> Option<&'a str> {
    list.scope(cluster).filter(|_| R::KIND != Kind::Federation)
}

/// May these be seen at all? Who decides about access alone need not.
async fn visible<R: Asked>(cluster: &Cluster, list: &ListArgs) -> Result<bool, Error> {
    let api = cluster.asked::<R>(scope::<R>(cluster, list));
    match cluster.call("list requests", api.list_metadata(&ListParams::default().limit(1))).await {
        Ok(_) => Ok(true),
        Err(fault) if matches!(fault.code(), Some(403 | 404)) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

async fn follow_visible<R: Asked + Item>(
    app: &App,
    cluster: &Cluster,
    list: &ListArgs,
    me: &Requester,
) -> Result<u8, Error> {
    if visible::<R>(cluster, list).await? {
        follow::<R>(app, cluster, list, me).await
    } else {
        Ok(exit::DONE)
    }
}

async fn undecided_visible<R: Asked + Item>(
    cluster: &Cluster,
    list: &ListArgs,
    me: &Requester,
) -> Result<Listing<R>, Error> {
    match visible::<R>(cluster, list).await? {
        true => undecided_now::<R>(cluster, list, me).await,
        false => Ok(Listing { items: Vec::new(), unread: Vec::new() }),
    }
}

async fn follow<R: Asked + Item>(
    app: &App,
    cluster: &Cluster,
    list: &ListArgs,
    me: &Requester,
) -> Result<u8, Error> {
    let mut mine = Mine::of(me);
    list::follow(app, cluster, list, scope::<R>(cluster, list), async |request: &R| {
        mine.decides(cluster, request).await
    })
    .await
}

async fn undecided_now<R: Asked + Item>(
    cluster: &Cluster,
    list: &ListArgs,
    me: &Requester,
) -> Result<Listing<R>, Error> {
    let mut mine = Mine::of(me);
    let Listing { items, unread } =
        cluster.list::<R>("list requests", scope::<R>(cluster, list), &list.params()).await?;
    let mut waiting = Listing { items: Vec::new(), unread };
    for request in items {
        if mine.decides(cluster, &request).await? {
            waiting.items.push(request);
        }
    }
    Ok(waiting)
}

/// What the user may decide, asked once a template or class.
struct Mine<'a> {
    me: &'a Requester,
    may: HashMap<(String, String), bool>,
}

impl<'a> Mine<'a> {
    fn of(me: &'a Requester) -> Self {
        Self { me, may: HashMap::new() }
    }

    async fn decides<R: Asked>(&mut self, cluster: &Cluster, request: &R) -> Result<bool, Error> {
        if !undecided(request, self.me) {
            return Ok(false);
        }
        let key = (request.namespace().unwrap_or_default(), request.policy().to_owned());
        if let Some(may) = self.may.get(&key) {
            return Ok(*may);
        }
        let may = cluster.may::<R::Policy>("approve", &key.0, &key.1).await?;
        self.may.insert(key, may);
        Ok(may)
    }
}

/// Does it wait, for someone other than who asks, and who has not spoken yet?
fn undecided<R: Asked>(request: &R, me: &Requester) -> bool {
    let requester = request.requester();
    let asked_by_me = requester.username == me.username || (!me.uid.is_empty() && requester.uid == me.uid);
    request.phase() == Phase::Pending
        && request.release().is_none()
        && request.meta().deletion_timestamp.is_none()
        && !asked_by_me
        && !request.decisions().iter().any(|d| d.by == me.username)
}
