//! The lives that a request can have, for those who watch over them.

use oz_shared::{AccessRequest, Federation, NamespaceRequest, Request as _};
use serde_json::{Value, json};
use support::{Call, eventually};

use crate::killed::{Kept, Life};
use crate::lending::grant_path;
use crate::offers::{debug, lends, make, may_bind, may_debug, opted_in, role, shell_of};
use crate::partners::{Partners, reader};
use crate::spaces::{Spaces, until_reads};
use crate::world::{LIMIT, World};
use crate::{bodies, session::Session};

/// The template that a life's request names.
pub(crate) const LENT: &str = "lent";

async fn ask(world: &World, name: &str, more: Value) {
    world.ask(name, bodies::with(json!({"template": LENT}), &more)).await;
}

/// From the release on.
async fn released(world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
    world.release(&world.alice, name).await;
    watch.until_phase(world, name, "Released").await
}

/// It becomes active, commands run, it is released, and no command runs any more.
async fn run_and_released(world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
    let request = watch.until_phase(world, name, "Active").await;
    let session = world.enter(&request).await;
    world.until_usable(&session).await;
    let request = released(world, name, watch).await;
    world.until_refused(&session).await;
    request
}

/// It becomes active, and is entered.
async fn entered(world: &World, name: &str, watch: &mut Kept<'_>) -> Session {
    let request = watch.until_phase(world, name, "Active").await;
    world.enter(&request).await
}

/// Commands in a live pod: asked, approved where somebody must, lent, used, released, gone.
pub(crate) struct Exec {
    pub(crate) approvals: u32,
}

impl Life for Exec {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        world.pod("web-0", "web").await;
        world.template(LENT, json!({"approvals": self.approvals})).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        ask(world, name, json!({})).await;
        if self.approvals > 0 {
            watch.until_waiting(world, name).await;
            world.decide(&world.bob, name, "Approve").await;
        }
        run_and_released(world, name, watch).await
    }
}

/// The same, asked, lent, and left to its time.
pub(crate) struct LeftToItsTime;

impl Life for LeftToItsTime {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        Exec { approvals: 0 }.prepare(world).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        ask(world, name, json!({"duration": "4s"})).await;
        // It need not have been Active: its time may be over before the next controller is there.
        watch.until_phase(world, name, "Expired").await
    }
}

/// A shell in a copy: asked, approved, lent, used, released, gone.
pub(crate) struct Copied;

impl Life for Copied {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        make(world, "apps/v1", bodies::workload("Deployment", "api")).await;
        let copies = shell_of("Deployment", "api", &json!({}));
        world.template(LENT, bodies::with(copies, &json!({"approvals": 1}))).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        ask(world, name, json!({})).await;
        watch.until_waiting(world, name).await;
        world.decide(&world.bob, name, "Approve").await;
        run_and_released(world, name, watch).await
    }

    fn pods(&self) -> usize {
        1
    }
}

/// The same, lent without approval and left to its time.
pub(crate) struct CopyLeftToItsTime;

impl Life for CopyLeftToItsTime {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        make(world, "apps/v1", bodies::workload("Deployment", "api")).await;
        world.template(LENT, shell_of("Deployment", "api", &json!({}))).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        ask(world, name, json!({"duration": "4s"})).await;
        watch.until_phase(world, name, "Expired").await
    }

    fn pods(&self) -> usize {
        1
    }
}

/// A debugging container: asked, lent, attached to, released. The pod keeps it.
pub(crate) struct Debugged;

impl Life for Debugged {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        may_debug(world).await;
        world.template(LENT, debug(&json!({}))).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        // One pod takes no more than a few of them.
        world.pod(name, "web").await;
        ask(world, name, json!({"pod": name})).await;
        let request = attached_and_released(world, name, watch).await;
        let container = request.status.as_ref().unwrap().container.clone();
        assert_eq!(added(world, name).await, [container], "the container that was lent, and no other");
        request
    }
}

/// The same, in a pod that is evicted in the end.
pub(crate) struct Evicted;

impl Life for Evicted {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        may_debug(world).await;
        world.template(LENT, debug(&json!({"onEnd": "Evict"}))).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.pod(name, "web").await;
        ask(world, name, json!({"pod": name})).await;
        let request = attached_and_released(world, name, watch).await;
        world.until_gone(&world.ns.core(&format!("pods/{name}"))).await;
        request
    }
}

/// The ephemeral containers of a pod, by name.
async fn added(world: &World, pod: &str) -> Vec<String> {
    let pod = world.look(&world.ns.core(&format!("pods/{pod}"))).await.unwrap();
    let containers = pod["spec"]["ephemeralContainers"].as_array().into_iter().flatten();
    containers.filter_map(|c| c["name"].as_str()).map(str::to_owned).collect()
}

async fn attached_and_released(world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
    let request = watch.until_phase(world, name, "Active").await;
    let session = world.enter(&request).await;
    let container = request.status.as_ref().unwrap().container.clone();
    let attached = eventually("alice attaches", LIMIT, || async {
        session.attach(world, &container).await.map_err(|e| e.to_string())
    });
    drop(attached.await.unwrap());
    let request = released(world, name, watch).await;
    world.until_refused(&session).await;
    request
}

/// A role: asked, lent, used, released, gone.
pub(crate) struct Role;

impl Life for Role {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        reading(world, &json!({})).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        ask(world, name, json!({})).await;
        let session = entered(world, name, watch).await;
        session.until_reads(world, READ).await;
        let request = released(world, name, watch).await;
        session.until_reads_not(world, READ).await;
        request
    }
}

/// The same, bound to the requester's own name.
pub(crate) struct RoleByName;

