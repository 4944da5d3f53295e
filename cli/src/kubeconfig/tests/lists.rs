//! Whose is what: strangers' entries, KUBECONFIG lists, pruning, the current context.

use std::ffi::OsString;

use super::*;

const NOON: &str = "2026-11-22T12:00:00Z";

#[test]
fn names_of_strangers_are_refused() {
    for (kind, text) in [
        ("cluster", "clusters:\n- name: oz-a\n  cluster: {server: x}\n"),
        ("user", "users:\n- name: oz-a\n  user: {token: s3cr3t-t0ken}\n"),
        ("context", "contexts:\n- name: oz-a\n  context: {user: x}\n"),
        (
            "context",
            "contexts:\n- name: oz-a\n  context:\n    extensions:\n    - name: ozaccess.io\n      extension: {expires: soon}\n",
        ),
    ] {
        let home = Home::with(text);
        let error = home.put("oz-a").unwrap_err();
        assert!(matches!(&error, Error::Taken { kind: found, .. } if *found == kind), "{error}");
        assert!(!error.to_string().contains(TOKEN));
        assert_eq!(home.text(), text);
        assert!(!home.store.remove("oz-a").unwrap());
        assert!(home.store.prune(time("2027-01-01T00:00:00Z"), |_| false).unwrap().is_empty());
        assert_eq!(home.text(), text);
    }
}

#[test]
fn only_names_of_ours() {
    let home = Home::empty();
    for name in ["", "a", "oz-", "prod", "oz-a\nb", "oz-\u{1b}[0m"] {
        assert!(matches!(home.put(name).unwrap_err(), Error::BadName(_)));
    }
    assert!(home.names().is_empty());
}

#[test]
fn a_free_name_is_nobodys() {
    let home = Home::with("users:\n- name: oz-a\ncontexts:\n- name: oz-a-2\n");
    let (name, _) = home.store.change(|draft| Ok(draft.free("oz-a"))).unwrap();
    assert_eq!(name, "oz-a-3");
    let (name, _) = home.store.change(|draft| Ok(draft.free("oz-b"))).unwrap();
    assert_eq!(name, "oz-b");
}

#[test]
fn one_entry_alone() {
    let alone = entry("oz-a").alone();
    let tree: Value = serde_yaml::from_str(&alone).unwrap();
    assert_eq!(tree["current-context"], "oz-a");
    assert_eq!(tree["users"][0]["user"]["token"], TOKEN);
    assert_eq!(tree["clusters"][0]["cluster"]["server"], "https://10.0.0.1:6443");
    assert_eq!(tree["contexts"][0]["context"]["namespace"], "shop");
    assert!(!alone.contains("extensions") && !alone.contains("expires"), "{alone}");
}

#[test]
fn secrets_are_not_shown() {
    let mut secret = entry("oz-a");
    secret.proxy_url = Some(format!("http://me:{TOKEN}@proxy"));
    assert!(!format!("{secret:?}").contains(TOKEN));
    secret.credential = Credential::Exec {
        command: "oz".to_owned(),
        args: vec![TOKEN.to_owned()],
        env: vec![("A".to_owned(), TOKEN.to_owned())],
    };
    assert!(!format!("{secret:?}").contains(TOKEN));
}

#[test]
fn the_current_context_moves_only_when_asked() {
    let home = Home::with("contexts:\n- name: mine\ncurrent-context: mine # keep\n");
    home.put("oz-a").unwrap();
    assert_eq!(home.tree()["current-context"], "mine");
    assert!(matches!(home.store.set_current("oz-x").unwrap_err(), Error::UnknownContext(_)));
    home.store.set_current("oz-a").unwrap();
    assert!(home.text().contains("current-context: \"oz-a\" # keep"));
    assert!(home.store.set_current("oz-a").unwrap().files.is_empty());
    home.store.remove("oz-a").unwrap();
    assert!(home.text().contains("current-context: \"\" # keep"));
    home.store.set_current("mine").unwrap();
    for text in [
        "contexts: [{name: x}]\n",
        "current-context:\ncontexts: [{name: x}]",
        "contexts: [{name: x}]\ncurrent-context: |\n  y\n",
    ] {
        let home = Home::with(text);
        home.store.set_current("x").unwrap();
        assert_eq!(home.tree()["current-context"], "x");
    }
}

#[test]
fn pruning_takes_what_is_over_or_unwanted() {
    let home = Home::with("contexts:\n- name: mine\n");
    let mut late = entry("oz-late");
    late.expires_at = time("2026-11-22T13:00:00Z");
    home.put("oz-over").unwrap();
    home.store.put(&late).unwrap();
    late.name = "oz-unwanted".to_owned();
    home.store.put(&late).unwrap();
    home.store.set_current("oz-over").unwrap();
    let found = home.store.ours().unwrap();
    assert_eq!(found[0].request, "shop/api-exec-7k2p");
    assert_eq!(found[1].expires, late.expires_at);
    assert!(home.store.prune(time("2026-11-22T11:59:59Z"), |_| true).unwrap().is_empty());
    let gone = home.store.prune(time(NOON), |ours| ours.name != "oz-unwanted").unwrap();
    assert_eq!(gone, ["oz-over", "oz-unwanted"]);
    assert_eq!(names(&home.tree(), "contexts"), ["mine", "oz-late"]);
    assert_eq!(names(&home.tree(), "users"), ["oz-late"]);
    assert_eq!(home.tree()["current-context"], "");
}

