//! What `oz migrate` prints is what this API server takes.

use std::fs;

use serde_json::json;
use support::rights::{self, bind_everywhere, user};

use crate::home::Home;
use crate::partners::{Partners, reader};
use crate::running::{Running, Said};
use crate::spaces::Spaces;
use crate::world::scenario;

const TEMPLATES: &str = "\
apiVersion: crds.wizardofoz.co/v1alpha1
kind: PodAccessTemplate
metadata: {name: console, labels: {team: shop}}
spec:
  accessConfig: {allowedGroups: [admins, devs], defaultDuration: 1h, maxDuration: 2h0m0s}
  controllerTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}
  controllerTargetMutationConfig:
    command: [/bin/sleep, '999999']
    env: [{name: FOO, value: bar}]
    resources: {requests: {memory: 42Mi, cpu: 100m}}
    podAnnotations: {a: b}
    podLabels: {role: console}
    nodeSelector: {disk: ssd}
    keepLivenessProbe: true
    patchSpecOperations: [{op: replace, path: /spec/containers/0/workingDir, value: /tmp}]
  maxMemory: 1Gi
  maxCpu: 1
  maxStorage: 1Gi
---
apiVersion: crds.wizardofoz.co/v1alpha1
kind: ExecAccessTemplate
metadata: {name: entry}
spec:
  accessConfig: {allowedGroups: [devs], defaultDuration: 90m, maxDuration: 24h}
  controllerTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web}
---
apiVersion: crds.wizardofoz.co/v1alpha1
kind: ExecAccessRequest
metadata: {name: mine}
spec: {templateName: entry, duration: 5m}
";

#[tokio::test]
async fn from_the_go_tool() {
    scenario("cli-migrated", async |world| {
        let home = Home::of(world, "admin");
        fs::write(home.path().join("old.yaml"), TEMPLATES).unwrap();
        let said = home.oz(&["migrate", "oz", "old.yaml"]);
        assert_eq!(said.code, 0, "{said}");
        for words in [
            "old.yaml, document 1 (PodAccessTemplate console)",
            "maxStorage",
            "oz access-request entry --duration 5m",
        ] {
            assert!(said.stderr.contains(words), "{words}: {said}");
        }
        fs::write(home.path().join("new.yaml"), said.stdout()).unwrap();
        let taken = home.kubectl(&["apply", "--dry-run=server", "-o", "name", "-f", "new.yaml"]);
        assert_eq!(taken.code, 0, "{taken}");
        let kinds: Vec<String> =
            taken.stdout().lines().map(|line| line.split('/').next().unwrap().to_owned()).collect();
        let each = [
            "accesstemplate.ozaccess.io",
            "role.rbac.authorization.k8s.io",
            "rolebinding.rbac.authorization.k8s.io",
        ];
        assert_eq!(kinds, [each, each].concat());
        // Nothing was written, and `kubectl get -o yaml` is read as well.
        let list = format!(
            "kind: List\nitems:\n- {}",
            TEMPLATES.split("---\n").nth(1).unwrap().replace('\n', "\n  ")
        );
        let piped = Running::start(home.command(&["migrate", "oz", "-"]), list.into_bytes()).end();
        assert!(piped.code == 0 && piped.stderr.contains("standard input, document 1, item 1"), "{piped}");
        assert!(piped.stdout().contains("kind: Rollout"), "{piped}");

        fs::write(home.path().join("other.yaml"), "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n")
            .unwrap();
        let other = home.oz(&["migrate", "oz", "old.yaml", "other.yaml"]);
        assert_eq!((other.code, other.stdout().as_str()), (2, ""), "{other}");
        assert!(other.stderr.contains("other.yaml, document 1 (Pod x): Pod of v1"), "{other}");
    })
    .await;
}

/// What would become of these objects in the cluster.
fn dry(home: &Home, objects: &str) -> Said {
    home.kubectl_fed(&["create", "--dry-run=server", "-o", "name", "-f", "-"], objects.as_bytes().to_vec())
}

/// Writes down who this is.
fn whoami(home: &Home) {
    let me = home.kubectl(&["auth", "whoami", "-o", "yaml"]);
    assert_eq!(me.code, 0, "{me}");
    fs::write(home.path().join("me.yaml"), me.stdout()).unwrap();
}

