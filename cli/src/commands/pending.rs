//! `oz pending`

use std::collections::HashMap;

use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, NamespaceRequest, Phase};

use super::list::{self, Item, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Asked, Cluster, Listing};
use crate::output::{Format, plain};

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
    let namespaces = visible(&cluster, list).await?;
    if list.watch {
        let access = follow::<AccessRequest>(app, &cluster, list, &me);
        return match namespaces {
            true => tokio::try_join!(access, follow::<NamespaceRequest>(app, &cluster, list, &me))
                .map(|(code, _)| code),
            false => access.await,
        };
    }
    let access = undecided_now::<AccessRequest>(&cluster, list, &me).await?;
    let namespaces = match namespaces {
        true => undecided_now::<NamespaceRequest>(&cluster, list, &me).await?,
        false => Listing { items: Vec::new(), unread: Vec::new() },
    };
    if matches!(list.output, Format::Json | Format::Yaml) && !namespaces.items.is_empty() {
        list::left_out(app, &access.unread);
        list::left_out(app, &namespaces.unread);
        let mut items = access.items.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
        items.extend(namespaces.items.iter().map(plain).collect::<Result<Vec<_>, _>>()?);
        app.printer.data(&list.output.list_of(items)?)?;
        return Ok(exit::DONE);
    }
    if namespaces.items.is_empty() {
        list::left_out(app, &namespaces.unread);
        return list::print(app, &cluster, list, access);
    }
    if access.items.is_empty() {
        list::left_out(app, &access.unread);
    } else {
        list::print(app, &cluster, list, access)?;
        if list.output.is_table() {
            app.printer.data("")?;
        }
    }
    list::print(app, &cluster, list, namespaces)
}

/// May requests for namespaces be seen at all? Who decides about access alone need not.
async fn visible(cluster: &Cluster, list: &ListArgs) -> Result<bool, Error> {
    let api = cluster.asked::<NamespaceRequest>(list.scope(cluster));
    match cluster.call("list requests", api.list_metadata(&ListParams::default().limit(1))).await {
        Ok(_) => Ok(true),
        Err(fault) if matches!(fault.code(), Some(403 | 404)) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

async fn follow<R: Asked + Item>(
    app: &App,
    cluster: &Cluster,
    list: &ListArgs,
    me: &Requester,
) -> Result<u8, Error> {
    let mut mine = Mine::of(me);
    list::follow(app, cluster, list, list.scope(cluster), async |request: &R| {
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
        cluster.list::<R>("list requests", list.scope(cluster), &list.params()).await?;
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