#[test]
fn what_a_context_was_made_from_stays_while_it_lasts() {
    let home = Home::empty();
    home.put("oz-a").unwrap();
    // kubectl config rename-context oz-a mine; kubectl config delete-context would leave both.
    let renamed = home.text();
    let at = renamed.rfind("name: \"oz-a\"").unwrap();
    fs::write(home.path("config"), format!("{}name: mine\n", &renamed[..at])).unwrap();
    let early = time("2026-11-22T11:00:00Z");
    assert!(home.store.prune(early, |_| true).unwrap().is_empty());
    let text = home.text().replace("contexts:", "x:");
    fs::write(home.path("config"), text).unwrap();
    assert_eq!(home.store.prune(early, |_| true).unwrap(), ["oz-a"]);
}

#[test]
fn several_changes_are_one_write() {
    let home = Home::empty();
    home.put("oz-old").unwrap();
    let mut late = entry("oz-new");
    late.expires_at = time("2026-11-22T13:00:00Z");
    let (gone, written) = home
        .store
        .change(|draft| {
            let gone = draft.prune(time(NOON), |_| true);
            draft.put(&late)?;
            draft.set_current("oz-new")?;
            assert_eq!(draft.current(), Some("oz-new"));
            Ok(gone)
        })
        .unwrap();
    assert_eq!((gone, written.files), (vec!["oz-old".to_owned()], vec![home.path("config")]));
    assert_eq!(names(&home.tree(), "contexts"), ["oz-new"]);
    let text = home.text();
    home.store
        .change(|draft| {
            draft.remove("oz-new");
            draft.put(&late)?;
            draft.set_current("oz-new")
        })
        .unwrap();
    assert_eq!(home.store.ours().unwrap().len(), 1);
    assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), home.tree());
    home.store.change(|_| Err::<(), _>(Error::NoHome)).unwrap_err();
    assert_eq!(home.names(), ["config", "config.oz-backup"]);
}

#[test]
fn doubled_entries_of_ours_become_one() {
    let home = Home::empty();
    home.put("oz-a").unwrap();
    let text = home.text();
    let start = text.find("- name").unwrap();
    let end = text.find("contexts:").unwrap();
    fs::write(home.path("config"), format!("{}{}{}", &text[..end], &text[start..end], &text[end..])).unwrap();
    home.put("oz-a").unwrap();
    assert_eq!(home.text(), text);
}

fn list(home: &Home, names: &[&str]) -> Store {
    let paths = std::env::join_paths(names.iter().map(|name| home.path(name))).unwrap();
    Store::locate(None, Some(paths), None).unwrap()
}

#[test]
fn where_the_kubeconfig_is() {
    let at = |flag: Option<&str>, env: Option<&str>, home: Option<&str>| {
        Store::locate(flag.map(PathBuf::from).as_deref(), env.map(OsString::from), home.map(PathBuf::from))
            .map(|store| store.home().to_owned())
    };
    assert_eq!(at(Some("/f"), Some("/e"), Some("/h")).unwrap(), PathBuf::from("/f"));
    assert_eq!(
        at(None, Some(":/nowhere/e::/nowhere/g:/nowhere/e:"), Some("/h")).unwrap(),
        PathBuf::from("/nowhere/g")
    );
    assert_eq!(at(None, Some(""), Some("/h")).unwrap(), PathBuf::from("/h/.kube/config"));
    for home in [None, Some("")] {
        let error = at(None, None, home).unwrap_err();
        assert!(error.to_string().contains("HOME is not set"));
    }
}

#[test]
fn new_entries_go_to_the_first_that_exists() {
    let home = Home::empty();
    list(&home, &["a", "b"]).put(&entry("oz-1")).unwrap();
    assert_eq!(home.names(), ["b"]);
    fs::write(home.path("c"), "").unwrap();
    let store = list(&home, &["a", "c", "b"]);
    store.put(&entry("oz-2")).unwrap();
    assert!(fs::read_to_string(home.path("c")).unwrap().contains("oz-2"));
    let c = fs::read_to_string(home.path("c")).unwrap();
    // An entry is changed where it is.
    let mut changed = entry("oz-1");
    changed.namespace = "other".to_owned();
    assert_eq!(store.put(&changed).unwrap().files, [home.path("b")]);
    assert_eq!(fs::read_to_string(home.path("c")).unwrap(), c);
    assert_eq!(store.ours().unwrap().iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["oz-2", "oz-1"]);
    store.set_current("oz-1").unwrap();
    assert!(fs::read_to_string(home.path("c")).unwrap().contains("current-context: \"oz-1\""));
    assert_eq!(store.prune(time(NOON), |_| true).unwrap(), ["oz-1", "oz-2"]);
    assert!(store.ours().unwrap().is_empty());
    assert!(fs::read_to_string(home.path("c")).unwrap().contains("current-context: \"\""));
    assert_eq!(home.names(), ["b", "b.oz-backup", "c", "c.oz-backup"]);
}

#[test]
fn the_first_file_wins() {
    let home = Home::empty();
    fs::write(home.path("a"), "users:\n- name: oz-a\n  user: {}\n").unwrap();
    list(&home, &["b"]).put(&entry("oz-a")).unwrap();
    assert!(matches!(
        list(&home, &["a", "b"]).put(&entry("oz-a")).unwrap_err(),
        Error::Taken { kind: "user", .. }
    ));
    assert!(list(&home, &["b", "a"]).put(&entry("oz-a")).unwrap().files.is_empty());
}
