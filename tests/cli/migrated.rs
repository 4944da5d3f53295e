//! What `oz migrate` prints is what this API server takes.

use std::fs;

use crate::home::Home;
use crate::running::Running;
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
