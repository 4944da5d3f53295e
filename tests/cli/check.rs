//! `oz check`: what an administrator sees of an Oz that is whole, and what others see of it.

use std::collections::BTreeSet;

use oz_shared::gate::POLICIES;
use oz_shared::names::GATE_REVISION;
use serde_json::Value;

use crate::home::Home;
use crate::stage::staged;

fn report(home: &Home) -> (Value, String) {
    let said = home.oz(&["check", "-o", "json"]);
    assert_eq!(said.code, 0, "{said}");
    (serde_json::from_slice(&said.bytes).unwrap(), said.stderr)
}

/// The checks of one kind.
fn of<'a>(report: &'a Value, check: &'a str) -> Vec<&'a Value> {
    report["checks"].as_array().unwrap().iter().filter(|c| c["check"] == check).collect()
}

fn detail<'a>(report: &'a Value, check: &'a str) -> &'a str {
    of(report, check)[0]["detail"].as_str().unwrap()
}

#[tokio::test]
async fn an_administrator_sees_all() {
    staged("check", async |world| {
        let admin = Home::of(world, "admin");
        admin.must(&["enable", &world.ns.name]);
        let (report, _) = report(&admin);
        for check in [
            "server",
            "clock",
            "kinds",
            "policies",
            "bindings",
            "rights",
            "audience",
            "gate",
            "controller",
            "lease",
            "you",
            "ceiling",
        ] {
            let found = of(&report, check);
            assert!(!found.is_empty(), "{check}: {report}");
            assert!(found.iter().all(|c| c["result"] == "ok"), "{check}: {found:?}");
        }
        let names = |check| -> BTreeSet<&str> {
            of(&report, check).iter().map(|c| c["object"].as_str().unwrap()).collect()
        };
        assert_eq!(names("kinds").len(), oz_shared::custom_resource_definitions().len(), "{report}");
        assert_eq!(names("gate"), POLICIES.iter().map(|(policy, _)| *policy).collect());
        assert_eq!(names("policies").len(), POLICIES.len());
        assert!(of(&report, "gate").iter().all(|c| c["detail"].as_str().unwrap().contains(GATE_REVISION)));
        assert!(detail(&report, "lease").starts_with("held by "), "{report}");
        let all = "ask, approve, revoke, write templates, read all grants";
        assert!(detail(&report, "you").ends_with(all), "{report}");
        // Of other namespaces other things can be said.
        let lends = detail(&report, "namespaces");
        assert!(lends.starts_with("Oz may lend in ") && lends.contains(&world.ns.name), "{report}");
        let enabled = report["namespaces"].as_array().unwrap();
        assert!(enabled.iter().any(|n| *n == world.ns.name.as_str()), "{report}");
        let ceiling = report["ceiling"].as_array().unwrap();
        for words in ["get,create on pods/exec, pods/attach, pods/portforward", "bind ClusterRole view, for"]
        {
            assert!(ceiling.iter().any(|c| c.as_str().unwrap().starts_with(words)), "{words}: {ceiling:?}");
        }

        let table = admin.must(&["check"]);
        assert!(table.contains(&format!("all {}: refuses what it must", POLICIES.len())), "{table}");
        assert!(table.lines().all(|line| !line.contains("failed")), "{table}");
    })
    .await;
}

#[tokio::test]
async fn others_see_what_is_theirs_to_see() {
    staged("check-others", async |world| {
        let (report, said) = report(&Home::of(world, "alice"));
        let you = format!(
            "alice may, in {}, ask; not: approve, revoke, write templates, read all grants",
            world.ns.name
        );
        assert_eq!(detail(&report, "you"), you);
        for check in ["policies", "controller", "lease", "namespaces", "ceiling"] {
            assert!(of(&report, check).iter().all(|c| c["result"] == "unknown"), "{check}: {report}");
        }
        assert!(of(&report, "gate").iter().all(|c| c["result"] != "failed"), "{report}");
        assert_eq!(
            (&report["namespaces"], &report["ceiling"]),
            (&Value::from(Vec::<Value>::new()), &Value::from(Vec::<Value>::new()))
        );
        assert!(said.contains("takes rights that you do not have"), "{said}");
        let (report, _) = self::report(&Home::of(world, "carol"));
        assert!(detail(&report, "you").contains("may do nothing with all templates"), "{report}");
    })
    .await;
}
