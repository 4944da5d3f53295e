//! What each test starts from: a namespace with a template or two, and the people in it with their rights.

use std::collections::BTreeMap;
use std::time::Duration;

use oz_shared::names::{CEILING_ROLE, NAMESPACE_ROLE, SESSIONS_NAMESPACE, SYSTEM_NAMESPACE};
use serde_json::{Value, json};
use support::rights::{self, account, group, user};
use support::{Call, Identity, Namespace, Outcome, User, eventually, run, with};

use crate::bodies::{class, exec, pod, template};
use crate::setup::{self, LENDER, LENDER_WIDE, own};

/// Templates reach the policies by watch.
const TEMPLATE_LIMIT: Duration = Duration::from_secs(20);

/// Where classes are.
pub(crate) const CLASSES: &str = "/apis/ozaccess.io/v1alpha1/namespaceclasses";

/// Who plays the people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    /// Real certificates, which give no uid, and the real token of the pipeline's account.
    Certificates,
    /// Impersonation with a uid each, as an identity provider would give.
    Uids,
}

/// A namespace, and people by name.
pub(crate) struct World {
    pub(crate) cast: Cast,
    pub(crate) ns: Namespace,
    /// The value of the grant label on what this test plants.
    pub(crate) grant: String,
    people: BTreeMap<&'static str, Identity>,
}

impl World {
    /// A fresh one. `subject` becomes part of names: letters and digits only.
    pub(crate) async fn new(subject: &str, cast: Cast) -> World {
        let lab = setup::lab().await.unwrap_or_else(|error| panic!("{error:#}"));
        let admin = Identity::from_kubeconfig(&lab.kubeconfig("admin")).await.unwrap();
        let ns = Namespace::create(&admin, &format!("tests-{subject}")).await.unwrap();
        let mut people = BTreeMap::new();
        for name in ["alice", "bob", "carol", "dave"] {
            let person = match cast {
                Cast::Certificates => Identity::from_kubeconfig(&lab.kubeconfig(name)).await.unwrap(),
                Cast::Uids => admin.impersonate(person(name, &[])).unwrap(),
            };
            people.insert(name, person);
        }
        people.insert("ctl", as_account(&admin, SYSTEM_NAMESPACE, "oz-controller").await);
        let ci = json!({"metadata": {"name": "ci"}});
        admin.call(Call::post(ns.core("serviceaccounts"), ci)).await.unwrap().object().unwrap();
        people.insert(
            "ci",
            match cast {
                Cast::Certificates => as_account(&admin, &ns.name, "ci").await,
                Cast::Uids => admin.impersonate(service_account(&ns.name, "ci", "u-ci")).unwrap(),
            },
        );
        people.insert("admin", admin.clone());
        let mut world =
            World { cast, ns, grant: format!("t-{}-{}-{cast:?}", subject, run()).to_lowercase(), people };
        world.people_by_impersonation();
        world.give_rights().await;
        world
    }

    fn people_by_impersonation(&mut self) {
        let alice = self.user("alice").clone();
        let others = [
            ("erin", person("erin", &[])),
            ("wide", person(&own("wide"), &[])),
            ("boss", person(&own("boss"), &[])),
            ("roles-wide", person(&own("roles-wide"), &[])),
            ("patcher", person("patcher", &[])),
            // Frank may decide by his group alone.
            ("frank", person("frank", &["leads"])),
            (
                "alice-lead",
                User { groups: [&["leads".to_owned()], &alice.groups[..]].concat(), ..alice.clone() },
            ),
            ("namesake", User { uid: "u-other".to_owned(), ..alice.clone() }),
            (
                "renamed",
                User { username: "alice2".to_owned(), groups: person("", &["leads"]).groups, ..alice },
            ),
            ("root", person("root", &["system:masters"])),
            ("anon", plain("system:anonymous", &["system:unauthenticated"])),
            ("sess", service_account(SESSIONS_NAMESPACE, "oz-n-aa-x1999999999", "u-s")),
            ("lender", controller_of(LENDER)),
            ("lender-wide", controller_of(LENDER_WIDE)),
            ("gc", service_account("kube-system", "generic-garbage-collector", "u-gc")),
            ("rs", service_account("kube-system", "replicaset-controller", "u-rs")),
            ("quota", service_account("kube-system", "resourcequota-controller", "u-rq")),
            ("apiserver", plain("system:apiserver", &["system:masters", "system:authenticated"])),
            ("sched", plain("system:kube-scheduler", &["system:authenticated"])),
            // Of the nodes' group, with every right and no node's name: what a real one may write is not the gate's to say.
            ("node-wide", plain("kubelet", &["system:nodes", "system:masters", "system:authenticated"])),
        ];
        let admin = self.who("admin").clone();
        for (name, user) in others {
            self.people.insert(name, admin.impersonate(user).unwrap());
        }
    }

