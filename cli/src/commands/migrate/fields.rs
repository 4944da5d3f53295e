//! An object that is taken apart field by field: what nobody took is known at the end.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What is left of an object.
pub(super) struct Fields {
    path: String,
    left: Map<String, Value>,
}

impl Fields {
    /// All of an object; nothing where there is none.
    ///
    /// # Errors
    /// It is something else than an object.
    pub(super) fn of(path: &str, object: Value) -> Result<Self, String> {
        match object {
            Value::Object(left) => Ok(Self { path: path.to_owned(), left }),
            Value::Null => Ok(Self { path: path.to_owned(), left: Map::new() }),
            _ => Err(format!("{path} is no object")),
        }
    }

    /// The path of a field.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a field; null where there is none.
    pub(super) fn take(&mut self, key: &str) -> Value {
        self.left.remove(key).unwrap_or_default()
    }

    /// Takes an object out of it.
    pub(super) fn inner(&mut self, key: &str) -> Result<Self, String> {
        let path = self.at(key);
        Self::of(&path, self.take(key))
    }

    /// Takes a text; a number counts as one, as in `maxCpu: 1`. None where it is empty.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        let path = self.at(key);
        match self.take(key) {
            Value::Null => Ok(None),
            value => text(&path, value).map(|text| Some(text).filter(|t| !t.is_empty())),
        }
    }

    /// Takes a list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        let path = self.at(key);
        self.items(key)?.into_iter().map(|value| text(&path, value)).collect()
    }

    /// Takes a list.
    pub(super) fn items(&mut self, key: &str) -> Result<Vec<Value>, String> {
        match self.take(key) {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => Ok(items),
            _ => Err(format!("{} is no list", self.at(key))),
        }
    }

    /// Takes texts by name, as labels are.
    pub(super) fn named(&mut self, key: &str) -> Result<BTreeMap<String, String>, String> {
        let inner = self.inner(key)?;
        let path = inner.path;
        inner.left.into_iter().map(|(key, value)| Ok((key, text(&path, value)?))).collect()
    }

    /// Takes a yes or no; no where it is not said.
    pub(super) fn flag(&mut self, key: &str) -> Result<bool, String> {
        match self.take(key) {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(flag),
            _ => Err(format!("{} is neither true nor false", self.at(key))),
        }
    }

    /// The paths of what nobody took.
    pub(super) fn left(&self) -> Vec<String> {
        self.left.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| self.at(key)).collect()
    }
}

fn text(path: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("{path} is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nobody_took_is_left() {
        let object = json!({"a": 1, "b": {"c": "x", "d": true}, "e": null, "f": []});
        let mut fields = Fields::of("spec", object).unwrap();
        assert_eq!(fields.text("a").unwrap().as_deref(), Some("1"));
        let mut inner = fields.inner("b").unwrap();
        assert!(inner.flag("d").unwrap() && !inner.flag("none").unwrap());
        assert_eq!(inner.left(), ["spec.b.c"]);
        assert_eq!(inner.texts("c").err().as_deref(), Some("spec.b.c is no list"));
        assert_eq!(fields.left(), ["spec.f"]);
    }
}
