//! The file and what is beside it: modes, links, backups, what may not be written, what is torn.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use super::*;

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_file_is_private() {
    let dir = TempDir::new().unwrap();
    let store = Store::locate(None, None, Some(dir.path().to_owned())).unwrap();
    assert!(store.ours().unwrap().is_empty());
    assert!(store.prune(time("2026-11-22T12:00:00Z"), |_| true).unwrap().is_empty());
    assert!(!dir.path().join(".kube").exists(), "looking must not make anything");
    let written = store.put(&entry("oz-a")).unwrap();
    assert_eq!(written.files, [dir.path().join(".kube/config")]);
    assert!(written.backups.is_empty());
    assert_eq!(mode(dir.path().join(".kube")), 0o700);
    assert_eq!(mode(dir.path().join(".kube/config")), 0o600);
}

#[test]
fn a_mode_is_never_widened() {
    for (before, after) in [(0o600, 0o600), (0o644, 0o600), (0o200, 0o200), (0o777, 0o600)] {
        let home = Home::with("kind: Config\n");
        chmod(home.path("config"), before);
        if fs::read(home.path("config")).is_err() {
            continue;
        }
        home.put("oz-a").unwrap();
        assert_eq!(mode(home.path("config")), after);
    }
}

#[test]
fn the_backup_is_made_once() {
    let home = Home::with("kind: Config\n");
    assert_eq!(home.put("oz-a").unwrap().backups.len(), 1);
    assert_eq!(home.put("oz-b").unwrap().backups.len(), 0);
    assert_eq!(fs::read_to_string(home.path("config.oz-backup")).unwrap(), "kind: Config\n");
    assert_eq!(mode(home.path("config.oz-backup")), 0o600);
    assert_eq!(home.names(), ["config", "config.oz-backup"]);
}

#[test]
fn links_stay() {
    let home = Home::empty();
    fs::create_dir_all(home.path("dots/deep")).unwrap();
    symlink("dots/link", home.path("config")).unwrap();
    symlink("deep/real", home.path("dots/link")).unwrap();
    home.put("oz-a").unwrap();
    home.put("oz-b").unwrap();
    assert!(fs::symlink_metadata(home.path("config")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(home.path("dots/link")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(home.path("dots/deep/real")).unwrap().is_file());
    assert_eq!(home.store.ours().unwrap().len(), 2);
    assert!(home.path("dots/deep/real.oz-backup").exists());
    assert_eq!(home.names(), ["config", "dots"]);
    symlink("loop", home.path("loop")).unwrap();
    let store = Store::locate(Some(&home.path("loop")), None, None).unwrap();
    assert!(matches!(store.put(&entry("oz-a")).unwrap_err(), Error::Io { .. }));
}

#[test]
fn a_read_only_file_is_left_alone() {
    let home = Home::with("kind: Config\n");
    chmod(home.path("config"), 0o400);
    let error = home.put("oz-a").unwrap_err();
    let words = error.to_string();
    assert!(
        matches!(error, Error::ReadOnly { .. }) && words.contains("/config") && words.contains("KUBECONFIG="),
        "{words}"
    );
    assert_eq!(home.text(), "kind: Config\n");
    assert_eq!(home.names(), ["config"]);
    assert!(
        home.store.prune(time("2026-11-22T12:00:00Z"), |_| true).unwrap().is_empty(),
        "nothing to write is no error"
    );
}

/// What the user `nobody` runs, for root may write anywhere.
#[test]
fn as_nobody() {
    let Some(path) = std::env::var_os("OZ_TEST_AS_NOBODY") else { return };
    let store = Store::locate(Some(path.as_ref()), None, None).unwrap();
    let error = store.put(&entry("oz-a")).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert!(store.prune(time("2026-11-22T12:00:00Z"), |_| true).unwrap().is_empty());
}

#[test]
fn a_read_only_directory_is_left_alone() {
    use std::os::unix::process::CommandExt;
    let home = Home::with("kind: Config\n");
    chmod(home.path("config"), 0o644);
    chmod(home.path("."), 0o555);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{}::as_nobody", crowd::this_module(module_path!()))]);
    command.env("OZ_TEST_AS_NOBODY", home.path("config"));
    if fs::metadata(home.path("config")).unwrap().uid() == 0 {
        command.uid(65534).gid(65534).current_dir("/");
    }
    // A target directory that nobody may enter is no fault of ours.
    if let Ok(done) = command.output() {
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }
    chmod(home.path("."), 0o755);
    assert_eq!(home.text(), "kind: Config\n");
    assert_eq!(home.names(), ["config"]);
}

#[test]
fn not_a_file() {
    let store = Store::locate(Some("/dev/null".as_ref()), None, None).unwrap();
    assert!(store.ours().unwrap().is_empty());
    let home = Home::empty();
    fs::create_dir(home.path("config")).unwrap();
    assert!(matches!(home.put("oz-a").unwrap_err(), Error::NotAFile(_)));
    let home = Home::with("");
    fs::write(home.path("config"), b"kind: \xff\n").unwrap();
    assert!(matches!(home.put("oz-a").unwrap_err(), Error::Malformed { .. }));
}

#[test]
fn too_large_is_refused() {
    let home = Home::with("");
    fs::File::options().write(true).open(home.path("config")).unwrap().set_len((32 << 20) + 1).unwrap();
    let start = Instant::now();
    assert!(matches!(home.put("oz-a").unwrap_err(), Error::TooLarge { .. }));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn five_megabytes() {
    let mut text = String::from("apiVersion: v1\nclusters:\n");
    for n in 0..12_000 {
        let data = "QUFB".repeat(80);
        text += &format!(
            "- cluster:\n    certificate-authority-data: {data}\n    server: https://x{n}\n  name: c{n} # {n}\n"
        );
    }
    text += "users: null\ncontexts: []\n";
    let home = Home::with(&text);
    home.put("oz-a").unwrap();
    assert!(kept(text.split_once("users").unwrap().0, &home.text()));
    home.store.remove("oz-a").unwrap();
    assert_eq!(home.text(), text.replace("null", "[]"));
}

#[test]
fn a_torn_read_is_read_again() {
    for torn in ["", "clusters: [\n"] {
        let home = Home::with(torn);
        let path = home.path("config");
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(60));
            fs::write(path, "clusters: []\nusers:\n- name: me\ncontexts: []\n").unwrap();
        });
        home.put("oz-a").unwrap();
        writer.join().unwrap();
        assert_eq!(names(&home.tree(), "users"), ["me", "oz-a"]);
    }
}

