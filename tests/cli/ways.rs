//! Other ways to the cluster: through a proxy, with a credential plugin that asks, from a machine that is nobody's home.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::home::{Home, host_and_port};
use crate::proxy::Gateway;
use crate::running::{Running, Said};
use crate::stage::{FREE, staged};
use crate::terminal::Terminal;
use crate::world::World;

fn run(home: &Home, args: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = home.command(args);
    command.envs(environment.iter().copied());
    Running::start(command, Vec::new()).end()
}

fn server(home: &Home) -> (String, u16) {
    let config: Value = serde_yaml::from_str(&home.read_kubeconfig()).unwrap();
    host_and_port(config["clusters"][0]["cluster"]["server"].as_str().unwrap())
}

/// This machine's own servers are reached directly, by kubectl too.
fn is_near(host: &str) -> bool {
    let near = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if near {
        println!("not shown: a server on this machine is never reached through a proxy of the environment");
    }
    near
}

#[tokio::test]
async fn through_the_environments_proxy() {
    staged("proxy", async |world| {
        let home = Home::of(world, "alice");
        let (host, port) = server(&home);
        if is_near(&host) {
            return;
        }
        let (gateway, far) = (Gateway::open(None), format!("{host}:{port}"));
        let (bare, url) = (gateway.address.to_string(), format!("http://{}", gateway.address));
        for (name, proxy) in [("HTTPS_PROXY", &url), ("https_proxy", &url), ("HTTPS_PROXY", &bare)] {
            let said = run(&home, &["requests"], &[(name, proxy)]);
            assert_eq!(said.code, 0, "{name}={proxy}: {said}");
            let asked = gateway.asked();
            assert!(!asked.is_empty() && asked.iter().all(|to| *to == far), "{name}={proxy}: {asked:?}");
        }
        // The stream as well.
        let words = ["access-request", FREE, "--rm", "--", "sh", "-c", "echo through; exit 3"];
        let said = run(&home, &words, &[("HTTPS_PROXY", &url)]);
        assert_eq!((said.code, said.stdout().as_str()), (3, "through\n"), "{said}");
        assert!(gateway.asked().len() > 1);

        let mut without =
            vec![host.clone(), "*".to_owned(), format!("example.com, {host}:{port},"), "a,,*".to_owned()];
        without.extend(host.parse::<IpAddr>().map(|address| format!("{address}/24")));
        for no in &without {
            for name in ["NO_PROXY", "no_proxy"] {
                let said = run(&home, &["requests"], &[("HTTPS_PROXY", &url), (name, no)]);
                assert_eq!((said.code, gateway.asked()), (0, Vec::new()), "{name}={no}: {said}");
            }
        }
        // Which names the proxy itself, or another server, changes nothing.
        for no in ["127.0.0.1", "localhost", "example.com,", ".svc,*.local"] {
            let said = run(&home, &["requests"], &[("HTTPS_PROXY", &url), ("NO_PROXY", no)]);
            assert_eq!((said.code, gateway.asked().is_empty()), (0, false), "{no}: {said}");
        }

        let dead = run(&home, &["requests"], &[("HTTPS_PROXY", "http://127.0.0.1:1")]);
        assert!(dead.code == 7 && dead.stderr.contains("cannot be reached"), "{dead}");
        let other = run(&home, &["requests"], &[("HTTPS_PROXY", "socks5://me:pw@127.0.0.1:1")]);
        assert!(other.code == 2 && other.stderr.contains("proxy socks5://127.0.0.1"), "{other}");
        assert!(!other.stderr.contains("pw"), "{other}");
    })
    .await;
}

#[tokio::test]
async fn through_a_proxy_that_asks_who_it_is() {
    staged("proxy-auth", async |world| {
        let gateway = Gateway::open(Some("me:p@ss"));
        let through = |user: &str| {
            let url = format!("http://{user}{}", gateway.address);
            Home::with(world, "alice", |config| config["clusters"][0]["cluster"]["proxy-url"] = json!(url))
        };
        // The kubeconfig's own counts whatever the environment says.
        let home = through("me:p%40ss@");
        let said = run(&home, &["requests"], &[("NO_PROXY", "*"), ("HTTPS_PROXY", "http://127.0.0.1:1")]);
        assert_eq!(said.code, 0, "{said}");
        let (host, port) = server(&home);
        assert_eq!(gateway.asked().first(), Some(&format!("{host}:{port}")));
        for user in ["", "me:other@"] {
            let said = run(&through(user), &["requests"], &[]);
            assert!(said.code == 7 && !said.stderr.contains("other"), "{said}");
            assert!(gateway.asked().is_empty());
        }
        // Contexts of ours lead the same way.
        home.must(&["access-request", FREE, "--wait", "ready"]);
        gateway.asked();
        let context = home.contexts().remove(0);
        let get = home.kubectl(&["--context", &context, "get", "pod", crate::stage::POD, "-o", "name"]);
        assert_eq!((get.code, get.stdout().as_str()), (0, "pod/web-0\n"), "{get}");
        assert!(!gateway.asked().is_empty());
    })
    .await;
}

