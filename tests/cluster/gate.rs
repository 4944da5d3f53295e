//! Opening the gate for a moment: a binding relaxed in place, or deleted. It is put back however the test ends.

use std::process::Child;

use serde_json::{Value, json};
use support::filling::is_served;
use support::{Call, Outcome, RUN_LABEL, eventually, run};
use tempfile::TempDir;

use crate::bodies;
use crate::world::{LIMIT, World, kubectl};

/// A binding that is not as it should be, until this is dropped.
pub(crate) struct Altered {
    putting_back: Child,
    _saved: TempDir,
}

impl Altered {
    /// The binding only audits from now on.
    pub(crate) async fn relaxed(world: &World, binding: &str) -> Altered {
        let altered = Altered::saved(world, binding).await;
        world
            .must(&world.admin, Call::merge(path(binding), json!({"spec": {"validationActions": ["Audit"]}})))
            .await;
        altered
    }

    /// The binding is not there from now on; a new one of the same name will be.
    pub(crate) async fn deleted(world: &World, binding: &str) -> Altered {
        let altered = Altered::saved(world, binding).await;
        world.must(&world.admin, Call::delete(path(binding))).await;
        altered
    }

    async fn saved(world: &World, binding: &str) -> Altered {
        let mut object = world.must(&world.admin, Call::get(path(binding))).await;
        for field in ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        let saved = tempfile::tempdir().unwrap();
        let file = saved.path().join("binding.json");
        std::fs::write(&file, object.to_string()).unwrap();
        let words = ["apply", "-f", &file.display().to_string(), "-o", "name"];
        Altered { putting_back: kubectl(&world.lab, &words).arm().unwrap(), _saved: saved }
    }
}

impl Drop for Altered {
    fn drop(&mut self) {
        drop(self.putting_back.stdin.take());
        let _ = self.putting_back.wait();
    }
}

/// Others' admission, in the world's namespace: a policy that mutates each pod that is created there.
pub(crate) struct Mutating(String);

impl Mutating {
    /// By this patch, an expression of CEL; waits until pods are as `is` says. Values in it are `dyn()`, each of them:
    /// the API server dies of others. None where it serves no such policies.
    pub(crate) async fn pods(world: &World, patch: &str, is: impl Fn(&Value) -> bool) -> Option<Mutating> {
        let name = format!("{}-mutates", world.ns.name);
        let meta = json!({"name": name, "labels": {RUN_LABEL: run()}});
        let policy = json!({"metadata": meta, "spec": {"failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.ns.name}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": format!("[{patch}]")}}]}});
        let binding = json!({"metadata": meta, "spec": {"policyName": name}});
        if !is_served(&world.admin).await.unwrap() {
            return None;
        }
        for (kind, body) in MUTATING.iter().zip([policy, binding]) {
            world.must(&world.admin, Call::post(format!("{ADMISSION}/{kind}"), body)).await;
        }
        let probe = Call::post(world.ns.core("pods"), bodies::pod("probe", "probe")).dry();
        eventually("the policy mutates", LIMIT, || async {
            let made = world.admin.call(probe.clone()).await.map_err(|e| e.to_string())?;
            if is(&made.body) { Ok(()) } else { Err(made.to_string()) }
        })
        .await
        .unwrap();
        Some(Mutating(name))
    }

    /// Takes it away.
    pub(crate) async fn remove(self, world: &World) {
        for kind in MUTATING.iter().rev() {
            world.must(&world.admin, Call::delete(format!("{ADMISSION}/{kind}/{}", self.0))).await;
        }
    }
}

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const MUTATING: [&str; 2] = ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];

/// The path of a binding.
pub(crate) fn path(binding: &str) -> String {
    format!("{ADMISSION}/validatingadmissionpolicybindings/{binding}")
}

impl World {
    /// Waits until a request in another's name is, or is not, refused by the policy `oz-request-create`.
    pub(crate) async fn until_forgery_is(&self, refused: bool) {
        let forged = bodies::request(self.bob.user(), "forged", &json!({}));
        let call = Call::post(self.ns.oz("accessrequests"), forged).dry();
        eventually(&format!("a forged request is refused: {refused}"), LIMIT, || async {
            let answer = self.alice.call(call.clone()).await.map_err(|e| format!("{e:#}"))?;
            let policy = Outcome::of(&answer) == Outcome::Policy("oz-request-create".into());
            if policy == refused { Ok(()) } else { Err(answer.to_string()) }
        })
        .await
        .unwrap();
    }

    /// Sets the finalizers of something as the administrator, as soon as no policy is in the way any more.
    pub(crate) async fn set_finalizers(&self, path: &str, finalizers: Value) {
        eventually(&format!("finalizers {finalizers} on {path}"), LIMIT, || async {
            let patch = Call::merge(path, json!({"metadata": {"finalizers": finalizers}}));
            let answer = self.admin.call(patch).await.map_err(|e| format!("{e:#}"))?;
            if answer.is_success() || answer.code == 404 { Ok(()) } else { Err(answer.to_string()) }
        })
        .await
        .unwrap();
    }
}
