//! `oz pending`

use std::collections::HashMap;

use kube::ResourceExt as _;
use oz_shared::Request as _;
use oz_shared::request::Requester;
use oz_shared::{AccessRequest, Phase};

use super::list::{self, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::{Cluster, Listing};

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
    let scope = args.list.scope(&cluster);
    let mut mine = Mine { me: cluster.whoami().await?, may: HashMap::new() };
    if args.list.watch {
        return list::follow(app, &cluster, &args.list, scope, async |request: &AccessRequest| {
            mine.decides(&cluster, request).await
        })
        .await;
    }
    let Listing { items, unread } =
        cluster.list::<AccessRequest>("list requests", scope, &args.list.params()).await?;
    let mut waiting = Listing { items: Vec::new(), unread };
    for request in items {
        if mine.decides(&cluster, &request).await? {
            waiting.items.push(request);
        }
    }
    list::print(app, &cluster, &args.list, waiting)
}

/// What the user may decide, asked once a template.
struct Mine {
    me: Requester,
    may: HashMap<(String, String), bool>,
}

impl Mine {
    async fn decides(&mut self, cluster: &Cluster, request: &AccessRequest) -> Result<bool, Error> {
        if !undecided(request, &self.me) {
            return Ok(false);
        }
        let key = (request.namespace().unwrap_or_default(), request.spec.template.clone());
        if let Some(may) = self.may.get(&key) {
            return Ok(*may);
        }
        let may = cluster.may("approve", &key.0, &key.1).await?;
        self.may.insert(key, may);
        Ok(may)
    }
}

/// Does it wait, for someone other than who asks, and who has not spoken yet?
fn undecided(request: &AccessRequest, me: &Requester) -> bool {
    let spec = &request.spec;
    let asked_by_me =
        spec.requester.username == me.username || (!me.uid.is_empty() && spec.requester.uid == me.uid);
    request.phase() == Phase::Pending
        && !spec.released
        && request.metadata.deletion_timestamp.is_none()
        && !asked_by_me
        && !spec.decisions.iter().any(|d| d.by == me.username)
}