#[tokio::test]
async fn from_the_federation_controller() {
    scenario("cli-migrated-fed", async |world| {
        let partners = Partners::new(world, json!({})).await;
        let binding = format!("{}-alice", world.ns.name);
        bind_everywhere(&world.admin, &binding, "oz-federation-requester", &[user("alice")]).await.unwrap();
        let may = json!({"verb": "create", "group": "ozaccess.io", "resource": "federations"});
        rights::until(&world.admin, world.alice.user(), may, true).await.unwrap();
        let (home, alice) = (Home::of(world, "admin"), Home::of(world, "alice"));
        let (name, class) = (partners.name("site"), &partners.spaces.class);
        let old = format!(
            "apiVersion: v1\nkind: List\nitems:\n\
             - {{apiVersion: slateci.io/v1alpha2, kind: Cluster, metadata: {{name: {name}, uid: x}}, spec: {{Organization: slate, Namespace: {name}}}}}\n\
             - {{apiVersion: slateci.io/v1alpha2, kind: ClusterNS, metadata: {{name: web, namespace: {name}}}}}\n"
        );
        fs::write(home.path().join("old.yaml"), &old).unwrap();
        whoami(&home);
        let federations = ["migrate", "federation-controller", "old.yaml"];
        let said = home.oz(&[&federations[..], &["--only", "requests", "--requester", "me.yaml"]].concat());
        assert_eq!(said.code, 0, "{said}");
        let asks = format!("oz --context oz-imported-{name} namespace-request {name}-web --class federation");
        assert!(said.stderr.contains(&asks), "{said}");
        let federation = said.stdout();
        let taken = dry(&home, &home.must(&[&federations[..], &["--only", "policy"]].concat()));
        assert!(taken.code == 0 && taken.stdout().contains("namespaceclass.ozaccess.io/federation"), "{taken}");
        // Under a class that is there, as nothing was written.
        let under = |text: &str| {
            text.replace("class: federation\n", &format!("class: {class}\n"))
                .replace("clusterRole: federation-read\n", &format!("clusterRole: {}\n", reader(world)))
        };
        let taken = dry(&home, &under(&federation));
        assert!(taken.code == 0 && taken.stdout().contains(&format!("federation.ozaccess.io/{name}")), "{taken}");
        // Nobody else asks in his place, and without anybody it is not taken.
        let other = dry(&alice, &under(&federation));
        assert!(other.code != 0 && other.stderr.contains("must say who you are"), "{other}");
        let open = home.oz(&federations);
        assert!(open.code == 0 && open.stderr.contains("--fill-requester"), "{open}");
        assert!(open.stderr.contains(&format!("oz federation-request {name} --class federation")), "{open}");
        assert!(!open.stdout().contains("requester") && open.stdout().contains("kind: NamespaceClass"), "{open}");

        let nobody = home.oz(&["migrate", "federation-controller", "--requester", "old.yaml", "old.yaml"]);
        assert!(nobody.code == 2 && nobody.stderr.contains("kubectl auth whoami"), "{nobody}");
        let none = Running::start(home.command(&["migrate", "federation-controller", "-"]), b"kind: Pod\napiVersion: v1\n".to_vec()).end();
        assert!(none.code == 2 && none.stdout().is_empty() && none.stderr.contains("Pod of v1"), "{none}");
    })
    .await;
}

