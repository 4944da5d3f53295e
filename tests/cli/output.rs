//! Standard output is data, standard error is talk; and without a terminal there is neither colour nor spinner nor question.

use serde_json::Value;

use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};
use crate::terminal::Terminal;

#[tokio::test]
async fn json_is_all_there_is() {
    staged("json", async |world| {
        let (alice, admin) = (Home::of(world, "alice"), Home::of(world, "admin"));
        let said = alice.oz(&["access-request", FREE, "-o", "json"]);
        assert_eq!(said.code, 0, "{said}");
        let request: Value = serde_json::from_slice(&said.bytes).unwrap();
        assert_eq!(
            (&request["kind"], &request["status"]["phase"]),
            (&"AccessRequest".into(), &"Active".into())
        );
        assert!(!said.stderr.is_empty(), "talk is on standard error");
        for (home, args) in [
            (&alice, &["templates"][..]),
            (&alice, &["requests"]),
            (&alice, &["pending"]),
            (&admin, &["grants", "-A"]),
        ] {
            let mut words = args.to_vec();
            words.extend(["-o", "json"]);
            let said = home.oz(&words);
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{words:?}: {said}");
            let parsed: Result<Value, _> = serde_json::from_slice(&said.bytes);
            assert!(parsed.is_ok(), "{words:?}: {said}");
            words.pop();
            words.push("yaml");
            let said = home.oz(&words);
            let parsed: Result<Value, _> = serde_yaml::from_str(&said.stdout());
            assert!(parsed.is_ok_and(|value| value.is_object()), "{words:?}: {said}");
        }
    })
    .await;
}

#[tokio::test]
async fn names_are_for_scripts() {
    staged("names", async |world| {
        let alice = Home::of(world, "alice");
        let name = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        assert_eq!(alice.must(&["requests", "-o", "name"]), format!("accessrequest.ozaccess.io/{name}"));
        // As `oz pending -o name | xargs oz approve -y` does.
        let bob = Home::of(world, "bob");
        world.only_request().await;
        let pending = bob.must(&["pending", "-o", "name"]);
        bob.must(&["approve", "-y", &pending]);
        assert_eq!(bob.must(&["pending", "-o", "name"]), "");
        let table = alice.must(&["requests"]);
        assert!(table.contains(&name) && table.contains("alice"), "{table}");
        let empty = bob.oz(&["pending"]);
        assert_eq!((empty.code, empty.stdout().as_str()), (0, ""), "{empty}");
        assert!(empty.stderr.contains("Nothing found"), "{empty}");
    })
    .await;
}

#[tokio::test]
async fn without_a_terminal_nothing_moves() {
    staged("still", async |world| {
        let alice = Home::of(world, "alice");
        let (waiting, name) = world.waiting(&alice, &["--wait", "ready"]).await;
        Home::of(world, "bob").must(&["approve", &name, "-y"]);
        let said = waiting.end();
        assert_eq!((said.code, said.stdout().trim()), (0, name.as_str()), "{said}");
        assert!(!said.stderr.contains(['\x1b', '\r']), "{:?}", said.stderr);
        assert!(!said.stderr.contains("Ctrl-C"), "{said}");
        // Nor in an error.
        let refused = alice.oz(&["describe", "no-such-request"]);
        assert!(refused.stderr.starts_with("error: "), "{:?}", refused.stderr);
    })
    .await;
}

#[tokio::test]
async fn colour_on_a_terminal_unless_unwanted() {
    staged("colour", async |world| {
        let home = Home::of(world, "alice");
        let mistake = ["describe", "no-such-request"];
        let mut coloured = Terminal::open(&home, &mistake);
        assert_eq!(coloured.end(), 2);
        assert!(coloured.shown().contains("\x1b[31merror: "), "{}", coloured.shown().escape_debug());
        for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let mut terminal = Terminal::with(&home, &mistake, &[plain]);
            assert_eq!(terminal.end(), 2);
            assert!(!terminal.shown().contains('\x1b'), "{plain:?}: {}", terminal.shown().escape_debug());
        }
    })
    .await;
}

#[tokio::test]
async fn a_watch_goes_on() {
    staged("watch", async |world| {
        let alice = Home::of(world, "alice");
        let mut watch = alice.start(&["requests", "-w"]);
        let first = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        watch.until_prints(&first);
        watch.until_prints("Pending");
        Home::of(world, "bob").must(&["approve", &first, "-y"]);
        watch.until_prints("Active");
        watch.signal("INT");
        let said = watch.end();
        assert_eq!((said.code, said.stderr.as_str()), (130, ""), "{said}");
        assert_eq!(said.stdout().matches("NAME").count(), 1, "one header: {said}");
    })
    .await;
}
