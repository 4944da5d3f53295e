//! What goes through `oz` in a pipe comes out as it went in, whole, and to its end.

use std::process::{Command, Stdio};

use crate::home::Home;
use crate::running::Running;
use crate::stage::{FREE, staged};

/// No two blocks of it are alike: what is lost, doubled or moved shows. Cut to the length that is wanted.
const MANY: &str = "seq 1 20000000 | head -c 100000000";

fn checksum(shell: &str) -> String {
    let done = Command::new("sh").args(["-c", &format!("{shell} | sha256sum")]).output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn a_hundred_megabytes_out() {
    staged("out", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let mut oz = home.command(&["shell", &name, "--", "sh", "-c", MANY]);
        let mut oz = oz.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let sum = Command::new("sha256sum").stdin(oz.stdout.take().unwrap()).output().unwrap();
        assert_eq!(oz.wait().unwrap().code(), Some(0));
        assert_eq!(String::from_utf8(sum.stdout).unwrap(), checksum(MANY));
    })
    .await;
}

#[tokio::test]
async fn twenty_megabytes_in() {
    staged("in", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let input: Vec<u8> =
            (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let count = home.command(&["shell", &name, "--", "sh", "-c", "cat | wc -c"]);
        let said = Running::start(count, input.clone()).end();
        assert_eq!((said.code, said.stdout().trim()), (0, "20000000"), "{said}");
        // And back, at the same time.
        let echo = home.command(&["shell", &name, "--", "cat"]);
        let said = Running::start(echo, input.clone()).end();
        assert_eq!((said.code, said.bytes.len()), (0, input.len()), "{}", said.stderr);
        assert!(said.bytes == input, "other bytes came back");
    })
    .await;
}

#[tokio::test]
async fn a_closed_pipe_is_quiet() {
    staged("pipe", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        let commands: [&[&str]; 11] = [
            &["requests"],
            &["requests", "-o", "json"],
            &["requests", "-w"],
            &["templates", "-o", "yaml"],
            &["describe", &name],
            &["kubeconfig", "update"],
            &["completion", "bash"],
            &["--help"],
            &["requests", "--help"],
            &["version"],
            &["shell", &name, "--", "yes"],
        ];
        for args in commands {
            let said = Running::unread(home.command(args)).end();
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{args:?}: {said}");
        }
        let admin = Home::of(world, "admin");
        for args in [&["grants", "-A"][..], &["check", "-o", "wide"], &["enable", "--list"]] {
            let said = Running::unread(admin.command(args)).end();
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{args:?}: {said}");
        }
        // As people do it.
        let mut head = std::process::Command::new("bash");
        head.args(["-c", "oz grants -A -o yaml | head -1; echo ${PIPESTATUS[0]}"]);
        head.env_clear().envs(admin.environment()).current_dir(admin.path());
        let said = Running::start(head, Vec::new()).end();
        assert_eq!((said.stdout().as_str(), said.stderr.as_str()), ("apiVersion: v1\n0\n", ""), "{said}");
    })
    .await;
}

#[tokio::test]
async fn standard_error_is_its_own() {
    staged("stderr", async |world| {
        let home = Home::of(world, "alice");
        let both = "i=0; while [ $i -lt 2000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
        let said = home.oz(&["access-request", FREE, "--rm", "--", "sh", "-c", both]);
        assert_eq!(said.code, 0, "{said}");
        let out: String = (0..2000).map(|i| format!("out {i}\n")).collect();
        assert_eq!(said.stdout(), out);
        let errors = said.stderr.lines().filter(|line| line.starts_with("err ")).count();
        assert_eq!(errors, 2000);
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_command_is_the_end() {
    staged("early", async |world| {
        let home = Home::of(world, "alice");
        let name = world.borrowed(&home);
        // Whatever was not read. Only little: of what fills the connection, as megabytes do, the API server loses the end of
        // the command, for kubectl too.
        let head = home.command(&["shell", &name, "--", "head", "-c", "5"]);
        let said = Running::start(head, b"0123456789".repeat(1_000)).end();
        assert_eq!((said.code, said.stdout().as_str()), (0, "01234"), "{said}");
        // And whatever might still be typed.
        let (running, input) =
            Running::waiting_for_input(home.command(&["shell", &name, "--", "sh", "-c", "exit 4"]));
        let said = running.end();
        drop(input);
        assert_eq!(said.code, 4, "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_script_into_the_shell() {
    staged("script", async |world| {
        let home = Home::of(world, "alice");
        let shell = home.command(&["access-request", FREE]);
        let said = Running::start(shell, b"echo one\necho two >&2\nexit 3\n".to_vec()).end();
        assert_eq!((said.code, said.stdout().as_str()), (3, "one\n"), "{said}");
        assert!(said.stderr.lines().any(|line| line == "two"), "{said}");
        // Without a terminal here there is none there.
        let name = world.only_request().await.metadata.name.unwrap();
        assert_eq!(home.oz(&["shell", &name, "--", "sh", "-c", "test -t 0 || test -t 1"]).code, 1);
    })
    .await;
}
