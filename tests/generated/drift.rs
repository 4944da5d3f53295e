//! Fails when a generated file no longer says what its source says.

#[path = "files.rs"]
mod files;

#[test]
fn generated_files_are_current() {
    for (path, content) in files::generated().unwrap() {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == content,
            "{} is out of date: cargo run -p oz-tests --bin oz-generate",
            path.display()
        );
    }
}

#[test]
fn no_page_is_of_a_command_that_is_gone() {
    let generated = files::generated().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(files::MANUAL);
    for page in std::fs::read_dir(folder).unwrap() {
        let page = page.unwrap().path();
        assert!(generated.iter().any(|(path, _)| *path == page), "{} is of no command", page.display());
    }
}

/// `kubectl explain` teaches: each field says what it is.
#[test]
fn every_field_is_described() {
    fn walk(schema: &serde_json::Value, path: &str) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(
                field["description"].as_str().is_some_and(|d| !d.is_empty()),
                "{path} has no description"
            );
            walk(field, &path);
        }
        for below in ["items", "additionalProperties"].into_iter().filter_map(|below| schema.get(below)) {
            walk(below, path);
        }
    }
    for crd in oz_shared::custom_resource_definitions() {
        for version in &crd.spec.versions {
            walk(&serde_json::to_value(&version.schema).unwrap()["openAPIV3Schema"], &crd.spec.names.kind);
        }
    }
}
