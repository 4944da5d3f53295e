//! The documents of some files, each with the words by which a person finds it again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use crate::error::Error;
use crate::output::clean;

/// More than the API server keeps of ten thousand templates.
const LIMIT: u64 = 64 << 20;

/// An object, and where it stands.
pub(super) struct Document {
    /// `FILE, document 2, item 3 (PodAccessTemplate shop/db)`.
    pub(super) place: String,
    pub(super) object: Value,
}

/// Reads all of them; the items of a List are documents too.
///
/// # Errors
/// A file cannot be read, or is neither YAML nor JSON.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for file in files {
        let name = if file.as_os_str() == "-" { "standard input".into() } else { file.to_string_lossy() };
        let name = clean(&name).into_owned();
        let text = text(file).map_err(|error| Error::usage(format!("failed to read {name}: {error}")))?;
        documents.extend(parse(&name, &text)?);
    }
    Ok(documents)
}

fn text(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(LIMIT + 1).read_to_string(&mut text)?,
        false => File::open(file)?.take(LIMIT + 1).read_to_string(&mut text)?,
    };
    if read as u64 > LIMIT {
        return Err(std::io::Error::other("it is larger than 64 MiB"));
    }
    Ok(text)
}

fn parse(name: &str, text: &str) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let place = format!("{name}, document {}", index + 1);
        let object = Value::deserialize(document)
            .map_err(|error| Error::usage(format!("{place} is neither YAML nor JSON: {error}")))?;
        let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match (&object, object["items"].as_array()) {
            // Comments alone.
            (Value::Null, _) => {}
            (_, Some(items)) if is_list => {
                let item =
                    |(at, item): (usize, &Value)| named(&format!("{place}, item {}", at + 1), item.clone());
                documents.extend(items.iter().enumerate().map(item));
            }
            _ => documents.push(named(&place, object)),
        }
    }
    Ok(documents)
}

fn named(place: &str, object: Value) -> Document {
    let word = |value: &Value| value.as_str().map(|text| clean(text).into_owned());
    let (kind, meta) = (word(&object["kind"]).unwrap_or_default(), &object["metadata"]);
    let name = word(&meta["name"]).unwrap_or_default();
    let name = word(&meta["namespace"]).map_or(name.clone(), |namespace| format!("{namespace}/{name}"));
    Document { place: format!("{place} ({})", format!("{kind} {name}").trim()), object }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_found_again() {
        let text = "---\n# nothing\n---\nkind: A\nmetadata: {name: x, namespace: shop}\n---\n\
                    kind: List\nitems: [{kind: B}, {kind: C, metadata: {name: y}}]\n";
        let places: Vec<String> = parse("f", text).unwrap().into_iter().map(|d| d.place).collect();
        assert_eq!(
            places,
            ["f, document 2 (A shop/x)", "f, document 3, item 1 (B)", "f, document 3, item 2 (C y)"]
        );
        assert_eq!(parse("f", r#"{"kind": "A"}"#).unwrap().len(), 1);
        let broken = parse("f", "kind: A\n---\n{kind").err().unwrap();
        assert!(broken.message.starts_with("f, document 2 is neither YAML nor JSON"), "{broken:?}");
    }
}
