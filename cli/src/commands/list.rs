//! What the listing commands share: the flags, one list, or a list that goes on.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject, ListParams, PartialObjectMeta};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault, Listing, Unread};
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

/// What cannot be read is named: it is there.
pub(crate) fn left_out(app: &App, unread: &[Unread]) {
    unread.iter().for_each(|unread| app.printer.warn(&unread.to_string()));
}

/// Prints one list.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print<K: Item>(
    app: &App,
    cluster: &Cluster,
    args: &ListArgs,
    Listing { mut items, unread }: Listing<K>,
) -> Result<u8, Error> {
    left_out(app, &unread);
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

/// Grants live in no namespace, and say in a column of their own where they hold; so do federations.
fn namespaced<K: Item>(args: &ListArgs) -> bool {
    args.all_namespaces && !["Grant", "Federation"].contains(&K::kind(&()).as_ref())
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
/// What changes is told by its metadata and then read by itself: no object that cannot be read ends the watch.
///
/// # Errors
/// The list may not be read, or not be printed.
pub(crate) async fn follow<K: Item>(
    app: &App,
    cluster: &Cluster,
    args: &ListArgs,
    scope: Option<&str>,
    mut wanted: impl AsyncFnMut(&K) -> Result<bool, Error>,
) -> Result<u8, Error> {
    let Listing { items, unread } = cluster.list("list", scope, &args.params()).await?;
    left_out(app, &unread);
    let mut named: HashSet<_> = unread.into_iter().map(|u| (u.namespace, u.name)).collect();
    let mut screen = Screen { app, cluster, args, table: table::<K>(args) };
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut first = Vec::new();
    for item in items {
        seen.extend(version(&item));
        if wanted(&item).await? {
            first.push(item);
        }
    }
    screen.print(&first)?;
    let config = watcher::Config { label_selector: args.selector.clone(), ..watcher::Config::default() };
    let mut events = watcher(metadata::<K>(cluster, scope), config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(changed) | Event::Apply(changed)) => {
                if version(&changed).is_some_and(|(uid, version)| seen.get(&uid) == Some(&version)) {
                    continue;
                }
                let (namespace, name) = (changed.namespace(), changed.name_any());
                match cluster.read::<K>("read what has changed", namespace.as_deref(), &name).await {
                    Ok(Some(Ok(item))) => {
                        seen.extend(version(&item));
                        if wanted(&item).await? {
                            screen.print(&[item])?;
                        }
                    }
                    Ok(Some(Err(unread))) => {
                        if named.insert((unread.namespace.clone(), unread.name.clone())) {
                            left_out(app, &[unread]);
                        }
                    }
                    Ok(None) => {}
                    Err(fault) => app.printer.warn(&fault.to_string()),
                }
            }
            Ok(Event::Delete(gone)) => {
                seen.remove(&gone.uid().unwrap_or_default());
            }
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => match fault(error) {
                Some(fault) if matches!(fault.code(), Some(401 | 403)) => return Err(fault.into()),
                Some(fault) => app.printer.warn(&fault.to_string()),
                None => {}
            },
        }
    }
    Ok(exit::DONE)
}

/// Of all objects of a kind there, what tells them apart.
fn metadata<K: Item>(cluster: &Cluster, scope: Option<&str>) -> Api<PartialObjectMeta<DynamicObject>> {
    let (client, kind) = (cluster.client.clone(), ApiResource::erase::<K>(&()));
    match scope {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

/// Which object in which state.
fn version(object: &impl ResourceExt) -> Option<(String, String)> {
    Some((object.uid()?, object.resource_version()?))
}

/// Where a watch prints.
struct Screen<'a> {
    app: &'a App,
    cluster: &'a Cluster,
    args: &'a ListArgs,
    table: Table,
}

impl Screen<'_> {
    /// Headers wait for the first row, to be as wide as it.
    fn print<K: Item>(&mut self, items: &[K]) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        if self.args.output.is_table() {
            let rows: Vec<Vec<String>> = items.iter().map(|k| row(k, self.cluster, self.args)).collect();
            return self.app.printer.data(&self.table.more(&rows));
        }
        items.iter().try_for_each(|item| self.app.printer.data(&self.args.output.object(item)?))
    }
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
