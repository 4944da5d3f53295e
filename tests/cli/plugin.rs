//! `kubectl oz`: the same program under the name that kubectl looks for.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::home::{Home, program};
use crate::stage::{FREE, staged};
use crate::world::scenario;

#[tokio::test]
async fn by_kubectl() {
    staged("plugin", async |world| {
        let home = Home::of(world, "alice");
        symlink(program(), home.path().join("bin/kubectl-oz")).unwrap();
        let version = home.kubectl(&["oz", "version"]);
        assert_eq!((version.code, version.stdout()), (0, home.oz(&["version"]).stdout()), "{version}");
        let help = home.kubectl(&["oz", "requests", "--help"]);
        assert!(help.stdout().contains("Usage: kubectl oz requests"), "{help}");
        let said = home.kubectl(&["oz", "access-request", FREE, "--", "sh", "-c", "echo inside; exit 5"]);
        // The exit code reaches who called kubectl: a plugin takes its place.
        assert_eq!((said.code, said.stdout().as_str()), (5, "inside\n"), "{said}");
        let listed = home.kubectl(&["oz", "requests", "-n", &world.ns.name, "-o", "name"]);
        assert_eq!(
            (listed.code, listed.stdout()),
            (0, home.oz(&["requests", "-o", "name"]).stdout()),
            "{listed}"
        );
    })
    .await;
}

/// As a shell asks kubectl, and kubectl the script.
#[tokio::test]
async fn completed_by_kubectl() {
    scenario("cli-complete", async |world| {
        world.template(FREE, json!({"description": "a shell in web"})).await;
        let home = Home::of(world, "alice");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../completions/kubectl_complete-oz");
        symlink(program(), home.path().join("bin/kubectl-oz")).unwrap();
        symlink(script, home.path().join("bin/kubectl_complete-oz")).unwrap();
        std::fs::create_dir(home.path().join("folder")).unwrap();
        let asked = |words: &[&str]| {
            let said = home.kubectl(&[&["__complete", "oz"], words].concat());
            assert_eq!(said.code, 0, "{said}");
            said.stdout().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(asked(&["acc"])[0].starts_with("access-request\t"), "{:?}", asked(&["acc"]));
        assert!(asked(&["describe", "--nam"])[0].starts_with("--namespace\t"));
        assert_eq!(asked(&["access-request", ""])[0], format!("{FREE}\ta shell in web"));
        let namespace = format!("--namespace={}", world.ns.name);
        assert_eq!(asked(&[&namespace, "access-request", "we"]), [&format!("{FREE}\ta shell in web"), ":4"]);
        // Nothing fits: the shell offers no files of its own either.
        assert_eq!(asked(&["access-request", "no such"]), [":4"]);
        assert_eq!(asked(&["kubeconfig", "import", "fold"]), ["folder/", ":6"]);
    })
    .await;
}
