//! Minting: by the holder, for as long as is left, for this API server.

use oz_shared::names::SESSIONS_NAMESPACE;
use serde_json::{Value, json};
use support::rights::user;
use support::{Call, User};

use crate::bodies::{binding, exec, template};
use crate::lending::{
    LONG, enter, lend, mint, mint_role, service_account, session_name, sessions, sessions_rbac,
    until_bindable,
};
use crate::setup::own;
use crate::table::Expect::{Allowed, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World, person};

const SESSIONS: Expect = Vap("oz-sessions");
const CONTROLLER: Expect = Vap("oz-controller");
/// The audience of the API server's own tokens.
const AUDIENCE: &str = "https://kubernetes.default.svc";

#[tokio::test]
async fn minting_by_certificates() {
    minting(Cast::Certificates).await;
}

#[tokio::test]
async fn minting_by_uids() {
    minting(Cast::Uids).await;
}

/// A token for so many seconds.
fn lasting(seconds: i64) -> Value {
    json!({"spec": {"expirationSeconds": seconds}})
}

async fn minting(cast: Cast) {
    let mut world = World::new("minting", cast).await;
    let admin = world.who("admin").clone();
    // Rights over every account, by RBAC; of the collectors' own group besides; with no uid, as certificates have none.
    let kube_system = "system:serviceaccounts:kube-system";
    world.meet("wide-collector", admin.impersonate(person(&own("wide"), &[kube_system])).unwrap());
    let nobody = User { uid: String::new(), ..person(&own("wide"), &[]) };
    world.meet("wide-without-uid", admin.impersonate(nobody).unwrap());
    let mut t = Table::new("minting", &world);

    let (s1, old, far) = (session_name('p', LONG), session_name('p', -5), session_name('n', 400_000));
    let (soon, fed) = (session_name('p', 100), session_name('f', 400_000));
    for name in [&s1, &old, &soon, &far, &fed] {
        lend(&mut t, &world, name, "alice").await;
    }
    let odd = session_name('p', 0).rsplit_once("-x").unwrap().0.to_owned();
    t.case(
        "an account of odd name",
        Allowed,
        "ctl",
        Call::post(sessions("serviceaccounts"), service_account(&odd, &world.labels())),
    )
    .await;
    let rights = mint_role(&world, &odd, &world.user("alice").uid);
    t.case("  its mint Role", Allowed, "ctl", Call::post(sessions_rbac("roles"), rights)).await;
    until_bindable(&world, &sessions_rbac("rolebindings"), &odd).await;
    let bound = binding(&odd, &world.labels(), ("Role", &odd), &[user("alice")]);
    t.case("  bound to alice", CONTROLLER, "ctl", Call::post(sessions_rbac("rolebindings"), bound)).await;

    let of = |name: &str, seconds| Call::post(mint(name), lasting(seconds));
    let plain = |name: &str| Call::post(mint(name), json!({}));
    let to = |audiences: Value| {
        Call::post(mint(&s1), json!({"spec": {"expirationSeconds": 600, "audiences": audiences}}))
    };
    t.case("alice mints, 2 h left, 1 h", Allowed, "alice", of(&s1, 3600)).await;
    t.case("default lifetime (3600) with 2 h left", Allowed, "alice", plain(&s1)).await;
    t.case("audiences null", Allowed, "alice", to(Value::Null)).await;
    t.case("audiences empty", Allowed, "alice", to(json!([]))).await;
    t.case("audience of this server", Allowed, "alice", to(json!([AUDIENCE]))).await;
    t.case("another audience", SESSIONS, "alice", to(json!(["vault"]))).await;
    t.case("both audiences", SESSIONS, "alice", to(json!([AUDIENCE, "vault"]))).await;
    t.case("empty audience string", SESSIONS, "alice", to(json!([""]))).await;
    t.case("longer than what is left", SESSIONS, "alice", of(&s1, LONG + 100)).await;
    t.case("a year", SESSIONS, "alice", of(&s1, 31_536_000)).await;
    t.case("after the deadline", SESSIONS, "alice", of(&old, 600)).await;
    t.case("100 s left, 600", Allowed, "alice", of(&soon, 600)).await;
    t.case("100 s left, 601", SESSIONS, "alice", of(&soon, 601)).await;
    t.case("100 s left, default", SESSIONS, "alice", plain(&soon)).await;
    t.case("days left: 12 h", Allowed, "alice", of(&far, 43_200)).await;
    t.case("days left: 12 h and a second", SESSIONS, "alice", of(&far, 43_201)).await;
    t.case("federation: days", Allowed, "alice", of(&fed, 390_000)).await;
    t.case("federation: past its end", SESSIONS, "alice", of(&fed, 400_100)).await;

    t.case("another user", Rbac, "bob", of(&s1, 600)).await;
    t.case("carol (no rights)", Rbac, "carol", of(&s1, 600)).await;
    t.case("namesake of alice", SESSIONS, "namesake", of(&s1, 600)).await;
    t.case("cluster-wide edit", SESSIONS, "wide", of(&s1, 600)).await;
    t.case("cluster-wide edit without a uid", SESSIONS, "wide-without-uid", of(&s1, 600)).await;
    t.case("dave (admin of his namespace)", Rbac, "dave", of(&s1, 600)).await;
    t.case("an account of the namespace", Rbac, "ci", of(&s1, 600)).await;
    t.case("the controller", CONTROLLER, "ctl", of(&s1, 600)).await;
    t.case("kube-system", Rbac, "gc", of(&s1, 600)).await;
    t.case("kube-system with every right on accounts", SESSIONS, "wide-collector", of(&s1, 600)).await;
    t.case("root mints (holds every verb: said)", Allowed, "root", of(&s1, 600).dry()).await;
    t.case("root after the deadline", SESSIONS, "root", of(&old, 600)).await;
    t.case("name without a deadline", SESSIONS, "root", of(&odd, 600)).await;
    t.case("default account by root", SESSIONS, "root", of("default", 600)).await;
    t.case("by dry run", SESSIONS, "wide", of(&s1, 600).dry()).await;
    t.finish();
    world.end().await;
}

