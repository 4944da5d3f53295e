//! What the controller makes for a grant: the session's account, its holder's right to mint, its rights on pods.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oz_shared::names::SESSIONS_NAMESPACE;
use serde_json::{Value, json};
use support::rights::{account, user};
use support::{Call, Identity, eventually, run};

use crate::bodies::{binding, role, rule};
use crate::grants::{GRANTS, grant};
use crate::table::Expect::Allowed;
use crate::table::Table;
use crate::world::World;

/// An hour or two: nothing ends while a test runs.
pub(crate) const LONG: i64 = 7200;
/// The API server learns of Roles by watch.
const CACHE_LIMIT: Duration = Duration::from_secs(20);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A path in oz-sessions, of the core group.
pub(crate) fn sessions(rest: &str) -> String {
    format!("/api/v1/namespaces/{SESSIONS_NAMESPACE}/{rest}")
}

/// A path in oz-sessions, of the RBAC group.
pub(crate) fn sessions_rbac(rest: &str) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{SESSIONS_NAMESPACE}/{rest}")
}

/// Where tokens of that account are minted.
pub(crate) fn mint(account: &str) -> String {
    sessions(&format!("serviceaccounts/{account}/token"))
}

/// A new session account's name: `kind` is p, n or f; it ends in so many seconds.
pub(crate) fn session_name(kind: char, left: i64) -> String {
    let deadline = jiff::Timestamp::now().as_second() + left;
    format!("oz-{kind}-{}{}-x{deadline}", run(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A ServiceAccount that carries these labels.
pub(crate) fn service_account(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels}})
}

/// The Role by which the holder with this uid mints tokens of that account.
pub(crate) fn mint_role(world: &World, name: &str, uid: &str) -> Value {
    let token = rule(&[""], &["serviceaccounts/token"], &[name], &["create"]);
    let held = rule(&["ozaccess.io"], &["sessions"], &[&format!("{name}/{uid}")], &["mint"]);
    role(name, &world.labels(), json!([token, held]))
}

/// Makes an account, and lets `holder` mint its tokens.
pub(crate) async fn lend(t: &mut Table<'_>, world: &World, name: &str, holder: &str) {
    let user_of = world.user(holder);
    let body = service_account(name, &world.labels());
    t.case(&format!("account {}", &name[..7]), Allowed, "ctl", Call::post(sessions("serviceaccounts"), body))
        .await;
    let rights = mint_role(world, name, &user_of.uid);
    t.case("  its mint Role", Allowed, "ctl", Call::post(sessions_rbac("roles"), rights)).await;
    until_bindable(world, &sessions_rbac("rolebindings"), name).await;
    let bound = binding(name, &world.labels(), ("Role", name), &[user(&user_of.username)]);
    t.case(&format!("  bound to {holder}"), Allowed, "ctl", Call::post(sessions_rbac("rolebindings"), bound))
        .await;
    let token = json!({"namespace": SESSIONS_NAMESPACE, "verb": "create", "resource": "serviceaccounts",
        "subresource": "token", "name": name});
    support::rights::until(world.who("admin"), user_of, token, true).await.unwrap();
}

/// Waits until a new Role can be bound. Without the verb `bind`, RBAC looks it up to compare its rules, in a cache that
/// may be behind, and answers 404 meanwhile. A dry run of the controller's tells: it is refused by policy after that.
pub(crate) async fn until_bindable(world: &World, bindings: &str, role: &str) {
    let probe = binding(role, &world.labels(), ("Role", role), &[]);
    eventually(&format!("Role {role} can be bound"), CACHE_LIMIT, || async {
        let call = Call::post(bindings, probe.clone()).dry();
        let answer = world.who("ctl").call(call).await.map_err(|error| error.to_string())?;
        if answer.code == 404 { Err(answer.to_string()) } else { Ok(()) }
    })
    .await
    .unwrap();
}

/// Gives a session rights on named pods of the test's namespace, by Role and binding of its own name.
pub(crate) async fn give(t: &mut Table<'_>, world: &World, name: &str, rules: Value) {
    let made = Call::post(world.ns.rbac("roles"), role(name, &world.labels(), rules));
    t.case("Role for named pods", Allowed, "ctl", made).await;
    until_bindable(world, &world.ns.rbac("rolebindings"), name).await;
    let subject = [account(SESSIONS_NAMESPACE, name)];
    let bound =
        Call::post(world.ns.rbac("rolebindings"), binding(name, &world.labels(), ("Role", name), &subject));
    t.case("binding of the session", Allowed, "ctl", bound).await;
}

/// Makes the grant that this world's label names, and gives it as the owner of what is made for it.
pub(crate) async fn owner(world: &World) -> Value {
    let made = world.must("ctl", Call::post(GRANTS, grant(&world.grant, &world.ns.name))).await;
    json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "Grant", "name": world.grant, "controller": true,
        "uid": made["metadata"]["uid"]})
}

/// Mints by the holder's own credential, and becomes the session.
pub(crate) async fn enter(world: &World, name: &str, holder: &str) -> Identity {
    let token = world.who(holder).mint(SESSIONS_NAMESPACE, name, 600);
    let token = match token.await {
        Ok(token) => token,
        Err(error) => panic!("{holder} mints {name}: {error:#}"),
    };
    world.who("admin").with_token(&token).await.unwrap()
}
