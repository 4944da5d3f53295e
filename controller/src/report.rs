//! How things that happen reach people: Events on the request, logs, and error chains in one line.

use std::error::Error;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use oz_shared::plain::clean;

/// Something worth telling on the object that it happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) warning: bool,
    /// CamelCase, as `Approved`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Writes Events. A lost Event loses nothing else, so failures are only logged.
#[derive(Clone)]
pub(crate) struct Events(Recorder);

impl Events {
    pub(crate) fn new(client: Client, instance: &str) -> Self {
        let reporter =
            Reporter { controller: "ozaccess.io/controller".to_owned(), instance: Some(instance.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    /// Publishes in the background: the pass that has something to tell does not wait.
    pub(crate) fn publish(&self, object: ObjectReference, note: Note) {
        let recorder = self.0.clone();
        tokio::spawn(async move {
            let event = Event {
                type_: if note.warning { EventType::Warning } else { EventType::Normal },
                reason: note.reason.to_owned(),
                note: Some(cut(clean(&note.message).into_owned())),
                action: note.reason.to_owned(),
                secondary: None,
            };
            if let Err(error) = recorder.publish(&event, &object).await {
                tracing::debug!(error = %chain(&error), reason = note.reason, "an Event was lost");
            }
        });
    }
}

/// The API server takes 1 kB of note.
fn cut(mut note: String) -> String {
    const MOST: usize = 1000;
    if note.len() > MOST {
        note.truncate(note.floor_char_boundary(MOST));
        note.push('…');
    }
    note
}

/// An error with all its causes, in one line, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = line(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = line(error);
        // A Status is its own cause.
        if !error.is::<kube::core::Status>() && !text.contains(&message) {
            let _ = write!(text, ": {message}");
        }
        cause = error.source();
    }
    text
}

/// What the API server said is told as it said it, without kube's repetition of it.
fn line(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => status.message.clone(),
        _ => error.to_string(),
    }
}
