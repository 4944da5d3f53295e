//! `kubectl oz`: the same program under the name that kubectl looks for.

use std::os::unix::fs::symlink;

use crate::home::{Home, program};
use crate::stage::{FREE, staged};

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
