//! The way of nsplease, as its users know it: what its README has them type, in a shell, with kubectl and as the pipeline's own
//! account; and what the adapter does where nsplease itself would not have looked.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt as _;
use oz_shared::names::{
    ANSWER_ANNOTATION, GRANT_LABEL, ISSUE_TOKEN_LABEL, ISSUED_LABEL, NSPLEASE, SYSTEM_NAMESPACE,
};
use serde_json::{Value, json};
use support::rights::account;
use support::{Call, Identity, eventually, run};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::controller::{Controller, Controllers, alone};
use crate::witness::{Seen, Witness};
use crate::world::{LIMIT, World, kubectl};

/// Takes the adapter's rights back when the process ends.
static CLEANER: OnceCell<Child> = OnceCell::const_new();

const REQUESTS: &str = "nsplease-requests";
const ANNOTATION: &str = "nsplease.container.training/issue-token";
/// A life takes some ten writes.
const MOST_WRITES: u32 = 30;

/// A shell with kubectl in it, as one account sees the cluster.
struct Shell {
    dir: TempDir,
    kubectl: PathBuf,
    namespace: String,
}

/// What a command came to.
#[derive(Debug)]
struct Ran {
    ok: bool,
    out: String,
    err: String,
}

impl Shell {
    /// As an account of the world's namespace, which gets these rules in the namespace of requests.
    async fn of(world: &World, name: &str, namespace: &str, rules: Value) -> Shell {
        let body = json!({"metadata": {"name": name}});
        world.must(&world.admin, Call::post(world.ns.core("serviceaccounts"), body)).await;
        let token = world.admin.mint(&world.ns.name, name, 3600).await.unwrap();
        let unique = format!("{name}-{}", world.ns.name);
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{REQUESTS}");
        let metadata = json!({"name": unique});
        let role = json!({"metadata": metadata, "rules": rules});
        world.must(&world.admin, Call::post(format!("{rbac}/roles"), role)).await;
        let binding = json!({"metadata": metadata, "subjects": [account(&world.ns.name, name)],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": unique}});
        world.must(&world.admin, Call::post(format!("{rbac}/rolebindings"), binding)).await;

        let dir = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(world.lab.kubeconfig("admin")).unwrap();
        let mut kubeconfig: Value = serde_yaml::from_str(&text).unwrap();
        for user in kubeconfig["users"].as_array_mut().into_iter().flatten() {
            user["user"] = json!({"token": token});
        }
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        let shell = Shell { dir, kubectl: world.lab.kubectl(), namespace: namespace.to_owned() };
        let may = format!("kubectl auth can-i create configmaps -n {REQUESTS}");
        eventually("the account has its rights", LIMIT, || async {
            let ran = shell.run(&may).await;
            if ran.out.trim() == "yes" { Ok(()) } else { Err(format!("{ran:?}")) }
        })
        .await
        .unwrap();
        shell
    }

    /// What a pipeline needs by nsplease's README, and what its hardening needs besides.
    fn rules() -> Value {
        json!([
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "list", "watch", "delete"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "delete"]},
        ])
    }

