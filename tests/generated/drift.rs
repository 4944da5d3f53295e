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
