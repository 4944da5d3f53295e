//! A shell in a copy of a workload's pod: what is said while it is waited for, what the approver is shown, and how it ends.

use oz_shared::Request as _;
use serde_json::{Value, json};
use support::{Call, with};

use crate::bodies;
use crate::home::Home;
use crate::left::{busy, restored};
use crate::lending::message;
use crate::running::Said;
use crate::stage::staged;
use crate::terminal::{PROMPT, Terminal};
use crate::world::World;

const DOWN: &str = "\x1b[B";

/// The workload.
const DB: &str = "db";
/// Lends a copy of it when one other agrees, and asks for a reason.
const ASKED: &str = "db-shell";
/// Lends one at once.
const FREE: &str = "db-free";

/// Runs a test where there is a Deployment, and templates that lend copies of its pod.
async fn with_copies(subject: &str, body: impl AsyncFnOnce(&World)) {
    staged(subject, async |world| {
        let deployments = world.ns.path("apps/v1", "deployments");
        world.must(&world.dave, Call::post(deployments, bodies::workload("Deployment", DB))).await;
        world.template(ASKED, shell(json!({"approvals": 1, "reason": "Required"}))).await;
        world.template(FREE, shell(json!({}))).await;
        body(world).await;
    })
    .await;
}

fn shell(spec: Value) -> Value {
    let shell = json!({
        "workload": {"kind": "Deployment", "name": DB},
        "maxResources": {"memory": "1Gi", "cpu": "1000"},
    });
    with(json!({"exec": null, "shell": shell, "reason": "Optional"}), &spec)
}

impl World {
    /// The pod that a request was lent.
    async fn pod_of(&self, name: &str) -> Value {
        let pod = self.request(name).await.unwrap().status.unwrap().pod;
        self.look(&self.ns.core(&format!("pods/{pod}"))).await.unwrap()
    }

    async fn may(&self, who: &str, group: &str, resource: &str) {
        let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]}]);
        self.role(&format!("{who}-reads-{resource}"), rules, who).await;
        let identity = if who == "bob" { &self.bob } else { &self.alice };
        self.until_may(identity, "get", group, resource, true).await.unwrap();
    }
}

/// What was said, but for the details, which are indented, and for the kubeconfig's first change.
fn steps(said: &Said) -> Vec<&str> {
    said.stderr.lines().filter(|line| !line.starts_with("  ") && !line.starts_with("Kept ")).collect()
}

#[tokio::test]
async fn asked_for_approved_and_entered() {
    with_copies("story", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let ask = ["access-request", ASKED, "-m", "128Mi", "-c", "0.1", "--reason", "INC-42"];
        let mut running = alice.start(&ask);
        running.until_says("to approve: oz approve");
        let name = world.only_request().await.metadata.name.unwrap();
        bob.must(&["approve", &name, "-y"]);
        // Nobody types: the shell ends at once.
        let said = running.end();
        let pod = world.pod_of(&name).await;
        let pod_name = pod["metadata"]["name"].as_str().unwrap();
        assert_eq!(said.code, 0, "{said}");
        let expected = [
            &format!("Generating `{name}` CR..."),
            "Waiting for approval...",
            "bob approved (1 of 1)",
            "Waiting for Pod...",
            &format!("Pod Launched: {pod_name}"),
            "Opening shell...",
        ];
        assert_eq!(steps(&said)[..6], expected, "{said}");
        assert!(steps(&said)[6].starts_with("The access stays until "), "{said}");
        assert!(pod_name.starts_with("db-oz-"), "{pod_name}");
        let main = &pod["spec"]["containers"][0];
        assert_eq!(main["resources"]["limits"], json!({"memory": "128Mi", "cpu": "100m"}));

        // And back, on a terminal, where it is its own machine.
        let mut terminal = Terminal::open(&alice, &["shell", &name]);
        terminal.until(PROMPT);
        assert!(terminal.line("echo $HOSTNAME").contains(pod_name));
        terminal.line("echo kept > /tmp/kept");
        terminal.send("exit 3\r");
        terminal.until("come back:  oz shell ");
        assert_eq!(terminal.end(), 3);
        let kept = alice.oz(&["shell", &name, "--", "cat", "/tmp/kept"]);
        assert_eq!((kept.code, kept.stdout().as_str()), (0, "kept\n"), "{kept}");
    })
    .await;
}

