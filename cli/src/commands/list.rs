//! What the listing commands share: the flags, one list, or a list that goes on.

use std::collections::HashMap;

use futures::StreamExt as _;
use kube::api::ListParams;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault};
use crate::output::{Format, Listed, Table};

/// Flags of every list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// In all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Go on, and print what changes
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Only what carries these labels: a=b,c!=d
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
}

impl ListArgs {
    /// The namespace to look into; none for all.
    pub(crate) fn scope<'a>(&self, cluster: &'a Cluster) -> Option<&'a str> {
        (!self.all_namespaces).then_some(cluster.namespace.as_str())
    }

    /// What to ask the API server for.
    pub(crate) fn params(&self) -> ListParams {
        ListParams { label_selector: self.selector.clone(), ..ListParams::default() }
    }
}

/// A kind that the API lists and this crate prints.
pub(crate) trait Item:
    Listed
    + Resource<DynamicType = ()>
    + Clone
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + std::fmt::Debug
    + 'static
{
}

impl<T> Item for T where
    T: Listed
        + Resource<DynamicType = ()>
        + Clone
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + std::fmt::Debug
        + 'static
{
}

/// Prints one list.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print<K: Item>(
    app: &App,
    cluster: &Cluster,
    args: &ListArgs,
    mut items: Vec<K>,
) -> Result<u8, Error> {
    items.sort_by_key(|k| (k.namespace(), k.meta().creation_timestamp.clone().map(|t| t.0), k.name_any()));
    if !args.output.is_table() {
        if !(items.is_empty() && args.output == Format::Name) {
            app.printer.data(&args.output.list(&items)?)?;
        }
        return Ok(exit::DONE);
    }
    if items.is_empty() {
        let place =
            if args.all_namespaces { String::new() } else { format!(" in namespace {}", cluster.namespace) };
        app.printer.say(&format!("Nothing found{place}."));
        return Ok(exit::DONE);
    }
    let rows: Vec<Vec<String>> = items.iter().map(|k| row(k, cluster, args)).collect();
    app.printer.data(&table::<K>(args).whole(&rows))?;
    Ok(exit::DONE)
}

/// Grants live in no namespace, and say in a column of their own where they hold.
fn namespaced<K: Item>(args: &ListArgs) -> bool {
    args.all_namespaces && K::kind(&()) != "Grant"
}

fn table<K: Item>(args: &ListArgs) -> Table {
    let mut headers = K::headers(args.output == Format::Wide);
    if namespaced::<K>(args) {
        headers.insert(0, "NAMESPACE");
    }
    Table::new(&headers)
}

fn row<K: Item>(item: &K, cluster: &Cluster, args: &ListArgs) -> Vec<String> {
    let mut cells = item.cells(args.output == Format::Wide, cluster.now());
    if namespaced::<K>(args) {
        cells.insert(0, item.namespace().unwrap_or_default());
    }
    cells
}

/// Prints what is there and what changes, until it is interrupted. `wanted` may ask the API server.
///
/// # Errors
/// The list may not be read, or not be printed.
pub(crate) async fn follow<K: Item>(
    app: &App,
    cluster: &Cluster,
    args: &ListArgs,
    api: Api<K>,
    mut wanted: impl AsyncFnMut(&K) -> Result<bool, Error>,
) -> Result<u8, Error> {
    let config = watcher::Config { label_selector: args.selector.clone(), ..watcher::Config::default() };
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut table = table::<K>(args);
    let mut printed: HashMap<String, String> = HashMap::new();
    let mut first: Option<Vec<K>> = Some(Vec::new());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(item)) => match &mut first {
                Some(items) => items.push(item),
                None => changed(app, cluster, args, &mut table, &mut printed, item, &mut wanted).await?,
            },
            Ok(Event::Apply(item)) => {
                changed(app, cluster, args, &mut table, &mut printed, item, &mut wanted).await?;
            }
            Ok(Event::InitDone) => {
                let mut items = Vec::new();
                for item in first.take().unwrap_or_default() {
                    if wanted(&item).await? {
                        printed.insert(
                            item.uid().unwrap_or_default(),
                            item.resource_version().unwrap_or_default(),
                        );
                        items.push(item);
                    }
                }
                if args.output.is_table() {
                    let rows: Vec<Vec<String>> = items.iter().map(|k| row(k, cluster, args)).collect();
                    // Headers wait for the first row, to be as wide as it.
                    if !rows.is_empty() {
                        app.printer.data(&table.more(&rows))?;
                    }
                } else {
                    for item in items {
                        app.printer.data(&args.output.object(&item)?)?;
                    }
                }
            }
            Ok(Event::Init) => {}
            Ok(Event::Delete(item)) => {
                printed.remove(&item.uid().unwrap_or_default());
            }
            Err(error) => match fault(error) {
                // Nothing was ever listed: it will not be better in a while.
                Some(fault) if first.is_some() || matches!(fault.code(), Some(401 | 403)) => {
                    return Err(fault.into());
                }
                Some(fault) => app.printer.warn(&fault.to_string()),
                None => {}
            },
        }
    }
    Ok(exit::DONE)
}

async fn changed<K: Item>(
    app: &App,
    cluster: &Cluster,
    args: &ListArgs,
    table: &mut Table,
    printed: &mut HashMap<String, String>,
    item: K,
    wanted: &mut impl AsyncFnMut(&K) -> Result<bool, Error>,
) -> Result<(), Error> {
    let (uid, version) = (item.uid().unwrap_or_default(), item.resource_version().unwrap_or_default());
    if printed.get(&uid) == Some(&version) || !wanted(&item).await? {
        return Ok(());
    }
    printed.insert(uid, version);
    if args.output.is_table() {
        return app.printer.data(&table.more(&[row(&item, cluster, args)]));
    }
    app.printer.data(&args.output.object(&item)?)
}

/// What a watch could not do; none where it merely has to begin anew.
fn fault(error: watcher::Error) -> Option<Fault> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(Fault::of("list", error)),
        _ => None,
    }
}