/// Where the requester has no uid, the right to mint is named `ACCOUNT/`: it is the requester's all the same.
#[tokio::test]
async fn minting_without_a_uid() {
    let mut world = World::new("nouid", Cast::Certificates).await;
    let token = world.who("ctl").user().clone();
    assert!(world.user("alice").uid.is_empty(), "a client certificate gave a uid: {:?}", world.user("alice"));
    assert!(!token.uid.is_empty(), "a ServiceAccount's token gave no uid: {token:?}");
    let admin = world.who("admin").clone();
    let boblike = User { uid: String::new(), ..person("bobby", &[]) };
    world.meet("bobby", admin.impersonate(boblike).unwrap());
    let mut t = Table::new("minting without a uid", &world);
    let alices = session_name('p', LONG);
    let bobs = session_name('p', LONG);
    lend(&mut t, &world, &alices, "alice").await;
    lend(&mut t, &world, &bobs, "bob").await;
    let of = |name: &str| Call::post(mint(name), lasting(600));
    t.case("alice's certificate mints hers", Allowed, "alice", of(&alices)).await;
    t.case("bob's certificate mints his", Allowed, "bob", of(&bobs)).await;
    t.case("bob's certificate mints hers", Rbac, "bob", of(&alices)).await;
    t.case("alice's certificate mints his", Rbac, "alice", of(&bobs)).await;
    t.case("a stranger without a uid", Rbac, "bobby", of(&alices)).await;
    t.case("a namesake who has a uid", SESSIONS, "namesake", of(&alices)).await;

    // The other way round: a grant to someone with a uid is no good to his name alone.
    let accounts = session_name('p', LONG);
    lend(&mut t, &world, &accounts, "ci").await;
    t.case("an account's token mints its own", Allowed, "ci", of(&accounts)).await;
    let ci = world.user("ci").clone();
    let bare = admin.impersonate(User { uid: String::new(), ..ci.clone() }).unwrap();
    let anew = admin.impersonate(User { uid: "u-anew".to_owned(), ..ci }).unwrap();
    for (what, identity) in [("the account's name without a uid", bare), ("the account made anew", anew)] {
        let answer = identity.call(of(&accounts)).await.unwrap();
        let outcome = support::Outcome::of(&answer);
        let refused = outcome == support::Outcome::Policy("oz-sessions".to_owned());
        t.fact(what, refused, &format!("{outcome}: {answer}"));
    }
    t.finish();
    world.end().await;
}

