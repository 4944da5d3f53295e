//! The way of nsplease, for pipelines that know it: a ConfigMap in one namespace brings a namespace of its name, and a Secret
//! beside it with the token of that namespace's account `admin`. Off by default.
//!
//! It is no part of what requests and grants are. What it gives hangs on the namespace: whoever deletes that ends all of it,
//! by the garbage collector; a ConfigMap that is deleted takes nothing with it. The labels of the namespace are the record of
//! what was issued, and nobody but the controller writes them.

mod apply;
mod observe;
mod plan;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::pending;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ObjectReference};
use kube::api::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Controller, WatchStreamExt as _};
use kube::{Api, ResourceExt as _};
use oz_shared::names::{GRANT_LABEL, NSPLEASE};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::reconcile::{self, pass, wake};
use crate::report::{self, Note};
use plan::Step;

pub(crate) use settings::{Error, Options, Settings};

/// The account, its Role, and the ClusterRole that it holds: nsplease's name for all three.
const ACCOUNT: &str = "admin";
/// On a Secret: the uid of the ConfigMap that it was issued to.
const ISSUED_TO: &str = "ozaccess.io/issued-to";
/// On a Secret: when its token is to be replaced.
const RENEW_AT: &str = "ozaccess.io/renew-at";
/// How many requests are worked on at once.
const CONCURRENCY: u16 = 8;
/// More steps than any request takes in one pass.
const STEPS: usize = 24;

/// A ConfigMap as the watch knows it.
type Request = PartialObjectMeta<ConfigMap>;

/// What each pass works with.
struct Adapter {
    settings: Settings,
    context: Arc<Context>,
}

/// Serves requests until `stop`; nothing, where it is off.
pub(crate) async fn run(settings: Option<Settings>, context: Arc<Context>, stop: CancellationToken) {
    let Some(settings) = settings else { return };
    tracing::info!(namespace = settings.requests, "serving the requests of nsplease");
    let client = context.client.clone();
    let (requests, writer) = reflector::store::<Request>();
    let (look, mut looks) = unbounded_channel::<ObjectRef<Request>>();
    let looks = futures::stream::poll_fn(move |cx| looks.poll_recv(cx));

    let api: Api<Request> = Api::namespaced(client.clone(), &settings.requests);
    let asked = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| {
            object.metadata.managed_fields = None;
            object.metadata.annotations = None;
        })
        .reflect(writer)
        .for_each({
            let (look, requests) = (look.clone(), requests.clone());
            move |event| {
                match event {
                    Ok(Event::Apply(request)) => drop(look.send(ObjectRef::from_obj(&request))),
                    // What an interruption has hidden may have happened to any.
                    Ok(Event::InitDone) => {
                        for request in requests.state() {
                            drop(look.send(ObjectRef::from_obj(request.as_ref())));
                        }
                    }
                    Ok(Event::Init | Event::InitApply(_) | Event::Delete(_)) => {}
                    Err(error) => tracing::warn!(error = %report::chain(&error), kind = "ConfigMap", "watch interrupted"),
                }
                std::future::ready(())
            }
        });
    let ours = watcher::Config::default().labels(&format!("{GRANT_LABEL}={NSPLEASE}"));
    let gone = watcher(Api::<PartialObjectMeta<Namespace>>::all(client), ours).default_backoff().for_each({
        let (look, requests, within) = (look, requests.clone(), settings.requests.clone());
        move |event| {
            match event {
                // Somebody may wait for its name.
                Ok(Event::Delete(namespace)) => {
                    drop(look.send(ObjectRef::new(&namespace.name_any()).within(&within)));
                }
                Ok(Event::InitDone) => {
                    for request in requests.state() {
                        drop(look.send(ObjectRef::from_obj(request.as_ref())));
                    }
                }
                Ok(Event::Init | Event::InitApply(_) | Event::Apply(_)) => {}
                Err(error) => {
                    tracing::warn!(error = %report::chain(&error), kind = "Namespace", "watch interrupted")
                }
            }
            std::future::ready(())
        }
    });
    let adapter = Arc::new(Adapter { settings, context });
    let serve = Controller::for_stream(pending(), requests)
        .reconcile_on(looks)
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, adapter)
        .for_each(|_| async {});
    tokio::select! {
        () = serve => {}
        _ = futures::future::join(asked, gone) => {}
    }
}

/// One pass over one request: step by step until nothing is left to do.
async fn reconcile(request: Arc<Request>, adapter: Arc<Adapter>) -> Result<Action, reconcile::Error> {
    let (settings, context) = (&adapter.settings, &adapter.context);
    let name = request.name_any();
    let regarding = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        namespace: Some(settings.requests.clone()),
        name: Some(name.clone()),
        uid: request.uid(),
        ..ObjectReference::default()
    };
    pass("ConfigMap", request.as_ref(), context, regarding.clone(), async {
        for _ in 0..STEPS {
            let seen = observe::observe(&name, settings, context).await?;
            let now = context.clock.now();
            let step = plan::plan(&name, &seen, settings, now);
            if let Step::Rest(at) = step {
                return Ok(wake(at, now));
            }
            tracing::debug!(name, ?step, "nsplease");
            apply::apply(&name, &step, settings, context).await?;
            if let Some(note) = told(&step) {
                context.events.publish(regarding.clone(), note);
            }
        }
        Ok(Action::requeue(std::time::Duration::from_secs(1)))
    })
    .await
}

/// What a step that was done is worth telling.
fn told(step: &Step) -> Option<Note> {
    let (warning, reason, message) = match step {
        Step::Answer { reason, words, .. } => (*reason != "Waiting", *reason, words.clone()),
        Step::Make(_) => (false, "Created", "the namespace was made".to_owned()),
        Step::Issue { into: None, .. } => {
            (false, "Issued", "the token is in the Secret of this name".to_owned())
        }
        Step::Issue { into: Some(_), .. } => (false, "Renewed", "the Secret has a new token".to_owned()),
        _ => return None,
    };
    Some(Note { warning, reason, message })
}

/// Passes handle their own errors; this is never reached by them.
fn on_error(_: Arc<Request>, error: &reconcile::Error, _: Arc<Adapter>) -> Action {
    tracing::error!(error = %report::chain(error), "unhandled");
    Action::requeue(std::time::Duration::from_secs(5))
}
