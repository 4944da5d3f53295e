//! What every migration takes an object apart by, and writes its own with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::Fields;

/// Written by kubectl for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What the API server writes by itself is nobody's wish.
const OWN: [&str; 6] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];

/// What became of an object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Migrated {
    /// In the order in which they are applied.
    pub(super) objects: Vec<Value>,
    /// What changes by it.
    pub(super) notes: Vec<String>,
    /// Why nothing became of it.
    pub(super) left_out: Option<String>,
}

impl Migrated {
    /// Nothing came of it but these words.
    pub(super) fn told(notes: Vec<String>) -> Self {
        Self { notes, ..Self::default() }
    }

    /// Nothing can come of it.
    pub(super) fn without(why: impl Into<String>) -> Self {
        Self { left_out: Some(why.into()), ..Self::default() }
    }
}

/// What became of all the objects of a tool.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// What is due to no single one of them. Its objects are applied first.
    pub(super) common: Migrated,
    /// What became of each, in their order; or why it is none of that tool's.
    pub(super) each: Vec<Result<Migrated, String>>,
}

/// An object of some version and kind.
pub(super) struct Old {
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) fields: Fields,
}

impl Old {
    /// # Errors
    /// It is no object of an API.
    pub(super) fn of(object: Value) -> Result<Self, String> {
        let mut fields = Fields::of("", object)?;
        let version = fields.text("apiVersion")?.unwrap_or_default();
        let kind = fields.text("kind")?.unwrap_or_default();
        Ok(Self { version, kind, fields })
    }
}

/// What an object is called, and what people wrote beside that.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Takes it, and the status with it. What has no counterpart is told.
    ///
    /// # Errors
    /// There is no name, or it is not what an API server would have stored.
    pub(super) fn take(fields: &mut Fields, notes: &mut Vec<String>) -> Result<Self, String> {
        fields.take("status");
        let mut metadata = fields.inner("metadata")?;
        let name = metadata.text("name")?.ok_or("it has no metadata.name")?;
        let namespace = metadata.text("namespace")?;
        let labels = metadata.named("labels")?;
        let mut annotations = metadata.named("annotations")?;
        annotations.remove(LAST_APPLIED);
        OWN.iter().for_each(|key| drop(metadata.take(key)));
        tell(&[&metadata], notes);
        Ok(Self { name, namespace, labels, annotations })
    }

    /// Takes an annotation out of it.
    pub(super) fn annotation(&mut self, key: &str) -> Option<String> {
        self.annotations.remove(key)
    }

    /// A name in the same namespace.
    pub(super) fn beside(&self, name: &str) -> Value {
        let mut metadata = json!({"name": name});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        metadata
    }

    /// As ours has it: the labels and annotations of people stay.
    pub(super) fn ours(&self, mut metadata: Value) -> Value {
        for (key, texts) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !texts.is_empty() {
                metadata[key] = json!(texts);
            }
        }
        metadata
    }
}

/// Tells what nobody took.
pub(super) fn tell(left: &[&Fields], notes: &mut Vec<String>) {
    let left = left.iter().flat_map(|fields| fields.left());
    notes.extend(left.map(|path| format!("{path} has no counterpart")));
}

/// An object of ours.
pub(super) fn ours(kind: &str, metadata: Value, spec: Value) -> Value {
    let version = format!("{}/{}", oz_shared::GROUP, oz_shared::VERSION);
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
}

/// A word as it is typed into a shell, where it stays one.
pub(super) fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays() {
        let object = json!({"status": {"x": 1}, "metadata": {
            "name": "a", "uid": "1", "labels": {"b": "c"}, "annotations": {LAST_APPLIED: "{}"}, "finalizers": ["d"],
        }});
        let mut old = Old::of(object).unwrap();
        let mut notes = Vec::new();
        let metadata = Metadata::take(&mut old.fields, &mut notes).unwrap();
        assert_eq!(metadata.ours(metadata.beside("e")), json!({"name": "e", "labels": {"b": "c"}}));
        assert_eq!(notes, ["metadata.finalizers has no counterpart"]);
        assert!(old.fields.left().is_empty());
        let mut nameless = Old::of(json!({"metadata": {}})).unwrap();
        assert!(Metadata::take(&mut nameless.fields, &mut notes).is_err());
    }

    #[test]
    fn a_word_stays_one() {
        assert_eq!(typed("site-a"), "site-a");
        assert_eq!(typed(""), "''");
        assert_eq!(typed("a; b"), "'a; b'");
        assert_eq!(typed("it's $x"), r"'it'\''s $x'");
    }
}
