//! `-o`: the API's own objects, as kubectl would print them.

use kube::Resource;
use serde::Serialize;
use serde_json::{Value, json};

use super::escape::{clean, has_risky, json_safe};
use crate::error::Error;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For people, with more columns
    Wide,
    /// The API objects
    Json,
    /// The API objects
    Yaml,
    /// Kind and name alone
    Name,
}

impl Format {
    /// Is it for people?
    pub(crate) const fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }

    /// One object. A table has no form for a single one: the name is printed.
    ///
    /// # Errors
    /// It cannot be written as such a text.
    pub(crate) fn object<K>(self, object: &K) -> Result<String, Error>
    where
        K: Resource<DynamicType = ()> + Serialize + Clone,
    {
        match self {
            Self::Json => text(&plain(object)?, false),
            Self::Yaml => text(&plain(object)?, true),
            Self::Name | Self::Table | Self::Wide => Ok(name_of(object)),
        }
    }

    /// Several, as one List.
    ///
    /// # Errors
    /// They cannot be written as such a text.
    pub(crate) fn list<K>(self, objects: &[K]) -> Result<String, Error>
    where
        K: Resource<DynamicType = ()> + Serialize + Clone,
    {
        if !matches!(self, Self::Json | Self::Yaml) {
            return Ok(objects.iter().map(name_of).collect::<Vec<_>>().join("\n"));
        }
        self.list_of(objects.iter().map(plain).collect::<Result<_, _>>()?)
    }

    /// Several of more than one kind, as one List.
    ///
    /// # Errors
    /// They cannot be written as such a text.
    pub(crate) fn list_of(self, items: Vec<Value>) -> Result<String, Error> {
        let list =
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items});
        text(&list, self == Self::Yaml)
    }
}

/// `accessrequest.ozaccess.io/NAME`, as kubectl's `-o name`.
fn name_of<K: Resource<DynamicType = ()>>(object: &K) -> String {
    let (kind, group) = (K::kind(&()).to_lowercase(), K::group(&()));
    let dot = if group.is_empty() { "" } else { "." };
    format!("{kind}{dot}{group}/{}", clean(object.meta().name.as_deref().unwrap_or_default()))
}

/// Without the field managers, which are noise to everyone but the API server.
pub(crate) fn plain<K>(object: &K) -> Result<Value, Error>
where
    K: Resource<DynamicType = ()> + Serialize + Clone,
{
    let mut object = object.clone();
    object.meta_mut().managed_fields = None;
    serde_json::to_value(object).map_err(unwritable)
}

/// Any object as YAML.
///
/// # Errors
/// It cannot be written as such a text.
pub(crate) fn yaml(value: &Value) -> Result<String, Error> {
    text(value, true)
}

fn text(value: &Value, yaml: bool) -> Result<String, Error> {
    if yaml {
        let text = serde_yaml::to_string(value).map_err(unwritable)?;
        if !has_risky(&text) {
            return Ok(text);
        }
        // JSON is YAML too, and it can say every character without printing it.
    }
    Ok(json_safe(&serde_json::to_string_pretty(value).map_err(unwritable)?))
}

fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("failed to write the object: {error}"))
}
