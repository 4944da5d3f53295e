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
