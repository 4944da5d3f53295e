//! Deciding: by another, in one's own name, once, for this request and this state of the template.

use serde_json::{Value, json};
use support::{Call, Identity, User};

use crate::bodies::{adding, approval, dangling_owner, exec, template, with};
use crate::table::Expect::{Allowed, AnyVap, Code, Crd, Rbac, Vap};
use crate::table::{Expect, Table};
use crate::world::{Cast, World};

const UPDATE: Expect = Vap("oz-request-update");
const TEMPLATE: Expect = Vap("oz-request-template");

#[tokio::test]
async fn decide_by_certificates() {
    decide(Cast::Certificates).await;
}

#[tokio::test]
async fn decide_by_uids() {
    decide(Cast::Uids).await;
}

/// The body of a server-side apply of these decisions.
fn applied(decisions: &Value) -> Value {
    json!({"apiVersion": "ozaccess.io/v1alpha1", "kind": "AccessRequest", "spec": {"decisions": decisions}})
}

async fn decide(cast: Cast) {
    let world = World::new("decide", cast).await;
    let pin = world.offer_web().await;
    let bot = json!({"exec": exec(&["exec"]), "approvers": {"serviceAccounts": true}});
    let bot_pin = world.offer(template("botok", bot)).await;
    let mut t = Table::new("decide", &world);
    let all = world.requests();
    let r1 = world.must("alice", Call::post(&all, world.request("alice", "r1"))).await;
    let path = format!("{all}/r1");
    let yes = |who: &str| approval(world.user(who), &r1, &pin);
    let add = |decision| Call::json_patch(&path, adding(&r1, decision));
    let patch = |operations| Call::json_patch(&path, operations);

    t.case("alice approves her own", UPDATE, "alice", add(yes("alice"))).await;
    t.case("alice denies her own", UPDATE, "alice", add(with(yes("alice"), &json!({"decision": "Deny"}))))
        .await;
    t.case("alice through a group", UPDATE, "alice-lead", add(yes("alice"))).await;
    if cast == Cast::Uids {
        t.case("alice under another name, same uid", UPDATE, "renamed", add(yes("renamed"))).await;
    }
    t.case("a namesake of alice", UPDATE, "namesake", add(yes("alice"))).await;
    t.case("alice signs as bob", UPDATE, "alice", add(yes("bob"))).await;
    let as_bob = Call::apply(&path, applied(&json!([yes("bob")])), "bob").force();
    t.case("alice signs as bob by server-side apply with force", UPDATE, "alice", as_bob).await;
    let as_herself = Call::apply(&path, applied(&json!([yes("alice")])), "alice").force();
    t.case("alice approves her own by server-side apply with force", UPDATE, "alice", as_herself).await;
    t.case("frank signs as bob", UPDATE, "frank", add(yes("bob"))).await;
    t.case("through an account she made", TEMPLATE, "ci", add(yes("ci"))).await;
    t.case("through a session", AnyVap, "sess", add(yes("sess"))).await;
    t.case("patcher without the verb", UPDATE, "patcher", add(yes("patcher"))).await;
    t.case("carol (no rights)", Rbac, "carol", add(yes("carol"))).await;
    t.case("bob for another uid", UPDATE, "bob", add(with(yes("bob"), &json!({"request": "other"})))).await;
    let newer = json!({"template": {"generation": pin["generation"].as_i64().unwrap() + 1}});
    t.case("bob on a template that changed", TEMPLATE, "bob", add(with(yes("bob"), &newer))).await;
    let another = json!({"template": {"uid": "x"}});
    t.case("bob on a namesake template", TEMPLATE, "bob", add(with(yes("bob"), &another))).await;
    let list = |decisions| json!([{"op": "add", "path": "/spec/decisions", "value": decisions}]);
    // Two rules have reason to refuse these: whichever comes first.
    t.case("bob with two at once", Crd, "bob", patch(list(json!([yes("bob"), yes("root")])))).await;
    t.case("masters with two at once", Crd, "root", patch(list(json!([yes("bob"), yes("root")])))).await;
    t.case("bob with a twin key", Crd, "bob", patch(list(json!([yes("bob"), yes("bob")])))).await;
    t.case(
        "bob decides nothing: null list",
        Crd,
        "bob",
        Call::merge(&path, json!({"spec": {"decisions": [null]}})),
    )
    .await;
    t.case("a verdict that is none", Crd, "bob", add(with(yes("bob"), &json!({"decision": "Maybe"})))).await;
    let and = |operation: Value| {
        let mut operations = adding(&r1, yes("bob"));
        operations.as_array_mut().unwrap().push(operation);
        patch(operations)
    };
    let pod = json!({"op": "replace", "path": "/spec/pod", "value": "db-0"});
    t.case("bob approves and changes the pod in one patch", Crd, "bob", and(pod)).await;
    let owner = json!({"op": "add", "path": "/metadata/ownerReferences", "value": dangling_owner()});
    t.case("bob approves and plants an owner in one patch", UPDATE, "bob", and(owner)).await;
    t.case("bob approves for another request's uid by its patch", Code(422), "bob", {
        let mut operations = adding(&r1, yes("bob"));
        operations[0]["value"] = json!("other");
        patch(operations)
    })
    .await;

    let offer = |digest: &str| with(yes("bob"), &json!({"offer": digest}));
    t.case("bob for an offer of too long a digest", Crd, "bob", add(offer(&"a".repeat(65)))).await;
    t.case("bob approves an offer", Allowed, "bob", add(offer("a1"))).await;
    let apply = with(applied(&json!([yes("frank")])), &json!({"metadata": {"uid": r1["metadata"]["uid"]}}));
    t.case("frank approves by server-side apply", Allowed, "frank", Call::apply(&path, apply, "frank")).await;
    let dropped = Call::apply(&path, applied(&json!([])), "frank").force();
    t.case("frank drops his by server-side apply", Crd, "frank", dropped).await;
    let edit = json!([{"op": "replace", "path": "/spec/decisions/0/decision", "value": "Deny"}]);
    t.case("bob edits his", Crd, "bob", patch(edit.clone())).await;
    t.case("masters edit bob's", Crd, "root", patch(edit)).await;
    let reason = json!([{"op": "replace", "path": "/spec/decisions/0/reason", "value": "never mind"}]);
    t.case("bob edits his reason", Crd, "bob", patch(reason)).await;
    for (who, digest) in [("bob", "b2"), ("bob", ""), ("root", "b2")] {
        let other = json!([{"op": "replace", "path": "/spec/decisions/0/offer", "value": digest}]);
        t.case(&format!("{who} means another offer, {digest:?}"), Crd, who, patch(other)).await;
    }
    let unsaid = json!([{"op": "remove", "path": "/spec/decisions/0/offer"}]);
    t.case("bob takes back what he meant", Crd, "bob", patch(unsaid)).await;
    let later = json!([{"op": "add", "path": "/spec/decisions/1/offer", "value": "a1"}]);
    t.case("frank says later what he meant", Crd, "frank", patch(later)).await;
    let remove = json!([{"op": "remove", "path": "/spec/decisions/0"}]);
    t.case("bob removes his", Crd, "bob", patch(remove)).await;
    t.case("decisions set to null", Crd, "bob", Call::merge(&path, json!({"spec": {"decisions": null}})))
        .await;
    let swap = json!([{"op": "replace", "path": "/spec/decisions/0", "value": yes("root")}]);
    t.case("swap: one out, one in", Crd, "root", patch(swap)).await;
    let mut reversed = world.must("admin", Call::get(&path)).await["spec"]["decisions"].clone();
    reversed.as_array_mut().unwrap().reverse();
    let reorder = json!([{"op": "replace", "path": "/spec/decisions", "value": reversed}]);
    t.case("reorder (no information: allowed)", Allowed, "bob", patch(reorder).dry()).await;

    by_accounts(&mut t, &world, &pin, &bot_pin).await;
    t.finish();
    world.end().await;
}