    /// Ends with the binding that is waited for: the API server learns of them in order.
    async fn give_rights(&self) {
        let ns = &self.ns;
        let ci = || account(&ns.name, "ci");
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        let sessions = group(&format!("system:serviceaccounts:{SESSIONS_NAMESPACE}"));
        let asking = [user("alice"), user("system:anonymous"), user("alice2"), ci(), sessions];
        ns.bind("asking", "oz-requester", &asking).await.unwrap();
        ns.bind("asking-namespaces", "oz-namespace-requester", &asking).await.unwrap();
        let deciding = [user("bob"), group("leads"), ci()];
        ns.bind("deciding", "oz-approver", &deciding).await.unwrap();
        ns.bind("deciding-namespaces", "oz-namespace-approver", &deciding).await.unwrap();
        ns.bind("writing", "oz-author", &[user("dave"), user("erin")]).await.unwrap();
        ns.bind("dave", "admin", &[user("dave")]).await.unwrap();
        ns.bind("dave-binds", &own("tests-bind-view"), &[user("dave")]).await.unwrap();
        ns.bind("patcher", &own("tests-patcher"), &[user("patcher")]).await.unwrap();
        ns.bind("controller", NAMESPACE_ROLE, &controller).await.unwrap();
        ns.bind("ceiling", CEILING_ROLE, &controller).await.unwrap();
        self.until_may("ctl", "get", "", "pods/exec", true).await;
        self.until_may("patcher", "patch", "ozaccess.io", "accessrequests", true).await;
    }

    /// Waits until someone of this world may, or may not, do this in its namespace. `resource` may hold a subresource.
    pub(crate) async fn until_may(&self, who: &str, verb: &str, group: &str, resource: &str, allowed: bool) {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = json!({"namespace": self.ns.name, "verb": verb, "group": group,
            "resource": resource, "subresource": subresource});
        rights::until(self.who("admin"), self.user(who), attributes, allowed).await.unwrap();
    }

    /// Binds a role of the run to the controller here, or takes it away, and waits until that is so: told by `create` on
    /// this resource.
    pub(crate) async fn controller_also(&self, role: &str, resource: &str) {
        let controller = [account(SYSTEM_NAMESPACE, "oz-controller")];
        self.ns.bind(role, &own(&format!("tests-{role}")), &controller).await.unwrap();
        self.until_may("ctl", "create", "", resource, true).await;
    }

    /// The opposite of [`World::controller_also`].
    pub(crate) async fn controller_no_longer(&self, role: &str, resource: &str) {
        let path = self.ns.rbac(&format!("rolebindings/{role}"));
        self.who("admin").call(Call::delete(path)).await.unwrap().object().unwrap();
        self.until_may("ctl", "create", "", resource, false).await;
    }

    /// Someone of this world.
    pub(crate) fn who(&self, name: &str) -> &Identity {
        self.people.get(name).unwrap_or_else(|| panic!("nobody is called {name} here"))
    }

    /// How the API server knows someone of this world.
    pub(crate) fn user(&self, name: &str) -> &User {
        self.who(name).user()
    }

    /// Adds someone.
    pub(crate) fn meet(&mut self, name: &'static str, identity: Identity) {
        self.people.insert(name, identity);
    }

    /// Sends what prepares a case and must succeed.
    pub(crate) async fn must(&self, who: &str, call: Call) -> Value {
        self.who(who)
            .call(call)
            .await
            .unwrap()
            .object()
            .unwrap_or_else(|error| panic!("to prepare: {error:#}"))
    }

    /// Makes a template as dave, and waits until requests are held to it. Gives its uid and generation, as decisions
    /// pin them.
    pub(crate) async fn offer(&self, template: Value) -> Value {
        let made = self.must("dave", Call::post(self.templates(), template)).await;
        let name = made["metadata"]["name"].as_str().unwrap();
        let too_long = self.request_with("alice", "probe", json!({"template": name, "duration": "87599h"}));
        let what = format!("requests are held to template {name}");
        eventually(&what, TEMPLATE_LIMIT, || async {
            let call = Call::post(self.requests(), too_long.clone()).dry();
            let answer = self.who("alice").call(call).await.map_err(|error| format!("{error:#}"))?;
            match Outcome::of(&answer) {
                Outcome::Policy(by) if by == "oz-request-template" && answer.message().contains(name) => {
                    Ok(())
                }
                _ => Err(answer.to_string()),
            }
        })
        .await
        .unwrap();
        json!({"uid": made["metadata"]["uid"], "generation": made["metadata"]["generation"]})
    }

