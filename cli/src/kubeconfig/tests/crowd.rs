//! Many at once: nothing may be lost, nothing left lying about.

use std::process::{Command, Stdio};

use super::*;

/// A module's path without the crate's name, as the test runner has it.
pub(super) fn this_module(path: &str) -> &str {
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

#[test]
fn two_hundred_threads() {
    let home = Home::with("# mine\nusers:\n- name: me\ncontexts: null\n");
    std::thread::scope(|scope| {
        for n in 0..200 {
            let store = &home.store;
            scope.spawn(move || store.put(&entry(&format!("oz-{n}"))).unwrap());
        }
    });
    assert_eq!(home.store.ours().unwrap().len(), 200);
    assert_eq!(names(&home.tree(), "users").len(), 201);
    assert_eq!(home.names(), ["config", "config.oz-backup"]);
}

/// What each of the processes below does: five changes, through a link of its own.
#[test]
fn one_process() {
    let Some(path) = std::env::var_os("OZ_TEST_ONE_PROCESS") else { return };
    let store = Store::locate(Some(path.as_ref()), None, None).unwrap();
    for n in 0..5 {
        store.put(&entry(&format!("oz-{}-{n}", std::process::id()))).unwrap();
    }
}

#[test]
fn forty_processes() {
    let home = Home::with("# mine\nusers:\n- name: me\n");
    let mut processes = Vec::new();
    for n in 0..40 {
        let link = home.path(&format!("link{n}"));
        std::os::unix::fs::symlink("config", &link).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("{}::one_process", this_module(module_path!()))]);
        command.env("OZ_TEST_ONE_PROCESS", link).stdout(Stdio::null());
        processes.push(command.spawn().unwrap());
    }
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(home.store.ours().unwrap().len(), 200);
    assert!(home.text().starts_with("# mine\nusers:\n- name: me\n"));
    assert!(
        !home.names().iter().any(|name| name.contains("lock") || name.starts_with('.')),
        "{:?}",
        home.names()
    );
}

#[test]
fn killed_ones_leave_nothing_in_the_way() {
    let home = Home::with("kind: Config\n");
    for _ in 0..10 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("{}::one_process", this_module(module_path!()))]);
        command.env("OZ_TEST_ONE_PROCESS", home.path("config")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(12));
        let _ = process.kill();
        process.wait().unwrap();
    }
    home.put("oz-last").unwrap();
    assert!(home.store.ours().unwrap().iter().any(|ours| ours.name == "oz-last"));
    assert!(!home.path("config.lock").exists());
}
