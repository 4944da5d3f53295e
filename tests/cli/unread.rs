//! An object that cannot be read is named, and keeps nobody from seeing the others.

use serde_json::{Value, json};

use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};
use crate::world::World;

/// A template with a patch whose value has so many levels.
async fn nested(world: &World, name: &str, levels: usize) {
    let value = (0..levels).fold(json!("x"), |value, _| json!([value]));
    let patch = json!([{"op": "add", "path": "/spec/x", "value": value}]);
    let shell = json!({"workload": {"kind": "Deployment", "name": "web"}, "patches": patch});
    world.template(name, json!({"exec": null, "shell": shell, "reason": "Optional"})).await;
}

fn left_out(world: &World, name: &str) -> String {
    format!("warning: AccessTemplate {name} in namespace {} is left out: it cannot be read", world.ns.name)
}

fn names(list: &str) -> Vec<&str> {
    let mut names: Vec<&str> = list.lines().filter_map(|line| line.rsplit('/').next()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn one_template_that_is_nested_too_deep() {
    staged("nested", async |world| {
        nested(world, "shallow", 12).await;
        nested(world, "deep", 400).await;
        let (alice, admin) = (Home::of(world, "alice"), Home::of(world, "admin"));
        let warning = left_out(world, "deep");
        for (home, args) in [
            (&alice, &["templates"][..]),
            (&alice, &["templates", "--all"]),
            (&admin, &["templates", "-A"]),
            (&admin, &["templates", "-A", "--all", "-o", "wide"]),
        ] {
            let said = home.oz(args);
            assert_eq!(said.code, 0, "{args:?}: {said}");
            assert_eq!(
                said.stderr.lines().filter(|l| l.starts_with(&warning)).count(),
                1,
                "{args:?}: {said}"
            );
            for name in [FREE, ASKED, "shallow"] {
                let there =
                    said.stdout().lines().any(|line| line.split_whitespace().any(|cell| cell == name));
                assert!(there, "{name}: {args:?}: {said}");
            }
        }
        let said = alice.oz(&["templates", "-o", "name"]);
        assert_eq!(names(&said.stdout()), ["shallow", FREE, ASKED], "{said}");
        let said = alice.oz(&["templates", "-o", "json"]);
        let list: Value = serde_json::from_slice(&said.bytes).unwrap();
        assert_eq!((said.code, list["items"].as_array().unwrap().len()), (0, 3), "{said}");

        // Itself it can be neither read nor asked for, and that is said.
        let asked = alice.oz(&["access-request", "deep"]);
        assert!(asked.code == 1 && asked.stderr.contains("failed to read template deep"), "{asked}");
        // Beside it all goes on.
        let said = alice.oz(&["access-request", FREE, "--rm", "--", "echo", "inside"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, "inside\n"), "{said}");
        let choice = alice.oz(&["access-request"]);
        assert!(choice.code == 2 && choice.stderr.contains(&warning), "{choice}");
    })
    .await;
}

/// Who may ask for it without reading it: the controller cannot read it either.
#[tokio::test]
async fn asked_for_unread() {
    staged("nested-asked", async |world| {
        nested(world, "deep", 400).await;
        let rules = json!([
            {"apiGroups": ["ozaccess.io"], "resources": ["accessrequests"], "verbs": ["create", "get", "list", "watch"]},
            {"apiGroups": ["ozaccess.io"], "resources": ["accesstemplates"], "resourceNames": ["deep"], "verbs": ["request"]},
        ]);
        world.role("asking-only", rules, "carol").await;
        world.until_may(&world.carol, "create", "ozaccess.io", "accessrequests", true).await.unwrap();
        let said = Home::of(world, "carol").oz(&["access-request", "deep"]);
        assert_eq!(said.code, 8, "{said}");
        assert!(said.stderr.contains("there is no template deep"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_watch_goes_on_past_it() {
    staged("nested-watch", async |world| {
        nested(world, "deep", 400).await;
        let alice = Home::of(world, "alice");
        let mut watch = alice.start(&["templates", "-w", "-o", "name"]);
        watch.until_says(&left_out(world, "deep"));
        watch.until_prints(ASKED);
        nested(world, "later", 400).await;
        watch.until_says(&left_out(world, "later"));
        world.template("last", json!({})).await;
        watch.until_prints("accesstemplate.ozaccess.io/last");
        watch.signal("INT");
        let said = watch.end();
        assert_eq!(said.code, 130, "{said}");
        assert_eq!(names(&said.stdout()), ["last", FREE, ASKED], "{said}");
        assert_eq!(said.stderr.lines().count(), 2, "each is named once: {said}");
    })
    .await;
}
