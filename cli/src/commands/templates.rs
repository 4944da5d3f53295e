//! `oz templates`

use std::collections::HashMap;

use kube::ResourceExt as _;
use kube::api::ListParams;
use oz_shared::AccessTemplate;
use oz_shared::names::GATE_PROBE;

use super::list::{self, ListArgs};
use crate::app::App;
use crate::error::Error;
use crate::kube::Cluster;

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
        return list::follow(
            app,
            &cluster,
            &args.list,
            cluster.templates(scope),
            async |template: &AccessTemplate| Ok(args.all || may.request(&cluster, template).await?),
        )
        .await;
    }
    let items = match args.all {
        true => {
            cluster.call("list templates", cluster.templates(scope).list(&args.list.params())).await?.items
        }
        false => on_offer(&cluster, scope, &args.list.params()).await?,
    };
    list::print(app, &cluster, &args.list, items)
}

/// The templates that the user may ask for.
///
/// # Errors
/// They cannot be listed.
pub(super) async fn on_offer(
    cluster: &Cluster,
    scope: Option<&str>,
    params: &ListParams,
) -> Result<Vec<AccessTemplate>, Error> {
    let list = cluster.call("list templates", cluster.templates(scope).list(params)).await?;
    let mut may = May::default();
    let mut offered = Vec::new();
    for template in list.items {
        if may.request(cluster, &template).await? {
            offered.push(template);
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
