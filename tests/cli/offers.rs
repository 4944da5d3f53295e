//! Templates that lend something else than any shell in the one pod, and the choices that they leave.

use serde_json::json;

use crate::home::Home;
use crate::stage::{FREE, POD, staged};
use crate::terminal::{PROMPT, Terminal};

const DOWN: &str = "\x1b[B";

#[tokio::test]
async fn certain_commands_only() {
    staged("commands", async |world| {
        let commands = json!([["echo", "one"], ["echo", "two"]]);
        world.template("told", json!({"reason": "Optional", "exec": {"commands": commands}})).await;
        let home = Home::of(world, "alice");
        for (args, code) in
            [(&["access-request", "told", "--", "id"][..], 125), (&["access-request", "told"], 2)]
        {
            let said = home.oz(args);
            assert_eq!(said.code, code, "{said}");
            assert!(said.stderr.contains("-- echo one") && said.stderr.contains("-- echo two"), "{said}");
        }
        assert_eq!(world.requests().await.unwrap().len(), 0, "better said before anyone is asked");
        let said = home.oz(&["access-request", "told", "--", "echo", "two"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, "two\n"), "{said}");
        let name = world.only_request().await.metadata.name.unwrap();
        let mut terminal = Terminal::open(&home, &["shell", &name]);
        terminal.until("Which command?");
        terminal.until("echo two");
        terminal.send(DOWN);
        terminal.send("\r");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        assert!(terminal.shown().contains("\r\ntwo\r\n"), "{}", terminal.shown().escape_debug());
    })
    .await;
}

#[tokio::test]
async fn logs_without_a_shell() {
    staged("logs", async |world| {
        world.template("logs", json!({"reason": "Optional", "exec": {"connections": ["log"]}})).await;
        let home = Home::of(world, "alice");
        let said = home.oz(&["access-request", "logs"]);
        assert_eq!(said.code, 0, "{said}");
        // The line to paste works as it stands.
        let printed = said.stdout();
        let line: Vec<&str> = printed.split_whitespace().collect();
        assert_eq!(line.first(), Some(&"kubectl"), "{said}");
        let logs = home.kubectl(&line[1..]);
        assert_eq!((logs.code, logs.stdout().as_str()), (0, "started\n"), "{logs}");
        let shell = home.oz(&["access-request", "logs", "--", "id"]);
        assert_eq!(shell.code, 125, "{shell}");
    })
    .await;
}

#[tokio::test]
async fn pod_and_container_are_chosen_on_a_terminal() {
    staged("pods", async |world| {
        world.pod("web-1", "web").await;
        let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
        world.role("seeing", rules, "alice").await;
        world.until_may(&world.alice, "list", "", "pods", true).await.unwrap();
        let home = Home::of(world, "alice");
        let mut terminal = Terminal::open(&home, &["access-request", FREE, "--wait", "ready"]);
        terminal.until("Which pod?");
        terminal.until("web-1");
        terminal.send(DOWN);
        terminal.send(DOWN);
        terminal.send("\r");
        terminal.until("Which container?");
        terminal.until("side");
        terminal.send("side\r");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        let request = world.only_request().await;
        assert_eq!((request.spec.pod.as_str(), request.spec.container.as_str()), ("web-1", "side"));
    })
    .await;
}

#[tokio::test]
async fn the_container_that_was_named() {
    staged("container", async |world| {
        let home = Home::of(world, "alice");
        let mut terminal =
            Terminal::open(&home, &["access-request", FREE, "--pod", POD, "--container", "side", "--rm"]);
        terminal.until(PROMPT);
        assert!(terminal.line("echo $HOSTNAME").contains(POD));
        terminal.send("exit\r");
        assert_eq!(terminal.end(), 0);
        assert_eq!(world.only_request().await.status.unwrap().container, "side");
        let nowhere = home.oz(&["access-request", FREE, "--container", "nowhere"]);
        assert_eq!(nowhere.code, 8, "{nowhere}");
    })
    .await;
}
