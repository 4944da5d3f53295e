//! A partner's cluster, as people let it in here and take its credential in over there.

use std::fs;

use oz_shared::Federation;
use serde_json::{Value, json};
use support::rights::{self, bind_everywhere, user};
use support::{Call, Identity, Lab, eventually};

use crate::home::Home;
use crate::partners::{Partners, reader};
use crate::stage::spaced_by;
use crate::world::{LIMIT, World};

/// Alice answers for partners; bob approves.
async fn partnered(subject: &str, spec: serde_json::Value, body: impl AsyncFnOnce(&World, &Partners<'_>)) {
    spaced_by(subject, async |world| {
        let partners = Partners::new(world, spec).await;
        let name = format!("{}-alice", world.ns.name);
        bind_everywhere(&world.admin, &name, "oz-federation-requester", &[user("alice")]).await.unwrap();
        let may = json!({"verb": "create", "group": "ozaccess.io", "resource": "federations"});
        rights::until(&world.admin, world.alice.user(), may, true).await.unwrap();
        body(world, &partners).await;
    })
    .await;
}

/// Takes a file in that was handed over, and gives the context.
fn taken_in(home: &Home, text: &str) -> String {
    fs::write(home.path().join("partner.yaml"), text).unwrap();
    let said = home.oz(&["kubeconfig", "import", "partner.yaml"]);
    assert_eq!(said.code, 0, "{said}");
    assert!(said.stderr.contains("It renews itself by being used"), "{said}");
    fs::remove_file(home.path().join("partner.yaml")).unwrap();
    said.stdout().trim().to_owned()
}

/// Over there is a cluster with an authority of its own, whose administrator never has more of this one than he is handed.
#[tokio::test]
async fn handed_over_to_another_cluster_renewed_made_anew_and_ended() {
    partnered("fed", json!({}), async |world, partners| {
        let away = Lab::away().unwrap();
        let (alice, there) = (Home::of(world, "alice"), Home::in_cluster(&away, "admin", |_| ()));
        let own_context = there.kubectl(&["config", "current-context"]).stdout();
        let name = partners.name("site");
        let (class, role) = (partners.spaces.class.as_str(), reader(world));
        let target = alice.must(&[
            "federation-request",
            &name,
            "--class",
            class,
            "--organization",
            "slate",
            "--further",
            "1",
            "--cluster-role",
            &role,
            "--duration",
            "1h",
            "--reason",
            "INC-7",
        ]);
        assert_eq!(target, format!("fed/{name}"));
        let again = alice.oz(&["federation-request", &name, "--class", class, "--organization", "slate"]);
        assert!(again.code == 2 && again.stderr.contains("already"), "{again}");
        let described = alice.must(&["describe", &target]);
        for words in
            ["Partner:    slate", &format!("Lent:       {name}"), "oz rotate", "reads in the whole cluster"]
        {
            assert!(described.contains(words), "{words}: {described}");
        }
        let listed = alice.must(&["requests", "fed"]);
        assert!(listed.contains(&name) && listed.contains("Active"), "{listed}");

        let exported = alice.oz(&["kubeconfig", "export", &target]);
        assert!(exported.code == 0 && exported.stderr.contains("oz kubeconfig import"), "{exported}");
        assert_eq!(Home::of(world, "bob").oz(&["kubeconfig", "export", &target]).code, 3);
        let context = taken_in(&there, &exported.stdout());
        assert_eq!(context, format!("oz-imported-{name}"));
        let config = there.read_kubeconfig();
        assert!(
            !config.contains("token: ey") && config.contains("--self=oz-f-"),
            "no token lies there: {config}"
        );
        let partner = |args: &[&str]| there.kubectl(&[&["--context", &context], args].concat());
        for args in [
            &["create", "configmap", "own", "--from-literal=a=b"][..],
            &["get", "nodes"],
            &["create", "serviceaccount", "left-behind"],
            &["get", "configmap", "own"],
        ] {
            let said = partner(args);
            assert_eq!(said.code, 0, "{args:?}: {said}");
        }
        for args in
            [&["get", "secrets", "-n", "kube-system"][..], &["get", "namespaces"], &["get", "pods", "-A"]]
        {
            assert_ne!(partner(args).code, 0, "{args:?}");
        }
        // In the one file lie both clusters, each with its own authority; neither takes the other's credentials.
        assert_eq!(there.kubectl(&["config", "current-context"]).stdout(), own_context);
        let namespaces = there.kubectl(&["get", "namespaces", "-o", "name"]);
        assert!(namespaces.code == 0 && !namespaces.stdout().contains(&name), "{namespaces}");
        let owner = Identity::from_kubeconfig(&away.kubeconfig("admin")).await.unwrap();
        let told = fs::read_to_string(kept(&there)).unwrap();
        let lent = serde_json::from_str::<Value>(&told).unwrap()["secret"].as_str().unwrap().to_owned();
        assert!(world.admin.with_token(&lent).await.is_ok());
        assert!(owner.with_token(&lent).await.is_err(), "a token of this cluster is nothing over there");

        // One more namespace, asked for from there.
        let more = format!("{name}-more");
        let asked = there.must(&["--context", &context, "namespace-request", &more, "--class", class]);
        let said = partner(&["-n", &more, "create", "configmap", "own", "--from-literal=a=b"]);
        assert_eq!(said.code, 0, "{said}");
        there.must(&["--context", &context, "release", &asked]);
        world.until_gone(&format!("/api/v1/namespaces/{more}")).await;

        // It renews itself once it is due, with nobody else's credential.
        let kept = kept(&there);
        let mut due: Value = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
        let before = due["secret"].clone();
        due["renew"] = json!("2026-01-01T00:00:00Z");
        fs::write(&kept, due.to_string()).unwrap();
        assert_eq!(partner(&["get", "configmap", "own"]).code, 0);
        let now: Value = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
        assert_ne!(now["secret"], before);

        let rotated = alice.oz(&["rotate", &target]);
        assert_eq!(rotated.code, 0, "{rotated}");
        eventually("what was handed over is worth nothing", LIMIT, || async {
            let said = partner(&["get", "configmap", "own"]);
            if said.code != 0 { Ok(()) } else { Err(said.to_string()) }
        })
        .await
        .unwrap();
        // Who may look is told what stays: alice may not, the administrator may.
        assert!(rotated.stderr.contains("you may not look"), "{rotated}");
        let rotated = Home::of(world, "admin").oz(&["rotate", &target]);
        assert!(
            rotated.code == 0 && rotated.stderr.contains(&format!("ServiceAccount {name}/left-behind")),
            "{rotated}"
        );

        let next = taken_in(&there, &alice.must(&["kubeconfig", "export", &target]));
        let said = there.kubectl(&["--context", &next, "get", "configmap", "own"]);
        assert_eq!(said.code, 0, "{said}");
        let grants = Home::of(world, "admin").must(&["grants", "-A"]);
        assert!(grants.contains(&target), "{grants}");

        alice.must(&["release", &target]);
        world.until_gone(&format!("/api/v1/namespaces/{name}")).await;
        eventually("nothing is left of it over there", LIMIT, || async {
            let said = there.kubectl(&["--context", &next, "get", "configmap", "own"]);
            if said.code != 0 { Ok(()) } else { Err(said.to_string()) }
        })
        .await
        .unwrap();
        assert_eq!(there.kubectl(&["get", "namespaces"]).code, 0, "their own is as it was");
        let said = alice.oz(&["rotate", &target]);
        assert_eq!(said.code, 6, "{said}");
    })
    .await;
}

/// The one credential that is kept in this home.
fn kept(home: &Home) -> std::path::PathBuf {
    let folder = home.path().join(".local/state/oz/partners");
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn one_other_agrees_to_a_federation() {
    partnered("fed-yes", json!({"approvals": 1}), async |world, partners| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let (name, class) = (partners.name("site"), partners.spaces.class.as_str());
        let ask = ["federation-request", &name, "--class", class, "--organization", "slate"];
        let mut waiting = alice.start(&ask);
        let target = format!("fed/{name}");
        waiting.until_says(&format!("oz approve {target}"));
        eventually("bob sees what is offered", LIMIT, || async {
            let said = bob.must(&["describe", &target]);
            if said.contains(&format!("new namespaces: {name}")) { Ok(()) } else { Err(said) }
        })
        .await
        .unwrap();
        let pending = bob.must(&["pending", "-o", "name"]);
        assert!(pending.contains(&format!("federation.ozaccess.io/{name}")), "{pending}");
        assert_eq!(alice.oz(&["approve", &target, "-y"]).code, 3);
        bob.must(&["approve", &target, "-y"]);
        let said = waiting.end();
        assert_eq!(said.code, 0, "{said}");
        bob.must(&["revoke", &target, "--verify", "--reason", "over"]);
        let there: Federation = world.asked("site").await.unwrap();
        assert_eq!(there.spec.release_reason, "over");
        world.must(&world.bob, Call::delete(partners.path("site"))).await;
    })
    .await;
}
