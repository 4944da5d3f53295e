//! Broken off while it waits: the request is withdrawn, or stays where that was asked for.

use crate::home::Home;
use crate::proxy::Line;
use crate::stage::{ASKED, FREE, staged};
use crate::terminal::{PROMPT, Terminal};
use oz_shared::Request as _;

#[tokio::test]
async fn a_signal_withdraws() {
    staged("withdraws", async |world| {
        let home = Home::of(world, "alice");
        for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
            let (running, name) = world.waiting(&home, &[]).await;
            running.signal(signal);
            let said = running.end();
            assert_eq!(said.code, code, "{signal}: {said}");
            assert!(said.stderr.contains(&format!("Withdrew {name}.")), "{signal}: {said}");
            world.until_no_requests().await;
        }
    })
    .await;
}

#[tokio::test]
async fn keep_leaves_it() {
    staged("leaves", async |world| {
        let home = Home::of(world, "alice");
        let (running, name) = world.waiting(&home, &["--keep"]).await;
        running.signal("TERM");
        let said = running.end();
        assert_eq!(said.code, 143, "{said}");
        assert!(said.stderr.contains(&format!("oz shell {name}")), "{said}");
        let request = world.request(&name).await.unwrap();
        assert_eq!(request.phase().as_str(), "Pending");
        // It goes on from there.
        let mut shell = home.start(&["shell", &name, "--", "echo", "there"]);
        shell.until_says("Waiting for approval");
        Home::of(world, "bob").must(&["approve", &name, "-y"]);
        let said = shell.end();
        assert_eq!((said.code, said.stdout().as_str()), (0, "there\n"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn control_c_at_the_terminal() {
    staged("control-c", async |world| {
        let home = Home::of(world, "alice");
        let mut terminal = Terminal::open(&home, &["access-request", ASKED, "--reason", "INC-1"]);
        terminal.until("Ctrl-C withdraws");
        world.only_request().await;
        terminal.send("\x03");
        terminal.until("Withdrew ");
        assert_eq!(terminal.end(), 130, "{}", terminal.shown().escape_debug());
        world.until_no_requests().await;
    })
    .await;
}

#[tokio::test]
async fn a_window_that_is_closed_withdraws() {
    staged("window", async |world| {
        let home = Home::of(world, "alice");
        let mut terminal = Terminal::open(&home, &["access-request", ASKED, "--reason", "INC-1"]);
        terminal.until("to approve: ");
        world.only_request().await;
        let oz = terminal.close();
        world.until_no_requests().await;
        oz.until_gone();
        // In a shell it ends what was to end with the shell.
        let mut terminal = Terminal::open(&home, &["access-request", FREE, "--rm"]);
        terminal.until(PROMPT);
        let name = world.only_request().await.metadata.name.unwrap();
        let oz = terminal.close();
        world.until_phase(&name, "Released").await;
        oz.until_gone();
    })
    .await;
}

#[tokio::test]
async fn a_broken_connection_does_not_end_the_waiting() {
    staged("broken", async |world| {
        let line = Line::to(world);
        let home = Home::by_way_of(world, "alice", line.address);
        let (waiting, name) = world.waiting(&home, &["--wait", "ready"]).await;
        line.disturb();
        Home::of(world, "bob").must(&["approve", &name, "-y"]);
        let said = waiting.end();
        assert_eq!((said.code, said.stdout().trim()), (0, name.as_str()), "{said}");
    })
    .await;
}
