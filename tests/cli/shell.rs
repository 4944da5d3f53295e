//! A shell on a terminal: what is typed goes to the remote end, and leaving keeps the access or ends it as was said.

use oz_shared::Request as _;
use support::eventually;

use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};
use crate::terminal::{PROMPT, Terminal};
use crate::world::LIMIT;

#[tokio::test]
async fn size_keys_and_end() {
    staged("keys", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let mut terminal = Terminal::open(&home, &["shell", &name]);
        terminal.until(PROMPT);
        assert!(terminal.is_raw());
        assert!(terminal.line("stty size").contains("40 120"));
        terminal.resize(33, 101);
        // The size comes by a message of its own, at some time after.
        eventually("the remote terminal has the new size", LIMIT, || {
            let size = terminal.line("stty size");
            async move { if size.contains("33 101") { Ok(()) } else { Err(size) } }
        })
        .await
        .unwrap();
        // Ctrl-C is the remote program's: it ends, the shell does not, and `oz` does not.
        // It says so itself, once it is in the foreground.
        terminal.send("sh -c \"echo wai''ts; exec sleep 1000\"\r");
        terminal.until("waits");
        terminal.send("\x03");
        terminal.until(PROMPT);
        assert!(terminal.line("echo status $?").contains("status 130"));
        // Ctrl-D ends the shell with its own code.
        terminal.send("(exit 7)\r");
        terminal.until(PROMPT);
        terminal.send("\x04");
        assert_eq!(terminal.end(), 7, "{}", terminal.shown());
    })
    .await;
}

#[tokio::test]
async fn leaving_keeps_the_access() {
    staged("keeps", async |world| {
        let home = Home::of(world, "alice");
        let mut terminal = Terminal::open(&home, &["access-request", FREE]);
        terminal.until(PROMPT);
        terminal.line("echo kept > /tmp/kept");
        terminal.send("exit\r");
        terminal.until("come back:  oz shell ");
        assert_eq!(terminal.end(), 0);
        let name = world.only_request().await.metadata.name.unwrap();
        let line = format!("oz shell {name} -n {}", world.ns.name);
        assert!(terminal.shown().contains(&line), "{}", terminal.shown());
        let mut again = Terminal::open(&home, &["shell", &name]);
        again.until(PROMPT);
        assert!(again.line("cat /tmp/kept").contains("kept"));
        again.send("exit\r");
        assert_eq!(again.end(), 0);
        assert_eq!(world.request(&name).await.unwrap().phase().as_str(), "Active");
    })
    .await;
}

#[tokio::test]
async fn rm_ends_it() {
    staged("rm", async |world| {
        let home = Home::of(world, "alice");
        let mut terminal = Terminal::open(&home, &["access-request", FREE, "--rm"]);
        terminal.until(PROMPT);
        terminal.send("exit\r");
        terminal.until("Released ");
        assert_eq!(terminal.end(), 0);
        let request = world.only_request().await;
        let name = request.metadata.name.unwrap();
        world.until_phase(&name, "Released").await;
        assert!(home.contexts().is_empty(), "{:?}", home.contexts());
        // With a command as well, whatever its code.
        let said = home.oz(&["access-request", FREE, "--rm", "--", "sh", "-c", "exit 9"]);
        assert_eq!(said.code, 9, "{said}");
        eventually("both are released", LIMIT, || async {
            let phases: Vec<String> =
                world.requests().await?.iter().map(|r| r.phase().as_str().to_owned()).collect();
            if phases == ["Released", "Released"] { Ok(()) } else { Err(format!("{phases:?}")) }
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
async fn approved_while_waiting() {
    staged("approved", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let mut terminal = Terminal::open(&alice, &["access-request", ASKED, "--reason", "INC-1"]);
        let line = terminal.until("to approve: oz approve ").len();
        assert!(line > 0);
        let name = world.only_request().await.metadata.name.unwrap();
        bob.must(&["approve", &name, "-y"]);
        terminal.until("bob approved (1 of 1)");
        terminal.until(PROMPT);
        terminal.send("exit 3\r");
        assert_eq!(terminal.end(), 3);
    })
    .await;
}