async fn by_accounts(t: &mut Table<'_>, world: &World, pin: &Value, bot_pin: &Value) {
    let all = world.requests();
    let bots = json!({"template": "botok"});
    let ask = |who: &str, name: &str| Call::post(&all, world.request_with(who, name, bots.clone()));
    let rbot = t.object("an account decides where the template lets it", "alice", ask("alice", "rbot")).await;
    let rci = world.must("ci", ask("ci", "rci")).await;
    let rbot_path = format!("{all}/rbot");
    let on = |request: &Value, by: &User, pin: &Value| {
        let path = format!("{all}/{}", request["metadata"]["name"].as_str().unwrap());
        Call::json_patch(path, adding(request, approval(by, request, pin)))
    };
    t.case("... and it does", Allowed, "ci", on(&rbot, world.user("ci"), bot_pin)).await;
    t.case("the account on its own request", UPDATE, "ci", on(&rci, world.user("ci"), bot_pin)).await;
    t.case(
        "the account on its own request, with another template's pin",
        AnyVap,
        "ci",
        on(&rci, world.user("ci"), pin),
    )
    .await;
    let no = with(approval(world.user("bob"), &rci, pin), &json!({"decision": "Deny"}));
    let rci_path = format!("{all}/rci");
    t.case("bob denies", Allowed, "bob", Call::json_patch(&rci_path, adding(&rci, no))).await;
    t.case("a yes after the no", Crd, "frank", on(&rci, world.user("frank"), bot_pin)).await;
    t.case("a yes after the no, by masters", Crd, "root", on(&rci, world.user("root"), bot_pin)).await;

    // The template changes after it was looked at: the pin no longer fits.
    let late = world.must("alice", ask("alice", "late")).await;
    let change = Call::merge(world.ns.oz("accesstemplates/botok"), json!({"spec": {"approvals": 2}}));
    let changed = world.must("dave", change).await;
    let generation = &changed["metadata"]["generation"];
    support::eventually("the policies see the change", std::time::Duration::from_secs(20), || async {
        let call = on(&late, world.user("bob"), bot_pin).dry();
        let answer = world.who("bob").call(call).await.map_err(|error| error.to_string())?;
        if answer.is_success() { Err("the old pin still passes".to_owned()) } else { Ok(()) }
    })
    .await
    .unwrap();
    t.case("bob with the pin of before the change", TEMPLATE, "bob", on(&late, world.user("bob"), bot_pin))
        .await;
    let now = with(bot_pin.clone(), &json!({"generation": generation}));
    t.case("bob with the pin of after it", Allowed, "bob", on(&late, world.user("bob"), &now)).await;
    let gone = Call::delete(&rbot_path).body(json!({"propagationPolicy": "Orphan"}));
    t.case("bob deletes it, orphaning", Allowed, "bob", gone).await;
}