/// Asks whoever is there for a code, and gives alice's certificate for it.
const ASKS: &str = r#"#!/bin/sh
case $KUBERNETES_EXEC_INFO in
*'"interactive":true'*)
  printf 'Passcode: ' >&2
  read -r code
  [ "$code" = 42 ] || { echo "wrong code" >&2; exit 1; } ;;
*)
  [ -n "$UNASKED" ] || { echo "nobody is there to ask" >&2; exit 1; }
  cat >/dev/null ;;
esac
cat "$HOME/credential.json"
"#;

/// Alice with that plugin instead of her certificate.
fn asked(world: &World, mode: &str) -> Home {
    let mut certificate = Value::Null;
    let home = Home::with(world, "alice", |config| {
        let user = &mut config["users"][0]["user"];
        certificate = user.take();
        let plugin = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": mode, "command": "asks"});
        *user = json!({"exec": plugin});
    });
    let text = |field: &str| {
        use base64::Engine as _;
        let data = certificate[format!("{field}-data")].as_str().unwrap();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap()
    };
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"clientCertificateData": text("client-certificate"), "clientKeyData": text("client-key")},
    });
    fs::write(home.path().join("credential.json"), credential.to_string()).unwrap();
    let plugin = home.path().join("bin/asks");
    fs::write(&plugin, ASKS).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    home
}

#[tokio::test]
async fn a_plugin_that_asks_is_heard() {
    staged("plugin-asks", async |world| {
        for mode in ["Always", "IfAvailable"] {
            let home = asked(world, mode);
            let mut terminal = Terminal::open(&home, &["access-request", FREE, "--", "echo", "inside"]);
            terminal.until("Passcode: ");
            terminal.send("42\r");
            terminal.until("inside\r\n");
            assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
            let mut wrong = Terminal::open(&home, &["requests"]);
            wrong.until("Passcode: ");
            wrong.send("41\r");
            wrong.until("wrong code");
            wrong.until("error: ");
            assert_eq!(wrong.end(), 3, "{}", wrong.shown().escape_debug());
            assert!(!wrong.shown().contains("KUBERNETES_EXEC_INFO"), "{}", wrong.shown());
        }
    })
    .await;
}

#[tokio::test]
async fn a_plugin_asks_nobody_in_a_pipe() {
    staged("plugin-unasked", async |world| {
        let home = asked(world, "IfAvailable");
        let name = Home::of(world, "alice").must(&["access-request", FREE, "--wait", "ready"]);
        let refused = home.oz(&["requests"]);
        assert_eq!(refused.code, 3, "{refused}");
        assert!(refused.stderr.contains("nobody is there to ask"), "{refused}");
        assert!(!refused.stderr.contains("KUBERNETES_EXEC_INFO"), "{refused}");
        // What is piped is for the remote command, to the last byte.
        let mut cat = home.command(&["shell", &name, "--", "cat"]);
        cat.env("UNASKED", "1");
        let said = Running::start(cat, b"for the other end\n".to_vec()).end();
        assert_eq!((said.code, said.stdout().as_str()), (0, "for the other end\n"), "{said}");
        let always = asked(world, "Always").oz(&["requests"]);
        assert_eq!(always.code, 3, "{always}");
        assert!(always.stderr.contains("asks for it on a terminal, and there is none"), "{always}");
    })
    .await;
}

#[tokio::test]
async fn from_nobodys_home() {
    staged("homeless", async |world| {
        let home = Home::of(world, "alice");
        let file = home.kubeconfig();
        let file = file.to_str().unwrap();
        for gone in ["", "/nonexistent"] {
            for environment in [&[("KUBECONFIG", file), ("HOME", gone)][..], &[("HOME", gone)]] {
                let mut words = vec!["access-request", FREE, "--rm", "--", "echo", "here"];
                if environment.len() == 1 {
                    words.splice(0..0, ["--kubeconfig", file]);
                }
                let said = run(&home, &words, environment);
                assert_eq!((said.code, said.stdout().as_str()), (0, "here\n"), "{environment:?}: {said}");
                assert!(!said.stderr.contains("panic"), "{said}");
            }
        }
        let mut command = home.command(&["requests"]);
        command.env_remove("HOME").env("KUBECONFIG", file);
        let said = Running::start(command, Vec::new()).end();
        assert_eq!(said.code, 0, "{said}");
        let lost = run(&home, &["requests"], &[("HOME", "/nonexistent")]);
        assert!(lost.code == 2 && lost.stderr.contains("names no cluster"), "{lost}");
    })
    .await;
}