const NSPLEASE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: nsplease, namespace: nsplease-system}
spec:
  template:
    spec:
      containers:
      - {name: nsplease, image: ghcr.io/jpetazzo/nsplease, env: [{name: VALID_REGEXES, value: '^pr-[0-9]+$ ^a|b$'}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pr-1, namespace: nsplease-requests}
";

#[tokio::test]
async fn from_nsplease() {
    scenario("cli-migrated-nsplease", async |world| {
        let home = Home::of(world, "admin");
        fs::write(home.path().join("old.yaml"), NSPLEASE).unwrap();
        let said = home.oz(&["migrate", "nsplease", "old.yaml"]);
        assert!(said.code == 0 && said.stderr.contains("nsplease request pr-1"), "{said}");
        // It stands under another name, so that it is in nobody's way.
        let class = said.stdout().replace("name: ci\n", &format!("name: {}\n", world.ns.name));
        let taken = dry(&home, &class);
        assert!(taken.code == 0 && taken.stdout().starts_with("namespaceclass.ozaccess.io/"), "{taken}");

        fs::write(
            home.path().join("secret.yaml"),
            "apiVersion: v1\nkind: Secret\nmetadata: {name: pr-1}\ndata: {token: c2VjcmV0}\n",
        )
        .unwrap();
        let secret = home.oz(&["migrate", "nsplease", "old.yaml", "secret.yaml"]);
        assert!(
            secret.code == 2 && secret.stdout().is_empty() && !secret.stderr.contains("c2VjcmV0"),
            "{secret}"
        );
    })
    .await;
}

#[tokio::test]
async fn from_dispatch() {
    scenario("cli-migrated-dispatch", async |world| {
        let spaces = Spaces::new(world, json!({})).await;
        world.ns.bind("alice-spaces", "oz-namespace-requester", &[user("alice")]).await.unwrap();
        world.until_may(&world.alice, "create", "ozaccess.io", "namespacerequests", true).await.unwrap();
        let home = Home::of(world, "admin");
        let old = "apiVersion: netsys.io/v1\nkind: DispatchUser\nmetadata: {name: will, namespace: dispatch}\n\
                   spec: {userID: '123456', namespaces: [test-namespace-2]}\n";
        fs::write(home.path().join("old.yaml"), old).unwrap();
        whoami(&home);
        let users = ["migrate", "dispatch", "old.yaml"];
        let said = home.oz(&[&users[..], &["--only", "requests", "--requester", "me.yaml"]].concat());
        assert!(said.code == 0 && said.stderr.contains("becomes dispatch-test-namespace-2"), "{said}");
        let taken = dry(&home, &home.must(&[&users[..], &["--only", "policy"]].concat()));
        assert!(taken.code == 0 && taken.stdout().contains("namespaceclass.ozaccess.io/dispatch"), "{taken}");
        // Under a class that is there, where that may be asked for.
        let under = said
            .stdout()
            .replace("class: dispatch\n", &format!("class: {}\n", spaces.class))
            .replace("namespace: oz-requests\n", &format!("namespace: {}\n", world.ns.name));
        let taken = dry(&home, &under);
        assert!(taken.code == 0 && taken.stdout().contains("namespacerequest.ozaccess.io/dispatch-test-namespace-2"), "{taken}");
        let other = dry(&Home::of(world, "alice"), &under);
        assert!(other.code != 0 && other.stderr.contains("must say who you are"), "{other}");
    })
    .await;
}

#[tokio::test]
async fn from_subject_access_delegation() {
    scenario("cli-migrated-delegation", async |world| {
        world.ns.bind("alice-delegates", "oz-delegator", &[user("alice")]).await.unwrap();
        world.until_may(&world.alice, "create", "ozaccess.io", "delegations", true).await.unwrap();
        let (home, alice) = (Home::of(world, "admin"), Home::of(world, "alice"));
        let old = format!(
            "apiVersion: authz.k8s.io/v1alpha1\nkind: SubjectAccessDelegation\nmetadata: {{name: nights, namespace: {}}}\n\
             spec:\n  repeat: 365\n  originSubject: {{kind: User, name: Employee}}\n\
             \x20 destinationSubjects: [{{kind: User, name: Remote-Employee1}}, {{kind: User, name: Remote-Employee2}}]\n\
             \x20 triggers: [{{kind: Time, value: '6:00pm'}}, {{kind: AddPod, value: 'web-*', replicas: 2}}]\n\
             \x20 deletionTriggers: [{{kind: Time, value: 14h}}]\n",
            world.ns.name
        );
        for home in [&home, &alice] {
            fs::write(home.path().join("old.yaml"), &old).unwrap();
            whoami(home);
        }
        let args = ["migrate", "subject-access-delegation", "--requester", "me.yaml", "old.yaml"];
        let said = home.oz(&args);
        assert!(said.code == 0 && said.stderr.contains("6:00pm was of the zone"), "{said}");
        let taken = dry(&home, &said.stdout());
        assert!(taken.code == 0 && taken.stdout().contains("delegation.ozaccess.io/nights"), "{taken}");
        // Nobody makes it in his place, and nobody hands on so what he could not hand on himself.
        let other = dry(&alice, &said.stdout());
        // Two policies have reason to refuse, and their order is the API server's.
        let words = ["must say who you are", "what you could hand on yourself"];
        assert!(other.code != 0 && words.iter().any(|word| other.stderr.contains(word)), "{other}");
        let more = dry(&alice, &alice.must(&args));
        assert!(more.code != 0 && more.stderr.contains("only what you could hand on yourself"), "{more}");
    })
    .await;
}
