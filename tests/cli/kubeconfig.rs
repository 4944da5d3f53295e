//! The kubeconfig: kubectl works with what `oz` puts into it, and nothing else in it changes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