    /// Runs a line of shell, with `NAMESPACE` set, `TOKEN` as it was last kept, and `kubectl` on the path.
    async fn run(&self, line: &str) -> Ran {
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.kubectl.parent().unwrap_or(Path::new(""));
        let mut command = Command::new("timeout");
        command
            .args(["60", "sh", "-c", line])
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("KUBECONFIG", self.path("kubeconfig"))
            .env("NAMESPACE", &self.namespace)
            .env("TOKEN", std::fs::read_to_string(self.path("token")).unwrap_or_default())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { ok: ran.status.success(), out: text(ran.stdout), err: text(ran.stderr) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn must(&self, line: &str) -> String {
        let ran = self.run(line).await;
        assert!(ran.ok, "{line}: {ran:?}");
        ran.out
    }

    /// It is refused, and the refusal holds these words.
    async fn refused(&self, line: &str, words: &str) {
        let ran = self.run(line).await;
        assert!(!ran.ok && ran.err.contains(words), "{line}: {ran:?}");
    }

    async fn ask(&self) {
        self.must("kubectl --namespace nsplease-requests create configmap $NAMESPACE").await;
    }

    /// Waits for the Secret, as nsplease's README does, and keeps the token that it holds.
    async fn receive(&self) -> String {
        let secret = "kubectl --namespace nsplease-requests get secret";
        self.run(&format!("{secret} --field-selector=metadata.name=$NAMESPACE --watch | head -n 0")).await;
        let token =
            self.must(&format!("{secret} $NAMESPACE -o 'jsonpath={{.data.token}}' | base64 -d")).await;
        assert!(token.starts_with("ey"), "a Secret without a token was seen");
        std::fs::write(self.path("token"), &token).unwrap();
        token
    }

    /// Uses the token until the API server knows its rights.
    async fn until_usable(&self) {
        eventually("the token is usable", LIMIT, || async {
            let ran = self.run("kubectl --namespace $NAMESPACE --token $TOKEN get configmaps").await;
            if ran.ok { Ok(()) } else { Err(format!("{ran:?}")) }
        })
        .await
        .unwrap();
    }

    /// Ends the namespace with the token, and waits for that.
    async fn end(&self, world: &World) {
        self.must("kubectl --token $TOKEN delete namespace $NAMESPACE --wait=false").await;
        until_all_gone(world, &self.namespace).await;
    }
}

/// A name that this run alone asks for, and that nsplease's own patterns allow.
fn name(subject: &str) -> String {
    format!("nsp-{subject}-{}", run())
}

fn configmap(name: &str) -> String {
    format!("/api/v1/namespaces/{REQUESTS}/configmaps/{name}")
}

fn secret(name: &str) -> String {
    format!("/api/v1/namespaces/{REQUESTS}/secrets/{name}")
}

fn namespace(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

async fn until_all_gone(world: &World, name: &str) {
    for path in [namespace(name), configmap(name), secret(name)] {
        world.until_gone(&path).await;
    }
}

/// Runs a test with the adapter on, and these settings.
async fn adapted(
    subject: &str,
    settings: &[(&str, &str)],
    body: impl AsyncFnOnce(&World, &Controllers, Controller),
) {
    alone(subject, async |world, controllers| {
        let take_back = ["delete", "clusterrolebinding", "oz-controller-nsplease", "--ignore-not-found"];
        CLEANER.get_or_try_init(|| async { kubectl(&world.lab, &take_back).arm() }).await.unwrap();
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/nsplease");
        let applied = Command::new(world.lab.kubectl())
            .arg("--kubeconfig")
            .arg(world.lab.kubeconfig("admin"))
            .args(["apply", "--server-side", "-k"])
            .arg(manifests)
            .output()
            .unwrap();
        assert!(applied.status.success(), "{applied:?}");
        let controller = controllers.start_with(&on(settings), None);
        controller.until_ready().await;
        body(world, controllers, controller).await;
    })
    .await;
}

fn on<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("OZ_NSPLEASE", "true")], settings].concat()
}

/// Waits until a request was told this.
async fn until_answered(world: &World, name: &str, words: &str) {
    eventually(&format!("{name} is answered {words:?}"), LIMIT, || async {
        let request = world.look(&configmap(name)).await?;
        let answer =
            request["metadata"]["annotations"][ANSWER_ANNOTATION].as_str().unwrap_or_default().to_owned();
        if answer.contains(words) { Ok(()) } else { Err(answer) }
    })
    .await
    .unwrap();
}

/// Waits until an Event with this reason stands on a request.
async fn until_told(world: &World, name: &str, reason: &str) {
    eventually(&format!("an Event tells {reason} on {name}"), LIMIT, || async {
        let events = Call::get(format!("/api/v1/namespaces/{REQUESTS}/events"))
            .query("fieldSelector", &format!("involvedObject.kind=ConfigMap,involvedObject.name={name}"));
        let events = world.admin.call(events).await.map_err(|e| format!("{e:#}"))?.body;
        let mut reasons = events["items"].as_array().into_iter().flatten().map(|e| e["reason"].clone());
        if reasons.any(|r| r == reason) { Ok(()) } else { Err(events.to_string()) }
    })
    .await
    .unwrap();
}