#[tokio::test]
async fn commands_and_the_end() {
    with_copies("end", async |world| {
        let alice = Home::of(world, "alice");
        let said =
            alice.oz(&["access-request", FREE, "--rm", "--", "sh", "-c", "cat; echo err >&2; exit 42"]);
        assert_eq!(said.code, 42, "{said}");
        let says = |word: &str| said.stderr.lines().any(|line| line.starts_with(word));
        assert!(says("err") && says("Waiting for Pod...") && says("Released "), "{said}");
        assert!(!says("Waiting for approval"), "{said}");
        let request = world.only_request().await;
        world.until_phase(&request.metadata.name.clone().unwrap(), "Released").await;
        world.until_nothing_left(&request).await;
        assert!(alice.contexts().is_empty(), "{:?}", alice.contexts());

        // The context is for kubectl, too.
        let said = alice.oz(&["access-request", FREE, "--wait", "ready"]);
        assert_eq!(said.code, 0, "{said}");
        let context = alice.contexts().remove(0);
        let pod = world.request(said.stdout().trim()).await.unwrap().status.unwrap().pod;
        let ran = alice.kubectl(&["--context", &context, "exec", &pod, "-c", "main", "--", "hostname"]);
        assert_eq!((ran.code, ran.stdout().trim()), (0, pod.as_str()), "{ran}");
    })
    .await;
}

#[tokio::test]
async fn more_than_is_lent() {
    with_copies("more", async |world| {
        world.template("as-it-is", shell(json!({"shell": {"maxResources": null}}))).await;
        let alice = Home::of(world, "alice");
        let mistakes: [(&[&str], &str, &str); 6] = [
            (&[FREE, "-m", "2Gi"], "up to 1Gi, not 2Gi", "--memory 1Gi"),
            (&["as-it-is", "-c", "1"], "does not let a request choose its cpu", "leave out --cpu"),
            (&[FREE, "-m", "128MB"], "128Mi", ""),
            (&[FREE, "-c", "0"], "128Mi", ""),
            (&[FREE, "--image", "busybox"], "it takes no --image", "leave out --image"),
            (&[crate::stage::FREE, "-m", "1Gi"], "web lends exec: it takes no --memory", "leave out"),
        ];
        for (args, word, hint) in mistakes {
            let said = alice.oz(&[&["access-request"], args].concat());
            assert_eq!(said.code, 2, "{args:?}: {said}");
            assert!(said.stderr.contains(word) && said.stderr.contains(hint), "{args:?}: {said}");
        }
        // Who may not read the template is told by the policy.
        let rules = json!([
            {"apiGroups": ["ozaccess.io"], "resources": ["accessrequests"], "verbs": ["create", "get", "list", "watch"]},
            {"apiGroups": ["ozaccess.io"], "resources": ["accesstemplates"], "resourceNames": [FREE], "verbs": ["request"]},
        ]);
        world.role("asking-only", rules, "carol").await;
        world.until_may(&world.carol, "create", "ozaccess.io", "accessrequests", true).await.unwrap();
        let refused = Home::of(world, "carol").oz(&["access-request", FREE, "-m", "2Gi"]);
        assert_eq!(refused.code, 3, "{refused}");
        assert!(refused.stderr.contains("up to 1Gi, not 2Gi"), "{refused}");
        assert_eq!(world.requests().await.unwrap().len(), 0, "nothing was asked for");
    })
    .await;
}

