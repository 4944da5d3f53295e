//! Asking, deciding, ending, as people do it, and waiting for what the controller makes of it.

use oz_shared::conditions;
use oz_shared::names::GRANT_LABEL;
use oz_shared::{AccessRequest, Federation, NamespaceRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::{Call, Identity, eventually};

use crate::bodies;
use crate::world::{LIMIT, World};

/// More than any reader of JSON takes, and less than the API server does.
pub(crate) const LEVELS: usize = 400;

/// A kind of request.
pub(crate) trait Asked: Request + DeserializeOwned {
    /// Its resource.
    const PLURAL: &'static str;

    /// Where the one of this name, which is the world's own, is.
    fn path(world: &World, name: &str) -> String {
        world.ns.oz(&format!("{}/{name}", Self::PLURAL))
    }
}

impl Asked for AccessRequest {
    const PLURAL: &'static str = "accessrequests";
}

impl Asked for NamespaceRequest {
    const PLURAL: &'static str = "namespacerequests";
}

impl Asked for Federation {
    const PLURAL: &'static str = "federations";

    /// In no namespace: its name tells whose it is.
    fn path(world: &World, name: &str) -> String {
        format!("/apis/ozaccess.io/v1alpha1/{}/{}-{name}", Self::PLURAL, world.ns.name)
    }
}

impl World {
    /// A request of any kind as it is.
    pub(crate) async fn asked<R: Asked>(&self, name: &str) -> Result<R, String> {
        let body = self.look(&R::path(self, name)).await?;
        serde_json::from_value(body).map_err(|error| error.to_string())
    }

    /// Adds to an object, as someone who may write it, fields nested deep that he claims to own.
    pub(crate) async fn nest(&self, who: &Identity, path: &str) {
        let fields = (0..LEVELS).fold(json!({}), |fields, _| json!({"f:a": fields}));
        let claim = json!({"manager": "someone", "operation": "Update", "apiVersion": "ozaccess.io/v1alpha1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields});
        eventually("it is nested", LIMIT, || async {
            let mut object = self.look(path).await?;
            object["metadata"]["managedFields"].as_array_mut().unwrap().push(claim.clone());
            let answer = who.call(Call::put(path, object)).await.map_err(|error| format!("{error:#}"))?;
            let stored = self.look(path).await?.to_string();
            let nested = stored.contains("nested too deep to be read");
            if nested { Ok(()) } else { Err(format!("{answer}: {stored}")) }
        })
        .await
        .unwrap();
    }

    /// The path of a request.
    pub(crate) fn request_path(&self, name: &str) -> String {
        self.ns.oz(&format!("accessrequests/{name}"))
    }

    /// Alice asks. `spec` goes over [`bodies::request`].
    pub(crate) async fn ask(&self, name: &str, spec: Value) {
        let body = bodies::request(self.alice.user(), name, &spec);
        self.must(&self.alice, Call::post(self.ns.oz("accessrequests"), body)).await;
    }

    /// Alice asks for what needs no approval, and gets it.
    pub(crate) async fn lent(&self, name: &str, spec: Value) -> AccessRequest {
        self.ask(name, spec).await;
        self.until_phase(name, "Active").await
    }

    /// Someone decides, on the template as it is now.
    pub(crate) async fn decide(&self, who: &Identity, name: &str, decision: &str) {
        let request = self.must(who, Call::get(self.request_path(name))).await;
        let pin = self.pin(request["spec"]["template"].as_str().unwrap()).await;
        self.decide_on(who, name, decision, &pin).await;
    }

    /// A template as it is now, as decisions name it.
    pub(crate) async fn pin(&self, template: &str) -> Value {
        let template =
            self.must(&self.bob, Call::get(self.ns.oz(&format!("accesstemplates/{template}")))).await;
        json!({"uid": template["metadata"]["uid"], "generation": template["metadata"]["generation"]})
    }

    /// Someone decides, on the template as it was when he looked.
    pub(crate) async fn decide_on(&self, who: &Identity, name: &str, decision: &str, pin: &Value) {
        let request = self.must(who, Call::get(self.request_path(name))).await;
        let answer = json!({
            "by": who.user().username, "decision": decision, "reason": "looked at it",
            "request": request["metadata"]["uid"], "template": pin,
            "offer": request["status"]["offerDigest"].as_str().unwrap_or_default(),
        });
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": request["metadata"]["uid"]},
            {"op": "add", "path": "/spec/decisions/-", "value": answer},
        ]);
        // The policies learn of a template's change by watch.
        eventually(&format!("{} decides on {name}", who.user().username), LIMIT, || async {
            let call = Call::json_patch(self.request_path(name), patch.clone());
            let answer = who.call(call).await.map_err(|error| format!("{error:#}"))?;
            if answer.is_success() { Ok(()) } else { Err(answer.to_string()) }
        })
        .await
        .unwrap();
    }

    /// Someone ends it: the requester releases, another revokes.
    pub(crate) async fn release(&self, who: &Identity, name: &str) {
        let spec = json!({"released": true, "releasedBy": who.user().username, "releaseReason": "done"});
        self.must(who, Call::merge(self.request_path(name), json!({"spec": spec}))).await;
    }

    /// The request as it is.
    pub(crate) async fn request(&self, name: &str) -> Result<AccessRequest, String> {
        self.asked(name).await
    }

    /// Waits until a request is in this phase.
    pub(crate) async fn until_phase(&self, name: &str, phase: &str) -> AccessRequest {
        self.until(name, &format!("request {name} is {phase}"), |request| {
            request.phase().as_str() == phase && request.status.is_some()
        })
        .await
    }

    /// Waits until a request is as it should be.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&AccessRequest) -> bool,
    ) -> AccessRequest {
        eventually(what, LIMIT, || async {
            let request = self.request(name).await?;
            if is(&request) { Ok(request) } else { Err(format!("{:?}", request.status)) }
        })
        .await
        .unwrap()
    }

    /// Waits until a request has ended in this phase, its condition Ready giving this reason.
    pub(crate) async fn until_ended(&self, name: &str, phase: &str, reason: &str) -> AccessRequest {
        let request = self.until_phase(name, phase).await;
        assert_eq!(word(&request, conditions::READY), reason, "{:?}", request.status);
        let status = request.status.as_ref().unwrap();
        assert!(status.ended_at.is_some() && status.delete_after.is_some(), "{status:?}");
        request
    }

    /// Waits until a request waits for this reason.
    pub(crate) async fn until_waiting(&self, name: &str, reason: &str) -> AccessRequest {
        let what = format!("request {name} waits because {reason}");
        self.until(name, &what, |request| {
            request.phase().as_str() == "Pending" && word(request, conditions::APPROVED) == reason
        })
        .await
    }

    /// The Grant of a request.
    pub(crate) async fn grant(&self, request: &AccessRequest) -> Result<Value, String> {
        self.look(&grant_path(request)).await
    }

    /// Waits until nothing is left of what was lent: no Grant, and nothing anywhere that carries its label.
    pub(crate) async fn until_nothing_left(&self, request: &AccessRequest) {
        let grant = &request.status.as_ref().unwrap().grant;
        self.until_gone(&grant_path(request)).await;
        let what = format!("nothing carries the label of {grant}");
        eventually(&what, LIMIT, || async {
            match self.labelled(&format!("{GRANT_LABEL}={grant}")).await?.as_slice() {
                [] => Ok(()),
                left => Err(left.join(", ")),
            }
        })
        .await
        .unwrap();
    }

    /// What carries that label, in the whole cluster: each as its path.
    pub(crate) async fn labelled(&self, selector: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for kind in [
            "/api/v1/namespaces",
            "/api/v1/serviceaccounts",
            "/api/v1/pods",
            "/api/v1/secrets",
            "/apis/rbac.authorization.k8s.io/v1/roles",
            "/apis/rbac.authorization.k8s.io/v1/rolebindings",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        ] {
            let call = Call::get(kind).query("labelSelector", selector);
            let list = self
                .admin
                .call(call)
                .await
                .and_then(support::Answer::object)
                .map_err(|e| format!("{e:#}"))?;
            for object in list["items"].as_array().into_iter().flatten() {
                let meta = &object["metadata"];
                found.push(format!("{kind} {}/{}", meta["namespace"], meta["name"]));
            }
        }
        Ok(found)
    }
}

/// The path of a request's Grant.
pub(crate) fn grant_path(request: &impl Request) -> String {
    let grant = &request.status().unwrap().grant;
    assert!(!grant.is_empty(), "no grant: {:?}", request.status());
    format!("/apis/ozaccess.io/v1alpha1/grants/{grant}")
}

/// The reason that a condition gives; empty where there is no such condition.
pub(crate) fn word(request: &AccessRequest, condition: &str) -> String {
    let conditions = request.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    conditions::get(conditions, condition).map(|c| c.reason.clone()).unwrap_or_default()
}

/// The message of a condition.
pub(crate) fn message(request: &AccessRequest, condition: &str) -> String {
    let conditions = request.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    conditions::get(conditions, condition).map(|c| c.message.clone()).unwrap_or_default()
}