async fn make_request(world: &World, name: &str) {
    let body = json!({"metadata": {"name": name}});
    world.must(&world.admin, Call::post(format!("/api/v1/namespaces/{REQUESTS}/configmaps"), body)).await;
}

/// Waits until everything is on record for a request, and gives its Secret.
async fn until_served(world: &World, name: &str) -> Value {
    eventually(&format!("{name} is served"), LIMIT, || async {
        let (request, place, secret) = (
            world.look(&configmap(name)).await?,
            world.look(&namespace(name)).await?,
            world.look(&secret(name)).await?,
        );
        let uid = &place["metadata"]["uid"];
        let owned = |object: &Value| object["metadata"]["ownerReferences"][0]["uid"] == *uid;
        let recorded = place["metadata"]["labels"][ISSUED_LABEL] == request["metadata"]["uid"];
        let free = secret["metadata"]["labels"][ISSUED_LABEL] == "";
        if owned(&request) && owned(&secret) && recorded && free {
            Ok(secret)
        } else {
            Err(place.to_string())
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn its_readme_holds() {
    adapted("nspreadme", &[], async |world, _, _controller| {
        let name = name("readme");
        let shell = Shell::of(world, "ci", &name, Shell::rules()).await;
        let poor = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]);
        let stranger = Shell::of(world, "stranger", &name, poor).await;

        shell.ask().await;
        shell.receive().await;
        shell.until_usable().await;
        shell.must("kubectl --namespace $NAMESPACE --token $TOKEN create configmap hello").await;
        shell.must("kubectl --namespace $NAMESPACE --token $TOKEN create role r --verb=get --resource=pods").await;

        // Its own namespace, and nothing else; and nothing there without the token.
        shell.refused("kubectl --token $TOKEN --namespace default get configmaps", "forbidden").await;
        shell.refused("kubectl --token $TOKEN get namespaces", "forbidden").await;
        shell.refused("kubectl --token $TOKEN --namespace nsplease-requests get secret $NAMESPACE", "forbidden").await;
        shell.refused("kubectl --token $TOKEN delete namespace default", "forbidden").await;
        shell.refused("kubectl --namespace $NAMESPACE get configmaps", "forbidden").await;
        stranger.refused("kubectl --namespace nsplease-requests get secret $NAMESPACE", "forbidden").await;

        // What stands beside the token leads to the same place.
        let read = |key: &str| format!("kubectl --namespace nsplease-requests get secret $NAMESPACE -o 'jsonpath={{.data.{key}}}' | base64 -d");
        assert_eq!(shell.must(&read("namespace")).await, name);
        shell.must(&format!("{} > own", read("kubeconfig"))).await;
        shell.must("KUBECONFIG=own kubectl create configmap again").await;
        shell.must(&format!("{} > ca.crt", read("ca\\.crt"))).await;
        let server = shell.must(&read("server")).await;
        let plain = format!("kubectl --kubeconfig /dev/null --server {server} --certificate-authority ca.crt --token $TOKEN");
        shell.must(&format!("{plain} --namespace $NAMESPACE get configmap again")).await;

        let secret = until_served(world, &name).await;
        let keys: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ca.crt", "kubeconfig", "namespace", "server", "token"]);
        let place = world.look(&namespace(&name)).await.unwrap();
        assert_eq!(place["metadata"]["labels"]["nsplease.container.training/thank-you"], "", "{place}");
        let account = world.look(&format!("{}/serviceaccounts/admin", namespace(&name))).await.unwrap();
        assert_eq!(account["metadata"]["annotations"][ANNOTATION], "multiple-times", "{account}");

        shell.must("kubectl --token $TOKEN delete namespace $NAMESPACE --wait=false").await;
        until_all_gone(world, &name).await;
        eventually("the token is refused", LIMIT, || async {
            let ran = shell.run("kubectl --namespace $NAMESPACE --token $TOKEN get configmaps").await;
            if ran.ok { Err("it is not".to_owned()) } else { Ok(()) }
        })
        .await
        .unwrap();
        // The name is free for whoever asks next.
        shell.ask().await;
        shell.receive().await;
        shell.until_usable().await;
        shell.end(world).await;
    })
    .await;
}

#[tokio::test]
async fn its_hardening_holds() {
    adapted("nsphard", &[("TOKEN_POLICY_DEFAULT", "only-once")], async |world, controllers, controller| {
        let name = name("hard");
        let shell = Shell::of(world, "ci", &name, Shell::rules()).await;
        shell.ask().await;
        let token = shell.receive().await;
        shell.until_usable().await;
        until_served(world, &name).await;
        shell.must("kubectl --namespace nsplease-requests delete secret $NAMESPACE").await;

        // Neither a new request nor a new controller brings the token back.
        shell.must("kubectl --namespace nsplease-requests delete configmap $NAMESPACE").await;
        shell.ask().await;
        until_answered(world, &name, "NotIssued: ").await;
        until_told(world, &name, "NotIssued").await;
        controller.kill();
        let settings = on(&[("TOKEN_POLICY_DEFAULT", "multiple-times")]);
        let _next = controllers.start_with(&settings, None);
        _next.until_ready().await;
        shell.must("kubectl --namespace nsplease-requests delete configmap $NAMESPACE").await;
        shell.ask().await;
        until_answered(world, &name, "NotIssued: ").await;
        world.until_gone(&secret(&name)).await;

        // Its owner, who holds all of his namespace, cannot change that.
        let sa = "kubectl --namespace $NAMESPACE --token $TOKEN";
        for value in ["multiple-times --overwrite", "often --overwrite"] {
            shell
                .refused(&format!("{sa} annotate serviceaccount admin {ANNOTATION}={value}"), "oz-guard")
                .await;
        }
        shell.refused(&format!("{sa} annotate serviceaccount admin {ANNOTATION}-"), "oz-guard").await;
        shell.refused(&format!("{sa} delete serviceaccount admin"), "oz-guard").await;
        shell.refused(&format!("{sa} label namespace $NAMESPACE {ISSUE_TOKEN_LABEL}-"), "forbidden").await;
        shell.must(&format!("{sa} annotate serviceaccount admin mine=yes")).await;
        assert_eq!(std::fs::read_to_string(shell.path("token")).unwrap(), token);
        shell.must(&format!("{sa} create configmap still")).await;
        shell.end(world).await;
    })
    .await;
}

/// Pipelines that do not trust each other: each reads its own Secret.
#[tokio::test]
async fn one_pipeline_does_not_read_anothers() {
    adapted("nspapart", &[], async |world, _, _controller| {
        let (a, b) = (name("a"), name("b"));
        let own = |name: &str| {
            json!([
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
                {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get", "list", "watch"]},
            ])
        };
        let (first, second) = (Shell::of(world, "a", &a, own(&a)).await, Shell::of(world, "b", &b, own(&b)).await);
        first.ask().await;
        second.ask().await;
        first.receive().await;
        second.receive().await;
        first.until_usable().await;
        second.until_usable().await;
        first.refused(&format!("kubectl -n {REQUESTS} get secret {b}"), "forbidden").await;
        second.refused(&format!("kubectl -n {REQUESTS} get secret {a}"), "forbidden").await;
        first.refused(&format!("kubectl -n {b} --token $TOKEN get configmaps"), "forbidden").await;
        first.refused(&format!("kubectl --token $TOKEN delete namespace {b}"), "forbidden").await;
        first.end(world).await;
        world.look(&secret(&b)).await.unwrap();
        second.end(world).await;
    })
    .await;
}

#[tokio::test]
async fn asked_again_it_issues_again() {
    adapted("nspagain", &[], async |world, controllers, controller| {
        let name = name("again");
        let shell = Shell::of(world, "ci", &name, Shell::rules()).await;
        shell.ask().await;
        let first = shell.receive().await;
        until_served(world, &name).await;
        let uid = world.look(&namespace(&name)).await.unwrap()["metadata"]["uid"].clone();

        // A Secret that was deleted stays away, whatever is started anew; the namespace stays, whatever is deleted.
        shell.must("kubectl --namespace nsplease-requests delete secret $NAMESPACE").await;
        controller.kill();
        let controller = controllers.start_with(&on(&[]), None);
        controller.until_ready().await;
        shell.must("kubectl --namespace nsplease-requests delete configmap $NAMESPACE").await;
        assert!(world.look(&secret(&name)).await.is_err(), "the Secret came back by itself");
        shell.ask().await;
        let second = shell.receive().await;
        assert_ne!(first, second);
        shell.until_usable().await;
        until_served(world, &name).await;
        assert_eq!(world.look(&namespace(&name)).await.unwrap()["metadata"]["uid"], uid);

        // At its time the token is replaced: here by making that time come.
        let as_controller = world.admin.mint(SYSTEM_NAMESPACE, "oz-controller", 600).await.unwrap();
        let as_controller = world.admin.with_token(&as_controller).await.unwrap();
        let due = json!({"metadata": {"annotations": {"ozaccess.io/renew-at": "2026-01-01T00:00:00Z"}}});
        world.must(&as_controller, Call::merge(secret(&name), due)).await;
        controller.kill();
        let _controller = controllers.start_with(&on(&[]), None);
        eventually("the token is replaced", LIMIT, || async {
            let now = shell.receive().await;
            if now == second { Err("not yet".to_owned()) } else { Ok(()) }
        })
        .await
        .unwrap();
        shell.until_usable().await;
        until_told(world, &name, "Renewed").await;
        let renew_at = world.look(&secret(&name)).await.unwrap()["metadata"]["annotations"]["ozaccess.io/renew-at"].clone();
        let renew_at: jiff::Timestamp = renew_at.as_str().unwrap().parse().unwrap();
        let ahead = renew_at.duration_since(jiff::Timestamp::now()).as_secs();
        let of_life = 12 * 3600 * 80 / 100;
        assert!((of_life - 600..=of_life).contains(&ahead), "{ahead} s ahead");

        // Its owner may have it issued only once from now on.
        let only_once = format!("kubectl -n $NAMESPACE --token $TOKEN annotate --overwrite serviceaccount admin {ANNOTATION}=only-once");
        shell.must(&only_once).await;
        shell.must("kubectl --namespace nsplease-requests delete configmap,secret $NAMESPACE").await;
        shell.ask().await;
        until_answered(world, &name, "NotIssued: ").await;
        let place = world.look(&namespace(&name)).await.unwrap();
        assert_eq!(place["metadata"]["labels"][ISSUE_TOKEN_LABEL], "only-once", "{place}");
        assert!(world.look(&secret(&name)).await.is_err());
        shell.end(world).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_taken_for_its_own() {
    let wide = [
        ("VALID_REGEXES", "^nsp- ^kube- ^default$ ^oz- [.]"),
        ("IGNORE_SILENTLY", "kube-root-ca.crt nsp-ignored"),
    ];
    adapted("nspforeign", &wide, async |world, _, _controller| {
        let there = name("there");
        let labels = json!({support::RUN_LABEL: run()});
        let body = json!({"metadata": {"name": there, "labels": labels}});
        let before = world.must(&world.admin, Call::post("/api/v1/namespaces", body.clone())).await;
        // With all that nsplease itself marks its own by.
        let marked = name("marked");
        let mut forged = body.clone();
        forged["metadata"]["name"] = json!(marked);
        forged["metadata"]["labels"]["nsplease.container.training/thank-you"] = json!("");
        world.must(&world.admin, Call::post("/api/v1/namespaces", forged)).await;

        for name in [&there, &marked] {
            make_request(world, name).await;
            until_answered(world, name, "Refused: there is a namespace").await;
            until_told(world, name, "Refused").await;
        }
        for (name, words) in [
            ("default", "nobody's to ask for"),
            ("kube-public", "nobody's to ask for"),
            ("oz-sessions", "nobody's to ask for"),
            ("nope", "matches none of"),
            ("a.b", "is no name for a namespace"),
        ] {
            make_request(world, name).await;
            until_answered(world, name, words).await;
            world.must(&world.admin, Call::delete(configmap(name))).await;
        }
        let squatted = name("squatted");
        let planted = json!({"metadata": {"name": squatted}, "stringData": {"token": "mine"}});
        world.must(&world.admin, Call::post(format!("/api/v1/namespaces/{REQUESTS}/secrets"), planted)).await;
        make_request(world, &squatted).await;
        until_answered(world, &squatted, "Refused: there is a Secret").await;
        assert!(world.look(&namespace(&squatted)).await.is_err(), "a namespace without a Secret");
        make_request(world, "nsp-ignored").await;

        // Whatever was asked before it has been seen by now, and nothing has come of it.
        let last = name("last");
        make_request(world, &last).await;
        until_served(world, &last).await;
        for ignored in ["nsp-ignored", "kube-root-ca.crt"] {
            let request = world.look(&configmap(ignored)).await.unwrap();
            assert!(request["metadata"]["annotations"][ANSWER_ANNOTATION].is_null(), "{request}");
        }
        assert!(world.look(&namespace("nsp-ignored")).await.is_err());
        let after = world.look(&namespace(&there)).await.unwrap();
        assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
        for name in [&there, &marked] {
            assert!(world.look(&secret(name)).await.is_err());
            let accounts = world.look(&format!("{}/serviceaccounts/admin", namespace(name))).await;
            assert!(accounts.is_err(), "{accounts:?}");
        }
        // One that goes is waited out; and what is then made is another.
        let pin = json!({"metadata": {"name": "pin", "finalizers": ["ozaccess.io/test"]}});
        world.must(&world.admin, Call::post(format!("{}/configmaps", namespace(&there)), pin)).await;
        world.must(&world.admin, Call::delete(namespace(&there))).await;
        until_answered_again(world, &there, "Waiting: ").await;
        let free = json!({"metadata": {"finalizers": null}});
        world.must(&world.admin, Call::merge(format!("{}/configmaps/pin", namespace(&there)), free)).await;
        until_served(world, &there).await;
        let now = world.look(&namespace(&there)).await.unwrap();
        assert_ne!(now["metadata"]["uid"], before["metadata"]["uid"]);
        eventually("what was said of it before is taken back", LIMIT, || async {
            let answered = world.look(&configmap(&there)).await?;
            let said = &answered["metadata"]["annotations"][ANSWER_ANNOTATION];
            if said.is_null() { Ok(()) } else { Err(answered.to_string()) }
        })
        .await
        .unwrap();

        for name in [&there, &marked, &last] {
            world.must(&world.admin, Call::delete(namespace(name))).await;
        }
        for name in [&there, &last] {
            until_all_gone(world, name).await;
        }
        for path in [configmap(&marked), configmap(&squatted), secret(&squatted), configmap("nsp-ignored")] {
            world.must(&world.admin, Call::delete(path)).await;
        }
    })
    .await;
}

/// A request that was refused is looked at again when it changes.
async fn until_answered_again(world: &World, name: &str, words: &str) {
    let touch = json!({"metadata": {"annotations": {"touched": "yes"}}});
    world.must(&world.admin, Call::merge(configmap(name), touch)).await;
    until_answered(world, name, words).await;
}

/// How many names are raced for, and how many at once: the namespace controller ends no more of them in a minute.
const RACES: (usize, usize) = (100, 10);

/// Whoever takes the name that a namespace has freed keeps it, and the old request brings nothing.
#[tokio::test]
async fn a_name_that_a_stranger_takes_is_his() {
    adapted("nsptaken", &[], async |world, _, _controller| {
        let names: Vec<String> = (0..RACES.0).map(|n| name(&format!("taken{n}"))).collect();
        for names in names.chunks(RACES.1) {
            join_all(names.iter().map(|name| taken(world, name))).await;
        }
    })
    .await;
}

async fn taken(world: &World, name: &str) {
    make_request(world, name).await;
    until_served(world, name).await;
    let uid = world.look(&namespace(name)).await.unwrap()["metadata"]["uid"].clone();
    world.must(&world.admin, Call::delete(namespace(name))).await;
    let taken = eventually("the stranger has the name", LIMIT, || async {
        let made = world.admin.call(Call::post("/api/v1/namespaces", strangers(name))).await;
        made.map_err(|e| format!("{e:#}"))?.object().map_err(|e| format!("{e:#}"))
    })
    .await
    .unwrap();
    assert_ne!(taken["metadata"]["uid"], uid);
    world.until_gone(&configmap(name)).await;
    world.until_gone(&secret(name)).await;
    make_request(world, name).await;
    stays_a_strangers(world, name, &taken).await;
}

fn strangers(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {support::RUN_LABEL: run()}}})
}

/// The request is refused, and nothing of the namespace was changed or made.
async fn stays_a_strangers(world: &World, name: &str, taken: &Value) {
    until_answered(world, name, "Refused: there is a namespace").await;
    let now = world.look(&namespace(name)).await.unwrap();
    assert_eq!(now["metadata"]["resourceVersion"], taken["metadata"]["resourceVersion"]);
    assert!(world.look(&format!("{}/serviceaccounts/admin", namespace(name))).await.is_err());
    assert!(world.look(&secret(name)).await.is_err());
    world.must(&world.admin, Call::delete(namespace(name))).await;
    world.must(&world.admin, Call::delete(configmap(name))).await;
    world.until_gone(&namespace(name)).await;
}

/// Asked for, and made by somebody else, in the same moment: it is the one's or the other's.
#[tokio::test]
async fn a_name_that_two_want_goes_to_one() {
    adapted("nspraced", &[], async |world, _, _controller| {
        let names: Vec<String> = (0..RACES.0).map(|n| name(&format!("raced{n}"))).collect();
        let mut won = 0;
        for names in names.chunks(RACES.1) {
            won += join_all(names.iter().map(|name| raced(world, name)))
                .await
                .into_iter()
                .filter(|won| *won)
                .count();
        }
        println!("{won} of {} went to the adapter", names.len());
    })
    .await;
}

/// Was it the adapter's?
async fn raced(world: &World, name: &str) -> bool {
    let strangers = async {
        // So many requests at once are served within half a second or so.
        tokio::time::sleep(std::time::Duration::from_millis(rand(name) % 600)).await;
        world.admin.call(Call::post("/api/v1/namespaces", strangers(name))).await.unwrap()
    };
    let ((), made) = tokio::join!(make_request(world, name), strangers);
    if made.is_success() {
        stays_a_strangers(world, name, &made.body).await;
        return false;
    }
    assert_eq!(made.code, 409, "{made}");
    until_served(world, name).await;
    world.must(&world.admin, Call::delete(namespace(name))).await;
    until_all_gone(world, name).await;
    true
}

/// A number that is another for each name.
fn rand(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// SIGKILL before each write, one after the other: each time one namespace, one Secret, one token that works.
async fn killed_at_every_write(subject: &str, policy: &str) {
    adapted(subject, &[], async |world, controllers, first| {
        first.kill();
        let settings = on(&[("TOKEN_POLICY_DEFAULT", policy)]);
        for write in 1.. {
            assert!(write <= MOST_WRITES, "no run came through");
            let name = name(&format!("{subject}{write}"));
            let secrets = Witness::<Secret>::start(world.admin.client()).await;
            let places = Witness::<Namespace>::start(world.admin.client()).await;
            let mut controller = controllers.start_with(&settings, Some(write));
            make_request(world, &name).await;
            let mut killed = false;
            let kept = &tokio::sync::Mutex::new((&mut controller, &mut killed));
            eventually(&format!("{name} is served"), LIMIT, || async {
                let mut kept = kept.lock().await;
                if kept.0.is_dead() {
                    assert!(!*kept.1, "a controller without fault points has died");
                    *kept.1 = true;
                    *kept.0 = controllers.start_with(&settings, None);
                }
                let place = world.look(&namespace(&name)).await?;
                let secret = world.look(&secret(&name)).await?;
                let on_record = place["metadata"]["labels"][ISSUED_LABEL].is_string();
                if on_record && secret["metadata"]["labels"][ISSUED_LABEL] == "" {
                    Ok(())
                } else {
                    Err(place.to_string())
                }
            })
            .await
            .unwrap();
            let served = until_served(world, &name).await;
            println!("{subject}: killed before write {write}: {killed}");

            let token = String::from_utf8(base64(&served["data"]["token"])).unwrap();
            works(world, &token, &name).await;
            let made = |seen: &[Seen<Secret>]| {
                seen.iter().filter(|s| matches!(s, Seen::Made(o) if o.name_any() == name)).count()
            };
            let changed: Vec<Vec<u8>> = secrets
                .seen()
                .into_iter()
                .filter_map(|s| match s {
                    Seen::Made(o) | Seen::Changed(o) if o.name_any() == name => {
                        Some(o.data.unwrap_or_default()["token"].0.clone())
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(made(&secrets.seen()), 1, "Secrets, killed before write {write}");
            assert!(changed.iter().all(|t| *t == token.as_bytes()), "tokens, killed before write {write}");
            let namespaces = places.seen();
            let namespaces =
                namespaces.iter().filter(|s| matches!(s, Seen::Made(o) if o.name_any() == name)).count();
            assert_eq!(namespaces, 1, "namespaces, killed before write {write}");
            world.must(&world.admin, Call::delete(namespace(&name))).await;
            if !killed {
                assert!(write > 8, "only {} writes: the fault points are not in force", write - 1);
                break;
            }
        }
    })
    .await;
}

fn base64(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap()
}

async fn works(world: &World, token: &str, name: &str) {
    let holder: Identity = world.admin.with_token(token).await.unwrap();
    eventually("the token works", LIMIT, || async {
        let answer = holder.call(Call::get(format!("{}/configmaps", namespace(name)))).await;
        let answer = answer.map_err(|e| format!("{e:#}"))?;
        if answer.is_success() { Ok(()) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn killed_while_it_issues_often() {
    killed_at_every_write("often", "multiple-times").await;
}

#[tokio::test]
async fn killed_while_it_issues_once() {
    killed_at_every_write("once", "only-once").await;
}

/// Two controllers, many requests at once: none lost, none served twice.
#[tokio::test]
async fn two_at_once_serve_each_request_once() {
    adapted("nsptwo", &[("TOKEN_POLICY_DEFAULT", "only-once")], async |world, controllers, _first| {
        let second = controllers.start_with(&on(&[("TOKEN_POLICY_DEFAULT", "only-once")]), None);
        second.until_ready().await;
        let secrets = Witness::<Secret>::start(world.admin.client()).await;
        let names: Vec<String> = (0..30).map(|n| name(&format!("two{n}"))).collect();
        join_all(names.iter().map(|name| make_request(world, name))).await;
        for name in &names {
            until_served(world, name).await;
        }
        let seen = secrets.seen();
        for name in &names {
            let tokens: std::collections::BTreeSet<Vec<u8>> = seen
                .iter()
                .filter_map(|s| match s {
                    Seen::Made(o) | Seen::Changed(o) if o.name_any() == *name => {
                        Some(o.data.as_ref().unwrap()["token"].0.clone())
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(tokens.len(), 1, "tokens of {name}");
            assert!(!seen.iter().any(|s| matches!(s, Seen::Gone(o) if o.name_any() == *name)));
            world.must(&world.admin, Call::delete(namespace(name))).await;
        }
        let label = format!("{GRANT_LABEL}={NSPLEASE}");
        eventually("all of it is gone", LIMIT, || async {
            let left =
                Call::get(format!("/api/v1/namespaces/{REQUESTS}/secrets")).query("labelSelector", &label);
            let left = world.admin.call(left).await.map_err(|e| format!("{e:#}"))?.body;
            let left =
                left["items"].as_array().into_iter().flatten().map(|s| s["metadata"]["name"].to_string());
            let ours = left.filter(|l| names.iter().any(|n| l.contains(n.as_str()))).count();
            if ours == 0 { Ok(()) } else { Err(format!("{ours} Secrets")) }
        })
        .await
        .unwrap();
    })
    .await;
}
