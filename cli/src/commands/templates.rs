//! `oz templates`

use std::collections::HashMap;

use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::AccessTemplate;
use oz_shared::names::GATE_PROBE;

use super::list::{self, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::{Cluster, Listing};

const EXAMPLES: &str = "\
Examples:
  oz templates
  oz templates -A -o wide
  oz templates --all -o yaml";

/// List what you may ask for
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    list: ListArgs,
    /// Also those that you may not ask for
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(args: Args, app: &App) -> Result<u8, Error> {
    let cluster = app.cluster().await?;
    let scope = args.list.scope(&cluster);
    if args.list.watch {
        let mut may = May::default();
        return list::follow(app, &cluster, &args.list, scope, async |template: &AccessTemplate| {
            Ok(args.all || may.request(&cluster, template).await?)
        })
        .await;
    }
    let listing = match args.all {
        true => cluster.list("list templates", scope, &args.list.params()).await?,
        false => on_offer(&cluster, scope, &args.list.params()).await?,
    };
    list::print(app, &cluster, &args.list, listing)
}

/// The templates that the user may ask for, and those that cannot be read.
///
/// # Errors
/// They cannot be listed.
pub(super) async fn on_offer(
    cluster: &Cluster,
    scope: Option<&str>,
    params: &ListParams,
) -> Result<Listing<AccessTemplate>, Error> {
    let Listing { items, unread } = cluster.list("list templates", scope, params).await?;
    let mut may = May::default();
    let mut offered = Listing { items: Vec::new(), unread };
    for template in items {
        if may.request(cluster, &template).await? {
            offered.items.push(template);
        }
    }
    Ok(offered)
}

/// Remembers where everything may be asked for: then no single template needs a question of its own.
#[derive(Default)]
struct May {
    everything: HashMap<String, bool>,
}

impl May {
    async fn request(&mut self, cluster: &Cluster, template: &AccessTemplate) -> Result<bool, Error> {
        let (namespace, name) = (template.namespace().unwrap_or_default(), template.name_any());
        if name == GATE_PROBE && oz_shared::names::is_reserved_namespace(&namespace) {
            return Ok(false);
        }
        let all = match self.everything.get(&namespace) {
            Some(all) => *all,
            None => {
                let all = cluster.may::<AccessTemplate>("request", &namespace, "").await?;
                self.everything.insert(namespace.clone(), all);
                all
            }
        };
        Ok(all || cluster.may::<AccessTemplate>("request", &namespace, &name).await?)
    }
}
