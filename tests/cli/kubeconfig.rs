//! The kubeconfig: kubectl works with what `oz` puts into it, and nothing else in it changes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use support::eventually;

use crate::home::Home;
use crate::proxy::Line;
use crate::stage::{FREE, POD, staged};
use crate::world::LIMIT;

const COMMENT: &str = "# mine, and not to be lost";

fn exec<'a>(context: &'a str, word: &'a str) -> Vec<&'a str> {
    vec!["--context", context, "exec", POD, "-c", "main", "--", "echo", word]
}

#[tokio::test]
async fn kubectl_works_with_the_context() {
    staged("merged", async |world| {
        let home = Home::of(world, "alice");
        let before = format!("{COMMENT}\n{}", home.read_kubeconfig());
        home.write_kubeconfig(&before);
        let current = home.kubectl(&["config", "current-context"]).stdout();
        let said = home.oz(&["access-request", FREE, "--wait", "ready"]);
        assert_eq!(said.code, 0, "{said}");
        let contexts = home.contexts();
        let [context] = contexts.as_slice() else { panic!("{contexts:?}") };
        assert!(said.stderr.contains(&format!("kubectl --context {context} exec -it {POD}")), "{said}");
        let ran = home.kubectl(&exec(context, "by kubectl"));
        assert_eq!((ran.code, ran.stdout().as_str()), (0, "by kubectl\n"), "{ran}");
        let elsewhere = home.kubectl(&["--context", context, "get", "pods"]);
        assert_ne!(elsewhere.code, 0, "no more than was lent: {elsewhere}");

        let after = home.read_kubeconfig();
        assert!(after.starts_with(COMMENT), "{after}");
        for line in before.lines() {
            assert!(after.lines().any(|other| other == line), "lost: {line}");
        }
        assert_eq!(home.kubectl(&["config", "current-context"]).stdout(), current);
        let mode = fs::metadata(home.kubeconfig()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        // Released, it is as it was.
        let name = said.stdout().trim().to_owned();
        home.must(&["release", &name]);
        assert_eq!(home.read_kubeconfig(), before);
    })
    .await;
}

#[tokio::test]
async fn the_current_context_moves_when_asked() {
    staged("current", async |world| {
        let home = Home::of(world, "alice");
        home.must(&["access-request", FREE, "--wait", "ready", "--use-context"]);
        let contexts = home.contexts();
        assert_eq!(home.kubectl(&["config", "current-context"]).stdout().trim(), contexts[0]);
        let other = Home::of(world, "alice");
        let before = other.read_kubeconfig();
        other.must(&["access-request", FREE, "--wait", "ready", "--no-kubeconfig"]);
        assert_eq!(other.read_kubeconfig(), before);
    })
    .await;
}

#[tokio::test]
async fn a_readable_file_becomes_private() {
    staged("private", async |world| {
        let home = Home::of(world, "alice");
        fs::set_permissions(home.kubeconfig(), fs::Permissions::from_mode(0o644)).unwrap();
        world.borrowed(&home);
        let mode = fs::metadata(home.kubeconfig()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a token stands in it");
    })
    .await;
}

#[tokio::test]
async fn update_and_prune() {
    staged("update", async |world| {
        let (here, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let (first, second) = (world.borrowed(&here), world.borrowed(&here));
        // Another machine of hers knows of both after one command.
        let there = Home::of(world, "alice");
        assert!(there.contexts().is_empty());
        let printed = there.must(&["kubeconfig", "update"]);
        let mut names: Vec<&str> = printed.lines().collect();
        names.sort_unstable();
        let mut contexts = there.contexts();
        contexts.sort_unstable();
        assert_eq!((names.len(), names), (2, contexts.iter().map(String::as_str).collect()));
        for context in &contexts {
            assert_eq!(there.kubectl(&exec(context, "yes")).stdout(), "yes\n", "{context}");
        }
        // One ends elsewhere: prune removes it, and it alone.
        bob.must(&["revoke", &first]);
        let gone = there.must(&["kubeconfig", "prune"]);
        assert!(gone.ends_with(first.rsplit('-').next().unwrap()), "{gone}");
        assert_eq!(there.contexts().len(), 1);
        assert_eq!(there.must(&["kubeconfig", "prune"]), "", "nothing more to remove");
        // The other too: update removes it.
        bob.must(&["revoke", &second]);
        world.until_phase(&second, "Released").await;
        assert_eq!(there.must(&["kubeconfig", "update"]), "");
        assert!(there.contexts().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_expired_goes_with_the_next() {
    staged("next", async |world| {
        let home = Home::of(world, "alice");
        let brief = home.must(&["access-request", FREE, "--duration", "3s", "--wait", "ready"]);
        world.until_phase(&brief, "Expired").await;
        let name = eventually("another one is lent", LIMIT, || async {
            let said = home.oz(&["access-request", FREE, "--wait", "ready"]);
            if said.code == 0 { Ok(said.stdout().trim().to_owned()) } else { Err(said.to_string()) }
        })
        .await
        .unwrap();
        let contexts = home.contexts();
        let [only] = contexts.as_slice() else { panic!("{contexts:?}") };
        assert!(only.ends_with(name.rsplit('-').next().unwrap()), "{only} is not {name}");
    })
    .await;
}

#[tokio::test]
async fn the_way_to_the_server_is_kept() {
    staged("way", async |world| {
        let line = Line::to(world);
        let home = Home::by_way_of(world, "alice", line.address);
        world.borrowed(&home);
        let context = home.contexts().remove(0);
        let config: Value = serde_yaml::from_str(&home.read_kubeconfig()).unwrap();
        let clusters = config["clusters"].as_array().unwrap();
        let ours = clusters.iter().find(|c| c["name"] == context.as_str()).unwrap();
        assert_eq!(ours["cluster"]["server"], format!("https://{}", line.address));
        assert_eq!(home.kubectl(&exec(&context, "through")).stdout(), "through\n");
    })
    .await;
}

#[tokio::test]
async fn several_at_once_lose_nothing() {
    staged("several", async |world| {
        let home = Home::of(world, "alice");
        let all: Vec<_> = (0..5).map(|_| home.start(&["access-request", FREE, "--wait", "ready"])).collect();
        for one in all {
            let said = one.end();
            assert_eq!(said.code, 0, "{said}");
            assert!(!said.stderr.contains("warning"), "{said}");
        }
        let contexts = home.contexts();
        assert_eq!(contexts.len(), 5, "{contexts:?}");
        for context in &contexts {
            assert_eq!(home.kubectl(&exec(context, "yes")).stdout(), "yes\n", "{context}");
        }
    })
    .await;
}

/// kubectl reads before it takes the lock and writes in place: it loses what came between, and what is read meanwhile may be
/// torn. Nothing of its own is lost by us, nothing is ever broken, and what it lost of ours comes back.
#[tokio::test]
async fn beside_kubectl() {
    staged("beside", async |world| {
        const ROUNDS: usize = 25;
        let home = Home::of(world, "alice");
        world.borrowed(&home);
        let context = home.contexts().remove(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..ROUNDS {
                    let name = format!("mine-{n}");
                    // It waits for nobody: it is for its user to try again.
                    let set = || home.kubectl(&["config", "set-context", &name, "--namespace", "n"]);
                    let tried = (0..400).any(|_| set().code == 0);
                    assert!(tried, "kubectl never got the lock");
                }
                done.store(true, Ordering::SeqCst);
            });
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let said = home.oz(&["kubeconfig", "update"]);
                        assert_eq!(said.code, 0, "{said}");
                    }
                });
            }
        });
        let config: Value = serde_yaml::from_str(&home.read_kubeconfig()).unwrap();
        let names: Vec<&str> =
            config["contexts"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
        for n in 0..ROUNDS {
            assert!(names.contains(&format!("mine-{n}").as_str()), "mine-{n} is lost: {names:?}");
        }
        assert_eq!(home.must(&["kubeconfig", "update"]), context);
        assert_eq!(home.contexts(), [context.as_str()]);
        assert_eq!(home.kubectl(&exec(&context, "still")).stdout(), "still\n");
        let dropped = home.kubectl(&["config", "delete-context", &context]);
        assert_eq!(dropped.code, 0, "{dropped}");
        assert_eq!(home.must(&["kubeconfig", "update"]), context);
        assert_eq!(home.kubectl(&exec(&context, "again")).stdout(), "again\n");
        let folder = fs::read_dir(home.path().join(".kube")).unwrap();
        let mut left: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        left.retain(|name| name != "cache");
        assert_eq!(left, ["config", "config.oz-backup"], "but for what kubectl caches");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_written_keeps_nobody_out() {
    staged("unwritable", async |world| {
        let home = Home::of(world, "alice");
        let before = home.read_kubeconfig();
        fs::set_permissions(home.kubeconfig(), fs::Permissions::from_mode(0o400)).unwrap();
        let said = home.oz(&["access-request", FREE, "--", "echo", "inside"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, "inside\n"), "{said}");
        assert!(said.stderr.contains("warning: the kubeconfig is left as it is"), "{said}");
        assert_eq!(home.read_kubeconfig(), before);
        // One that stands in the way for long is named, and not waited for.
        fs::set_permissions(home.kubeconfig(), fs::Permissions::from_mode(0o600)).unwrap();
        let lock = fs::File::create(home.path().join(".kube/config.lock")).unwrap();
        lock.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
        let said = home.oz(&["access-request", FREE, "--", "echo", "inside"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, "inside\n"), "{said}");
        assert!(said.stderr.contains("delete that lock file"), "{said}");
        assert_eq!(home.oz(&["kubeconfig", "update"]).code, 1);
        assert_eq!(home.read_kubeconfig(), before);
        // What is no kubeconfig is none for `oz` either, and stays.
        for broken in ["clusters: [\n", "just words", "contexts: 7\n"] {
            home.write_kubeconfig(broken);
            let said = home.oz(&["requests"]);
            assert_eq!((said.code, said.stdout().as_str()), (2, ""), "{broken:?}: {said}");
            assert!(said.stderr.contains("failed to use the kubeconfig"), "{broken:?}: {said}");
            assert_eq!(home.read_kubeconfig(), broken);
        }
    })
    .await;
}

#[tokio::test]
async fn several_files_and_links() {
    staged("files", async |world| {
        let home = Home::of(world, "alice");
        let (kube, file) = (home.path().join(".kube"), home.kubeconfig());
        fs::create_dir(kube.join("real")).unwrap();
        fs::rename(&file, kube.join("real/alice")).unwrap();
        std::os::unix::fs::symlink("real/alice", &file).unwrap();
        let other = "contexts:\n- name: other   # elsewhere\n";
        fs::write(kube.join("other"), other).unwrap();
        let list = [kube.join("not-there"), file.clone(), kube.join("other")];
        let list = std::env::join_paths(list).unwrap();
        let mut command = home.command(&["access-request", FREE, "--wait", "ready"]);
        command.env("KUBECONFIG", &list);
        let said = crate::running::Running::start(command, Vec::new()).end();
        assert_eq!(said.code, 0, "{said}");
        assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
        assert_eq!(home.contexts().len(), 1);
        assert_eq!(fs::read_to_string(kube.join("other")).unwrap(), other);
        assert!(!kube.join("not-there").exists());
        let context = home.contexts().remove(0);
        assert_eq!(home.kubectl(&exec(&context, "linked")).stdout(), "linked\n");
    })
    .await;
}