impl Life for RoleByName {
    type Asked = AccessRequest;

    async fn prepare(&self, world: &World) {
        opted_in(world).await;
        reading(world, &json!({"identity": "Requester"})).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> AccessRequest {
        world.until_may(&world.alice, "list", "", READ, false).await.unwrap();
        ask(world, name, json!({})).await;
        let _: AccessRequest = watch.until_phase(world, name, "Active").await;
        world.until_may(&world.alice, "list", "", READ, true).await.unwrap();
        let request = released(world, name, watch).await;
        world.until_may(&world.alice, "list", "", READ, false).await.unwrap();
        request
    }
}

/// What the lent role lets its holder list.
const READ: &str = "configmaps";

/// A Role of the namespace, and the template that lends it; `more` goes over its terms.
async fn reading(world: &World, more: &Value) {
    may_bind(world).await;
    role(world, "reading", json!({"apiGroups": [""], "resources": [READ], "verbs": ["list"]})).await;
    world.template(LENT, lends("Role", "reading", more)).await;
}

/// A namespace with what stands in it: asked, lent, used, released, gone.
pub(crate) struct Space;

impl Life for Space {
    type Asked = NamespaceRequest;

    async fn prepare(&self, world: &World) {
        let resources = json!([{"kind": "ConfigMap", "name": "about", "data": {"where": "${NAMESPACE}"}}]);
        Spaces::new(world, json!({"resources": resources, "maxLive": 3})).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> NamespaceRequest {
        let spaces = Spaces::again(world).await;
        let space = spaces.name(name);
        spaces.ask(name, &[&space], json!({})).await;
        let request: NamespaceRequest = watch.until_phase(world, name, "Active").await;
        used(&spaces, &request, &space).await;
        spaces.release(name).await;
        watch.until_phase(world, name, "Released").await
    }
}

/// Two namespaces that are taken over by another request before they go.
pub(crate) struct SpaceKeptOn;

impl Life for SpaceKeptOn {
    type Asked = NamespaceRequest;

    async fn prepare(&self, world: &World) {
        Space.prepare(world).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> NamespaceRequest {
        let spaces = Spaces::again(world).await;
        let (a, b) = (spaces.name(&format!("{name}-a")), spaces.name(&format!("{name}-b")));
        let before = format!("{name}-before");
        spaces.ask(&before, &[&a, &b], json!({})).await;
        let old: NamespaceRequest = watch.until_phase(world, &before, "Active").await;
        let extends = json!({"name": before, "uid": old.metadata.uid});
        spaces.ask(name, &[&a, &b], json!({"extends": extends})).await;
        let new: NamespaceRequest = watch.until_phase(world, name, "Active").await;
        let kept = |r: &NamespaceRequest| r.status.clone().unwrap().namespaces;
        assert_eq!(kept(&new), kept(&old));
        let _: NamespaceRequest = watch.until_phase(world, &before, "Released").await;
        used(&spaces, &new, &b).await;
        spaces.release(name).await;
        watch.until_phase(world, name, "Released").await
    }
}

async fn used(spaces: &Spaces<'_>, request: &NamespaceRequest, space: &str) {
    let owner = spaces.enter(request).await;
    until_reads(&owner, space, "configmaps/about", &[200]).await;
}

/// A partner's cluster: asked, lent, entered, a further namespace asked for and given back, its account made anew, released,
/// gone.
pub(crate) struct Partner;

impl Life for Partner {
    type Asked = Federation;

    fn killed_in_a_row(&self) -> u32 {
        3
    }

    fn stride(&self) -> usize {
        2
    }

    async fn prepare(&self, world: &World) {
        Partners::new(world, json!({})).await;
    }

    async fn live(&self, world: &World, name: &str, watch: &mut Kept<'_>) -> Federation {
        let partners = Partners::again(world).await;
        let first = partners.name(name);
        partners.ask(name, json!({"further": 1, "clusterRole": reader(world)})).await;
        let federation: Federation = watch.until_phase(world, name, "Active").await;
        let partner = partners.enter(&federation).await;
        until_reads(&partner, &first, "configmaps", &[200]).await;
        partners.ask_further(&partner, name, "x", json!({})).await;
        let path = partners.in_first(name, "x");
        let further = watch.until("the further namespace is lent", async || {
            let request = world.look(&path).await?;
            let request: NamespaceRequest = serde_json::from_value(request).map_err(|e| e.to_string())?;
            let is = request.phase().as_str() == "Active";
            if is { Ok(request) } else { Err(format!("{:?}", request.status)) }
        });
        let further = further.await;
        let patch = Call::merge(partners.path(name), json!({"spec": {"rotations": 1}}));
        world.must(&partners.asker, patch).await;
        let grant = grant_path(&federation);
        watch
            .until("the account was made anew", async || {
                let grant = world.look(&grant).await?;
                if grant["status"]["rotations"] == 1 { Ok(()) } else { Err(grant["status"].to_string()) }
            })
            .await;
        let account = &federation.status.as_ref().unwrap().account;
        let token = watch
            .until("a token is minted", async || {
                partners.asker.mint("oz-sessions", account, 600).await.map_err(|e| format!("{e:#}"))
            })
            .await;
        let before = partner.user().uid.clone();
        let partner = world.admin.with_token(&token).await.unwrap();
        assert_ne!(partner.user().uid, before);
        for namespace in [&first, &further.status.as_ref().unwrap().namespaces[0].name] {
            until_reads(&partner, namespace, "configmaps", &[200]).await;
        }
        partners.release(name).await;
        let ended = watch.until_phase(world, name, "Released").await;
        world.until_gone(&format!("/api/v1/namespaces/{first}-x")).await;
        ended
    }
}