#[tokio::test]
async fn no_room_for_it() {
    with_copies("room", async |world| {
        let alice = Home::of(world, "alice");
        let mut terminal = Terminal::open(&alice, &["access-request", FREE, "-c", "1000"]);
        terminal.until("Waiting for Pod...");
        terminal.until("Unschedulable: 0/");
        let request = world.only_request().await;
        let name = request.metadata.name.clone().unwrap();
        let described = alice.must(&["describe", &name]);
        assert!(
            described.lines().any(|line| line.starts_with("Starting:   Unschedulable: 0/")),
            "{described}"
        );
        terminal.send("\x03");
        terminal.until(&format!("Released {name}, which had been approved."));
        assert_eq!(terminal.end(), 130, "{}", terminal.shown().escape_debug());
        world.until_phase(&name, "Released").await;
        world.until_nothing_left(&request).await;
        // Who does not wait that long is told why.
        let late = alice.oz(&["access-request", FREE, "-c", "1000", "--timeout", "3s"]);
        assert_eq!(late.code, 5, "{late}");
        assert!(late.stderr.contains("it did not become usable within 3s"), "{late}");
    })
    .await;
}

#[tokio::test]
async fn an_image_without_a_shell() {
    with_copies("noshell", async |world| {
        let mut bare = bodies::workload("Deployment", "bare");
        let container = json!({"name": "main", "image": "localhost/noshell:1", "imagePullPolicy": "Never"});
        bare["spec"]["template"]["spec"]["containers"] = json!([container]);
        world.must(&world.dave, Call::post(world.ns.path("apps/v1", "deployments"), bare)).await;
        world.template("bare", shell(json!({"shell": {"workload": {"name": "bare"}}}))).await;
        let alice = Home::of(world, "alice");
        let said = alice.oz(&["access-request", "bare"]);
        assert_eq!(said.code, 8, "{said}");
        assert!(said.stderr.contains("ask for a debug template"), "{said}");
        assert!(said.stderr.contains("hint: oz describe access-request-bare-"), "{said}");
        let request = world.only_request().await;
        assert_eq!(request.phase().as_str(), "Failed");
        world.until_nothing_left(&request).await;
        let again = alice.oz(&["shell", &request.metadata.name.unwrap()]);
        assert_eq!(again.code, 8, "{again}");
    })
    .await;
}

#[tokio::test]
async fn taken_away_under_an_open_shell() {
    with_copies("cut", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = alice.must(&["access-request", FREE, "--wait", "ready"]);
        let request = world.request(&name).await.unwrap();
        let mut terminal = busy(&alice, &name, &[]);
        bob.must(&["revoke", &name, "--reason", "the incident is over"]);
        restored(&mut terminal);
        terminal.until("the access was released by bob: the incident is over");
        terminal.until(&format!("hint: ask again: oz access-request {FREE}"));
        assert_eq!(terminal.end(), 6, "{}", terminal.shown().escape_debug());
        assert!(alice.contexts().is_empty(), "{:?}", alice.contexts());
        world.until_nothing_left(&request).await;
    })
    .await;
}