/// dave is admin of his namespace, so its accounts are his: none of them says yes to him in his stead.
#[tokio::test]
async fn decide_through_accounts_of_the_namespace() {
    let mut world = World::new("accounts", Cast::Certificates).await;
    let pin = world.offer_web().await;
    let lab = crate::setup::lab().await.unwrap();
    let pipeline = Identity::from_kubeconfig(&lab.kubeconfig("pipeline")).await.unwrap();
    let by_name = support::rights::user(&pipeline.user().username);
    world.meet("pipeline", pipeline);
    world.ns.bind("pipeline-decides", "oz-approver", std::slice::from_ref(&by_name)).await.unwrap();
    world.ns.bind("dave-asks", "oz-requester", &[support::rights::user("dave"), by_name]).await.unwrap();
    world.until_may("dave", "request", "ozaccess.io", "accesstemplates", true).await;
    let request = world.must("dave", Call::post(world.requests(), world.request("dave", "r"))).await;
    let token = world.who("dave").mint(&world.ns.name, "ci", 600).await.unwrap();
    world.meet("minted", world.who("admin").with_token(&token).await.unwrap());
    let ci = User { uid: String::new(), groups: Vec::new(), ..world.user("ci").clone() };
    world.meet("dave-as-ci", world.who("dave").impersonate(ci).unwrap());
    let carol = User { uid: String::new(), groups: Vec::new(), ..world.user("carol").clone() };
    world.meet("dave-as-carol", world.who("dave").impersonate(carol).unwrap());
    let mut t = Table::new("decide through accounts of the namespace", &world);
    let path = format!("{}/r", world.requests());
    let yes =
        |who: &str| Call::json_patch(&path, adding(&request, approval(world.user(who), &request, &pin)));
    t.case("dave approves his own", UPDATE, "dave", yes("dave")).await;
    t.case("dave approves it by a token he minted", TEMPLATE, "minted", yes("ci")).await;
    t.case("dave approves it by impersonation", TEMPLATE, "dave-as-ci", yes("ci")).await;
    t.case("dave impersonates a person", Rbac, "dave-as-carol", yes("carol")).await;
    t.case("the pipeline approves it", TEMPLATE, "pipeline", yes("pipeline")).await;
    t.case("the pipeline asks for itself", Allowed, "pipeline", {
        Call::post(world.requests(), world.request("pipeline", "rp"))
    })
    .await;
    t.case("the pipeline asks for dave", Vap("oz-request-create"), "pipeline", {
        Call::post(world.requests(), world.request("dave", "rp2"))
    })
    .await;
    t.case("bob approves it", Allowed, "bob", yes("bob")).await;
    t.finish();
    world.end().await;
}

/// Eight decide in the same moment: each in a patch of his own, and none is lost.
#[tokio::test]
async fn decide_at_once() {
    let mut world = World::new("atonce", Cast::Uids).await;
    let pin = world.offer_web().await;
    let request = world.must("alice", Call::post(world.requests(), world.request("alice", "r"))).await;
    let names = ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"];
    for name in names {
        let decider = crate::world::person(name, &["leads"]);
        world.meet(name, world.who("admin").impersonate(decider).unwrap());
    }
    let path = format!("{}/r", world.requests());
    let calls = names.map(|name| {
        let decision = approval(world.user(name), &request, &pin);
        world.who(name).call(Call::json_patch(&path, adding(&request, decision)))
    });
    let answers = futures::future::join_all(calls).await;
    let mut t = Table::new("eight decide at once", &world);
    for (name, answer) in names.iter().zip(answers) {
        let answer = answer.unwrap();
        t.fact(&format!("{name} is heard"), answer.is_success(), &answer.to_string());
    }
    let stored = world.must("admin", Call::get(&path)).await["spec"]["decisions"].clone();
    t.fact("eight decisions are stored", stored.as_array().map(Vec::len) == Some(8), &stored.to_string());
    t.finish();
    world.end().await;
}
