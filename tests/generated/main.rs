//! `cargo run -p oz-tests --bin oz-generate` writes the generated files anew.

#[path = "files.rs"]
mod files;

fn main() -> anyhow::Result<()> {
    for (path, content) in files::generated()? {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, content)?;
    }
    Ok(())
}
