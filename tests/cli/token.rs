//! The credential plugin: what kubectl runs for an access that outlives a token, and the cache that it answers from.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use support::eventually;

use crate::home::{Home, program};
use crate::proxy::Line;
use crate::running::{Running, Said};
use crate::stage::{ASKED, FREE, POD, staged};
use crate::world::{LIMIT, World};

/// Lends for a day: twice as long as a token lives.
const LONG: &str = "web-long";

impl World {
    async fn lends_for_a_day(&self) {
        let day = json!({"duration": {"default": "24h", "max": "24h"}, "reason": "Optional"});
        self.template(LONG, day).await;
    }
}

/// Alice is lent the pod for a day. Gives the request's name and its context.
fn borrowed(home: &Home) -> (String, String) {
    let name = home.must(&["access-request", LONG, "--wait", "ready"]);
    let context = home.contexts().into_iter().find(|c| c.ends_with(&name[name.len() - 6..])).unwrap();
    (name, context)
}

fn user(home: &Home, context: &str) -> Value {
    let config: Value = serde_yaml::from_str(&home.read_kubeconfig()).unwrap();
    let users = config["users"].as_array().unwrap();
    users.iter().find(|user| user["name"] == context).unwrap()["user"].clone()
}

/// The tokens in the cache.
fn kept(home: &Home) -> Vec<PathBuf> {
    let files = fs::read_dir(home.path().join(".cache/oz/tokens")).into_iter().flatten();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// What the plugin printed: the token, and until when it may be used.
fn credential(said: &Said) -> (String, Timestamp) {
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said}");
    let credential: Value = serde_json::from_str(&said.stdout()).unwrap();
    assert_eq!(credential["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(credential["kind"], "ExecCredential");
    let status = &credential["status"];
    let until = status["expirationTimestamp"].as_str().unwrap().parse().unwrap();
    (status["token"].as_str().unwrap().to_owned(), until)
}

fn token(home: &Home, name: &str) -> String {
    credential(&home.oz(&["token", name])).0
}

/// One line of an error, and nothing that could be taken for a credential.
fn failed(said: &Said, code: i32, words: &str) {
    assert_eq!((said.code, said.stdout().as_str()), (code, ""), "{said}");
    assert!(said.stderr.starts_with("error: ") && said.stderr.contains(words), "{said}");
    assert_eq!(said.stderr.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn kubectl_works_through_the_plugin() {
    staged("plugin-entry", async |world| {
        world.lends_for_a_day().await;
        let home = Home::of(world, "alice");
        let (name, context) = borrowed(&home);
        let entry = user(&home, &context);
        assert!(entry["token"].is_null(), "{entry}");
        let exec = &entry["exec"];
        assert_eq!(exec["command"], program().to_str().unwrap());
        assert_eq!(
            (exec["interactiveMode"].as_str(), exec["provideClusterInfo"].as_bool()),
            (Some("Never"), Some(false))
        );
        let args = exec["args"].to_string();
        for word in ["token", &name, "--uid=", "--namespace=", "--kubeconfig=/", "--context="] {
            assert!(args.contains(word), "{word}: {args}");
        }

        let get = home.kubectl(&["--context", &context, "get", "pod", POD, "-o", "name"]);
        assert_eq!((get.code, get.stdout().as_str()), (0, "pod/web-0\n"), "{get}");
        let ran = home.kubectl(&["--context", &context, "exec", POD, "-c", "main", "--", "echo", "in"]);
        assert_eq!((ran.code, ran.stdout().as_str()), (0, "in\n"), "{ran}");
        let all = home.kubectl(&["--context", &context, "get", "pods"]);
        assert_ne!(all.code, 0, "no more than was lent: {all}");
        let [file] = kept(&home).try_into().unwrap();
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

        // The session's own context is the current one, and nothing is kept: it still knows its user's.
        home.kubectl(&["config", "use-context", &context]);
        fs::remove_file(file).unwrap();
        let get = home.kubectl(&["get", "pod", POD, "-o", "name"]);
        assert_eq!((get.code, get.stdout().as_str()), (0, "pod/web-0\n"), "{get}");

        // What fits into one token is one.
        world.borrowed(&Home::of(world, "alice"));
        let short = Home::of(world, "alice");
        short.must(&["access-request", FREE, "--wait", "ready"]);
        assert!(user(&short, &short.contexts()[0])["token"].is_string());
    })
    .await;
}

#[tokio::test]
async fn update_and_prune_know_both() {
    staged("both", async |world| {
        world.lends_for_a_day().await;
        let (here, there, bob) = (Home::of(world, "alice"), Home::of(world, "alice"), Home::of(world, "bob"));
        let short = world.borrowed(&here);
        let (long, context) = borrowed(&here);
        assert_eq!(there.must(&["kubeconfig", "update"]).lines().count(), 2);
        let get = there.kubectl(&["--context", &context, "get", "pod", POD, "-o", "name"]);
        assert_eq!((get.code, kept(&there).len()), (0, 1), "{get}");
        assert_eq!(there.must(&["kubeconfig", "prune"]), "");
        bob.must(&["revoke", &short, &long]);
        assert_eq!(there.must(&["kubeconfig", "prune"]).lines().count(), 2);
        assert!(there.contexts().is_empty() && kept(&there).is_empty());
    })
    .await;
}

#[tokio::test]
async fn from_the_cache_and_before_it_ends() {
    staged("cached", async |world| {
        world.lends_for_a_day().await;
        let home = Home::of(world, "alice");
        let (name, _) = borrowed(&home);
        let before = Timestamp::now();
        let (first, until) = credential(&home.oz(&["token", &name]));
        let hours = until.duration_since(before).as_secs_f64() / 3600.0;
        assert!((9.4..=9.7).contains(&hours), "four fifths of twelve hours: {hours}");
        assert_eq!(token(&home, &name), first);

        // Near its end another is minted.
        let [file] = kept(&home).try_into().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let set = |field: &str, time: Timestamp| {
            let mut entry: Value = serde_json::from_str(&text).unwrap();
            entry[field] = json!(time);
            fs::write(&file, entry.to_string()).unwrap();
        };
        set("renew", before);
        let second = token(&home, &name);
        assert_ne!(second, first);

        // What is damaged, readable or a link is replaced.
        for spoil in [
            &(|| fs::write(&file, "{").unwrap()) as &dyn Fn(),
            &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap(),
            &|| {
                fs::rename(&file, home.path().join("elsewhere")).unwrap();
                symlink(home.path().join("elsewhere"), &file).unwrap();
            },
        ] {
            let before = token(&home, &name);
            spoil();
            let after = token(&home, &name);
            assert_ne!(before, after);
            assert_eq!((token(&home, &name), mode(&file)), (after, 0o600));
        }
    })
    .await;
}

#[tokio::test]
async fn two_hundred_at_once() {
    staged("crowd", async |world| {
        world.lends_for_a_day().await;
        let home = Home::of(world, "alice");
        let (name, _) = borrowed(&home);
        let all: Vec<Running> = (0..200).map(|_| home.start(&["token", &name])).collect();
        let tokens: BTreeSet<String> = all.into_iter().map(|one| credential(&one.end()).0).collect();
        println!("200 at once: {} tokens", tokens.len());
        assert!(tokens.len() <= 2, "{} were minted", tokens.len());
        assert_eq!(kept(&home).len(), 1);
        let started = Instant::now();
        assert!(tokens.contains(&token(&home, &name)));
        assert!(started.elapsed() < Duration::from_secs(5));
        let left = fs::read_dir(home.path().join(".cache/oz/tokens")).unwrap().count();
        assert_eq!(left, 2, "the token and a lock");
    })
    .await;
}

#[tokio::test]
async fn when_the_access_has_ended() {
    staged("ended", async |world| {
        world.lends_for_a_day().await;
        let (home, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let (name, _) = borrowed(&home);
        token(&home, &name);
        home.must(&["release", &name]);
        assert!(kept(&home).is_empty());
        failed(&home.oz(&["token", &name]), 6, "the access was released by alice");

        // Ended by somebody else: kubectl is refused, asks again, and hears why.
        let (name, context) = borrowed(&home);
        let get = ["--context", &context, "get", "pod", POD];
        assert_eq!(home.kubectl(&get).code, 0);
        bob.must(&["revoke", &name, "--reason", "over"]);
        eventually("kubectl says why", LIMIT, || async {
            let said = home.kubectl(&get);
            assert_ne!(said.code, 0, "{said}");
            let told = said.stderr.contains("the access was released by bob: over");
            if told { Ok(()) } else { Err(said.to_string()) }
        })
        .await
        .unwrap();
        failed(&home.oz(&["token", &name]), 6, "oz access-request web-long");
        // Of another uid: what was meant is gone.
        let (name, _) = borrowed(&home);
        failed(&home.oz(&["token", &name, "--uid", "0"]), 6, "deleted");
        failed(&home.oz(&["token", "nothing", "--uid", "0"]), 6, "deleted");
        failed(&home.oz(&["token", "nothing"]), 2, "there is no request nothing");
    })
    .await;
}

#[tokio::test]
async fn not_the_holder() {
    staged("holder", async |world| {
        world.lends_for_a_day().await;
        let (name, _) = borrowed(&Home::of(world, "alice"));
        failed(&Home::of(world, "bob").oz(&["token", &name]), 3, "lent to alice");
        failed(&Home::of(world, "carol").oz(&["token", &name]), 3, "denied");
        let alice = Home::of(world, "alice");
        let name = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        failed(&alice.oz(&["token", &name]), 8, "not granted yet");
    })
    .await;
}

#[tokio::test]
async fn without_a_cache() {
    staged("uncached", async |world| {
        world.lends_for_a_day().await;
        let home = Home::of(world, "alice");
        let (name, _) = borrowed(&home);
        fs::write(home.path().join(".cache"), "no folder").unwrap();
        assert_ne!(token(&home, &name), token(&home, &name));
        // Nor a home: the kubeconfig is named.
        let mut command =
            home.command(&["token", &name, "--kubeconfig", home.kubeconfig().to_str().unwrap()]);
        command.env_remove("HOME").env("XDG_CACHE_HOME", "/dev/null");
        credential(&Running::start(command, Vec::new()).end());
        let mut command = home.command(&["token", &name]);
        command.env("HOME", "/nonexistent");
        failed(&Running::start(command, Vec::new()).end(), 2, "names no cluster");
    })
    .await;
}

#[tokio::test]
async fn the_cluster_is_away() {
    staged("away", async |world| {
        world.lends_for_a_day().await;
        let line = Line::to(world);
        let home = Home::by_way_of(world, "alice", line.address);
        let (name, _) = borrowed(&home);
        let first = token(&home, &name);
        line.cut();
        // Asked by another process each time, as kubectl does.
        let ask = || {
            let mut command = std::process::Command::new("sh");
            let words = format!("oz token {name}; exit $?");
            command.args(["-c", &words]).env_clear().envs(home.environment());
            Running::start(command, Vec::new()).end()
        };
        assert_eq!(credential(&ask()).0, first, "nobody is asked");
        let [file] = kept(&home).try_into().unwrap();
        let mut entry: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        entry["renew"] = json!(Timestamp::now());
        fs::write(&file, entry.to_string()).unwrap();
        let said = ask();
        assert!(said.code == 0 && said.stdout().contains(&first), "good until its end: {said}");
        assert!(
            said.stderr.starts_with("warning: ") && said.stderr.contains("could not be renewed"),
            "{said}"
        );
        entry["end"] = json!(Timestamp::now());
        fs::write(&file, entry.to_string()).unwrap();
        failed(&ask(), 7, "the cluster cannot be reached");
    })
    .await;
}

#[tokio::test]
async fn never_for_its_own_sake() {
    staged("itself", async |world| {
        world.lends_for_a_day().await;
        let (name, _) = borrowed(&Home::of(world, "alice"));
        let home = Home::with(world, "alice", |config| {
            config["users"][0]["user"] = json!({"exec": {
                "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
                "command": program().to_str().unwrap(), "args": ["token", name],
            }});
        });
        let said = home.oz(&["token", &name]);
        assert!(said.code != 0 && said.stderr.contains("leads back to itself"), "{said}");
        let said = home.kubectl(&["get", "pod", POD]);
        assert!(said.code != 0 && said.stderr.contains("leads back to itself"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn in_the_callers_version() {
    staged("version", async |world| {
        world.lends_for_a_day().await;
        let home = Home::of(world, "alice");
        let (name, _) = borrowed(&home);
        let ask = |version: &str| {
            let info =
                json!({"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": false}});
            let mut command = home.command(&["token", &name]);
            command.env("KUBERNETES_EXEC_INFO", info.to_string());
            Running::start(command, Vec::new()).end()
        };
        credential(&ask("client.authentication.k8s.io/v1"));
        let beta = ask("client.authentication.k8s.io/v1beta1");
        assert!(beta.stdout().contains("client.authentication.k8s.io/v1beta1"), "{beta}");
        failed(&ask("client.authentication.k8s.io/v1alpha1"), 2, "client.authentication.k8s.io/v1");
    })
    .await;
}