#[tokio::test]
async fn at_its_deadline() {
    with_copies("deadline", async |world| {
        let alice = Home::of(world, "alice");
        let name = alice.must(&["access-request", FREE, "--duration", "8s", "--wait", "ready"]);
        let mut terminal = busy(&alice, &name, &[]);
        restored(&mut terminal);
        terminal.until("the access has expired");
        assert_eq!(terminal.end(), 6, "{}", terminal.shown().escape_debug());
        world.until_phase(&name, "Expired").await;
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_ends_by_itself() {
    with_copies("ends", async |world| {
        let alice = Home::of(world, "alice");
        let name = alice.must(&["access-request", FREE, "--wait", "ready"]);
        let mut terminal = Terminal::open(&alice, &["shell", &name]);
        terminal.until(PROMPT);
        terminal.send("kill 1\r");
        terminal.until("the access has ended: pod db-oz-");
        assert_eq!(terminal.end(), 6, "{}", terminal.shown().escape_debug());
        let over = alice.oz(&["shell", &name]);
        assert_eq!(over.code, 6, "{over}");
    })
    .await;
}

#[tokio::test]
async fn what_is_approved_is_shown() {
    with_copies("shown", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let ask = ["access-request", ASKED, "-m", "64Mi", "--reason", "INC-1", "--wait", "none"];
        let name = alice.must(&ask);
        let request = world.until(&name, "it was looked at", |r| r.status.is_some()).await;
        let offered = request.status.unwrap().offered;
        assert!(offered[0].starts_with("a copy of a pod of Deployment db: pod db-oz-"), "{offered:?}");
        let described = bob.must(&["describe", &name]);
        for line in offered.iter().map(String::as_str).chain(["Memory:     64Mi"]) {
            assert!(described.contains(line), "{line}: {described}");
        }
        let rule = described.lines().skip_while(|line| *line != "As RBAC rules:").nth(2).unwrap_or_default();
        assert!(rule.starts_with("  get,create on pods/exec named db-oz-"), "{described}");
        // The pod is made of what the approver may not read here.
        let refused = bob.oz(&["describe", &name, "--pod"]);
        assert_eq!(refused.code, 3, "{refused}");
        assert!(refused.stderr.contains("bob may not get deployments in namespace"), "{refused}");
        world.may("bob", "apps", "deployments").await;
        let said = bob.oz(&["describe", &name, "--pod"]);
        assert!(said.code == 0 && !said.stderr.contains("warning"), "{said}");
        let shown: Value = serde_yaml::from_str(&said.stdout()).unwrap();

        let said = bob.oz(&["approve", &name, "-y"]);
        assert!(said.code == 0 && said.stderr.contains(&offered[0]), "{said}");
        world.until_phase(&name, "Active").await;
        let pod = world.pod_of(&name).await;
        assert_eq!(shown["metadata"]["name"], pod["metadata"]["name"]);
        for field in ["containers", "activeDeadlineSeconds", "automountServiceAccountToken", "restartPolicy"]
        {
            assert_eq!(shown["spec"][field], pod["spec"][field], "{field}");
        }
        let granted = world.request(&name).await.unwrap().status.unwrap().granted;
        assert_eq!(granted, offered);
        let listed = Home::of(world, "admin").must(&["grants", "-o", "wide"]);
        let row = listed.lines().find(|line| line.contains(&name)).unwrap();
        assert!(row.split_whitespace().any(|cell| cell == "Deployment/db"), "{listed}");

        // What has become another pod since it was offered is told, and not granted.
        let name = alice.must(&ask);
        world.until(&name, "it was looked at", |r| r.status.is_some()).await;
        let deployment = world.ns.path("apps/v1", &format!("deployments/{DB}"));
        let mut said = None;
        // A controller that just looks offers the new one: it does so once, so that another change meets what was offered.
        for network in [true, false, true] {
            let other = json!({"spec": {"template": {"spec": {"hostNetwork": network}}}});
            world.must(&world.admin, Call::merge(&deployment, other)).await;
            let shown = bob.oz(&["describe", &name, "--pod"]);
            let warned =
                shown.code == 0 && shown.stderr.contains("warning: the controller has offered it otherwise");
            said = Some(shown);
            if warned {
                said = None;
                break;
            }
        }
        assert!(said.is_none(), "{}", said.unwrap());
        bob.must(&["approve", &name, "-y"]);
        let failed = world.until_phase(&name, "Failed").await;
        assert!(message(&failed, "Ready").contains("has changed since bob approved"), "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn the_container_is_chosen_on_a_terminal() {
    with_copies("choice", async |world| {
        world.may("alice", "apps", "deployments").await;
        let alice = Home::of(world, "alice");
        let mut terminal = Terminal::open(&alice, &["access-request", FREE, "--wait", "none"]);
        terminal.until("Which container?");
        terminal.until("side");
        terminal.send(DOWN);
        terminal.send(DOWN);
        terminal.send("\r");
        assert_eq!(terminal.end(), 0, "{}", terminal.shown().escape_debug());
        assert_eq!(world.only_request().await.spec.container, "side");
        let templates = alice.must(&["templates", "-o", "wide"]);
        let row = templates.lines().find(|line| line.starts_with(FREE)).unwrap();
        assert!(row.split_whitespace().any(|cell| cell == "Deployment/db"), "{templates}");
    })
    .await;
}