/// Minting stops at the deadline by itself: nobody does anything in between.
#[tokio::test]
async fn minting_ends_at_the_deadline() {
    let world = World::new("deadline", Cast::Certificates).await;
    let mut t = Table::new("minting at the deadline", &world);
    let name = session_name('p', 10);
    lend(&mut t, &world, &name, "alice").await;
    let of = || Call::post(mint(&name), lasting(600));
    t.case("before it", Allowed, "alice", of()).await;
    let limit = std::time::Duration::from_secs(20);
    let refused = support::eventually("minting is refused", limit, || async {
        let answer = world.who("alice").call(of()).await.map_err(|error| error.to_string())?;
        if answer.is_success() { Err("minted".to_owned()) } else { Ok(answer) }
    })
    .await
    .unwrap();
    // By the API server's own clock, in its words: NAME ended N s ago.
    let message = refused.message();
    let late = message.split(" ended ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
    let prompt = late.is_some_and(|seconds| (0..=5).contains(&seconds));
    t.fact("refused within seconds of the deadline, saying so", prompt, &message);
    t.case("after it", SESSIONS, "alice", of()).await;
    t.finish();
    world.end().await;
}

/// Whom a session's token makes: nobody who asks, decides, mints again, or is entered by impersonation.
#[tokio::test]
async fn minting_makes_a_session_and_no_more() {
    let mut world = World::new("session", Cast::Certificates).await;
    // Accounts may decide here, so that nothing but its being a session is in its way.
    let accounts = json!({"exec": exec(&["exec"]), "approvers": {"serviceAccounts": true}});
    let pin = world.offer(template("web", accounts)).await;
    let request = world.must("alice", Call::post(world.requests(), world.request("alice", "r1"))).await;
    let name = session_name('p', LONG);
    let mut setup = Table::new("a session", &world);
    lend(&mut setup, &world, &name, "alice").await;
    setup.finish();
    let session = enter(&world, &name, "alice").await;
    world.meet("token", session);
    let admin = world.who("admin").clone();
    let target = world.user("token").clone();

    let mut t = Table::new("a real session", &world);
    t.case(
        "asks for access",
        Vap("oz-request-create"),
        "token",
        Call::post(world.requests(), world.request("token", "f")),
    )
    .await;
    let decision =
        crate::bodies::adding(&request, crate::bodies::approval(world.user("token"), &request, &pin));
    let path = format!("{}/r1", world.requests());
    t.case("decides", Vap("oz-request-update"), "token", Call::json_patch(&path, decision.clone())).await;
    world.ns.bind("session-decides", "oz-approver", &[user(&target.username)]).await.unwrap();
    world.until_may("token", "approve", "ozaccess.io", "accesstemplates", true).await;
    t.case(
        "decides, with the verb approve",
        Vap("oz-request-update"),
        "token",
        Call::json_patch(&path, decision),
    )
    .await;
    t.case("mints its own next token", Rbac, "token", Call::post(mint(&name), lasting(600))).await;

    // dave is admin of his namespace: he impersonates and mints for its accounts, and for no session.
    let as_session = |who: &str| {
        let dave = world.who(who).impersonate(target.clone()).unwrap();
        async move { dave.call(Call::get(sessions("serviceaccounts"))).await.unwrap() }
    };
    let refused = as_session("dave").await;
    t.fact(
        "dave impersonates the session",
        refused.code == 403 && refused.message().contains("cannot impersonate"),
        &refused.to_string(),
    );
    let ci = User { uid: String::new(), ..world.user("ci").clone() };
    let dave_as_ci = world.who("dave").impersonate(User { groups: Vec::new(), ..ci }).unwrap();
    let answer = dave_as_ci.call(Call::post(mint(&name), lasting(600))).await.unwrap();
    let outcome = support::Outcome::of(&answer);
    t.fact(
        "dave mints it as an account of his",
        outcome == support::Outcome::Rbac,
        &format!("{outcome}: {answer}"),
    );
    let own_account = world.ns.core("serviceaccounts/ci/token");
    t.case(
        "dave mints for an account of his namespace",
        Allowed,
        "dave",
        Call::post(own_account, lasting(600)),
    )
    .await;
    t.case("dave mints the session", Rbac, "dave", Call::post(mint(&name), lasting(600))).await;

    // The account goes, and the token with it.
    world.must("ctl", Call::delete(sessions(&format!("serviceaccounts/{name}")))).await;
    let limit = std::time::Duration::from_secs(30);
    let whoami = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let gone = support::eventually("the token is no longer known", limit, || async {
        let call = Call::post("/apis/authentication.k8s.io/v1/selfsubjectreviews", whoami.clone());
        let answer = world.who("token").call(call).await.map_err(|error| error.to_string())?;
        if answer.code == 401 { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    t.fact("the token ends with its account", gone.is_ok(), &format!("{gone:?}"));
    let again = admin.mint(SESSIONS_NAMESPACE, &name, 600).await;
    t.fact("no token of it is made anew", again.is_err(), "a token");
    t.finish();
    world.end().await;
}