    /// The template that most tests use, `web`.
    pub(crate) async fn offer_web(&self) -> Value {
        self.offer(template("web", json!({"exec": exec(&["exec", "attach", "portforward", "log"])}))).await
    }

    /// Makes a class of this world, and waits until requests are held to it. Gives its name, and the pin of decisions.
    pub(crate) async fn offer_class(&self, stem: &str, spec: Value) -> (String, Value) {
        let name = format!("{}-{stem}", self.ns.name);
        let made = self.must("admin", Call::post(CLASSES, class(&name, spec))).await;
        let too_long =
            json!({"class": name, "duration": "87599h", "reason": "probe", "namespaces": ["probe"]});
        let too_long = self.namespace_request("alice", "probe", too_long);
        eventually(&format!("requests are held to class {name}"), TEMPLATE_LIMIT, || async {
            let call = Call::post(self.namespace_requests(), too_long.clone()).dry();
            let answer = self.who("alice").call(call).await.map_err(|error| format!("{error:#}"))?;
            match Outcome::of(&answer) {
                Outcome::Policy(by) if by == "oz-request-class" => Ok(()),
                _ => Err(answer.to_string()),
            }
        })
        .await
        .unwrap();
        (name, json!({"uid": made["metadata"]["uid"], "generation": made["metadata"]["generation"]}))
    }

    /// A namespace that the controller lends, with the grant label and these others.
    pub(crate) async fn lend_namespace(&self, labels: &Value) -> Namespace {
        let labels = with(self.labels(), labels);
        Namespace::create_by(self.who("lender"), self.who("admin"), "tests-lent", &labels).await.unwrap()
    }

    /// Makes `web-0` and `web-1`, pods that are nobody's but their namespace's.
    pub(crate) async fn run_pods(&self) {
        for name in ["web-0", "web-1"] {
            let mut body = pod(name, &json!({"app": "web"}));
            body["spec"].as_object_mut().unwrap().remove("activeDeadlineSeconds");
            self.must("admin", Call::post(self.ns.core("pods"), body)).await;
        }
    }

    pub(crate) fn requests(&self) -> String {
        self.ns.oz("accessrequests")
    }

    pub(crate) fn namespace_requests(&self) -> String {
        self.ns.oz("namespacerequests")
    }

    /// A request for namespaces in the name of someone of this world.
    pub(crate) fn namespace_request(&self, who: &str, name: &str, spec: Value) -> Value {
        crate::bodies::namespace_request(self.user(who), name, spec)
    }

    pub(crate) fn templates(&self) -> String {
        self.ns.oz("accesstemplates")
    }

    /// A request in the name of someone of this world.
    pub(crate) fn request(&self, who: &str, name: &str) -> Value {
        self.request_with(who, name, json!({}))
    }

    /// The same with other fields in its spec.
    pub(crate) fn request_with(&self, who: &str, name: &str, spec: Value) -> Value {
        crate::bodies::request(self.user(who), name, spec)
    }

    /// The labels of what a grant made.
    pub(crate) fn labels(&self) -> Value {
        json!({oz_shared::names::GRANT_LABEL: self.grant, support::RUN_LABEL: run()})
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        self.ns.remove().await.unwrap();
    }
}

/// A person with a uid.
pub(crate) fn person(name: &str, groups: &[&str]) -> User {
    let groups: Vec<String> =
        groups.iter().chain(&["system:authenticated"]).map(ToString::to_string).collect();
    User { username: name.to_owned(), uid: format!("u-{name}"), groups }
}

fn plain(name: &str, groups: &[&str]) -> User {
    User {
        username: name.to_owned(),
        uid: String::new(),
        groups: groups.iter().map(ToString::to_string).collect(),
    }
}

fn service_account(namespace: &str, name: &str, uid: &str) -> User {
    let groups =
        ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"];
    User { uid: uid.to_owned(), ..plain(&format!("system:serviceaccount:{namespace}:{name}"), &groups) }
}

/// The controller, in this group of the run besides.
pub(crate) fn controller_of(group: &str) -> User {
    let mut user = service_account(SYSTEM_NAMESPACE, "oz-controller", "u-ctl");
    user.groups.push(own(group));
    user
}

/// By a real token.
async fn as_account(admin: &Identity, namespace: &str, name: &str) -> Identity {
    let token = admin.mint(namespace, name, 3600).await.unwrap();
    admin.with_token(&token).await.unwrap()
}