#[test]
fn a_foreign_write_is_not_lost() {
    let home = Home::with("users:\n- name: me\n");
    let mut runs = 0;
    home.store
        .change(|draft| {
            runs += 1;
            // Once before the lock, once under it, and once more as someone came in between.
            if runs == 2 {
                fs::write(home.path("config"), "users:\n- name: me\n- name: you\n").unwrap();
            }
            draft.put(&entry("oz-a"))
        })
        .unwrap();
    assert_eq!(runs, 3);
    assert_eq!(names(&home.tree(), "users"), ["me", "you", "oz-a"]);
    let error = home.store.change(|draft| {
        runs += 1;
        fs::write(home.path("config"), format!("users:\n- name: me{runs}\n")).unwrap();
        draft.put(&entry("oz-b"))
    });
    assert!(matches!(error.unwrap_err(), Error::Busy(_)));
    assert_eq!(home.names(), ["config", "config.oz-backup"]);
}

#[test]
fn a_lock_left_by_another_tool_is_reported() {
    let home = Home::with("kind: Config\n");
    let lock = fs::File::create(home.path("config.lock")).unwrap();
    lock.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    let start = Instant::now();
    let words = home.put("oz-a").unwrap_err().to_string();
    assert!(start.elapsed() < Duration::from_secs(2), "no use in waiting");
    assert!(
        words.contains("config.lock exists since 36") && words.contains("delete that lock file"),
        "{words}"
    );
    assert_eq!(home.text(), "kind: Config\n");
    assert_eq!(home.names(), ["config", "config.lock"]);
    assert!(home.store.ours().unwrap().is_empty(), "reading needs no lock");
}

#[test]
fn a_lock_left_by_a_killed_oz_is_taken_over() {
    let home = Home::with("kind: Config\n");
    fs::write(home.path("config.lock"), "oz 4711\n").unwrap();
    home.put("oz-a").unwrap();
    assert_eq!(home.names(), ["config", "config.oz-backup"]);
}

#[test]
fn a_lock_in_use_is_waited_for() {
    let home = Home::with("kind: Config\n");
    fs::write(home.path("config.lock"), "").unwrap();
    let lock = home.path("config.lock");
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        fs::remove_file(lock).unwrap();
    });
    home.put("oz-a").unwrap();
    holder.join().unwrap();
    assert_eq!(home.names(), ["config", "config.oz-backup"]);
}

#[test]
fn by_another_link_it_is_the_same_lock() {
    let home = Home::with("kind: Config\n");
    symlink("config", home.path("other")).unwrap();
    fs::write(home.path("config.lock"), "").unwrap();
    fs::File::options()
        .write(true)
        .open(home.path("config.lock"))
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(90))
        .unwrap();
    let store = Store::locate(Some(&home.path("other")), None, None).unwrap();
    assert!(matches!(store.put(&entry("oz-a")).unwrap_err(), Error::Locked { .. }));
    assert_eq!(home.names(), ["config", "config.lock", "other"]);
}
