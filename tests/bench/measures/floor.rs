//! What the API server itself takes: the objects of a grant made by a bare client, with rights to everything, and a bare
//! exec. Nothing that Oz does for a loan can be faster.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use kube::Client;
use serde_json::{Value, json};
use support::User;
use support::rights::{self, account, user};

use super::{column, ms, repeat};
use crate::lending::{self, mint_for, post, read_pod};
use crate::report::{Figure, Report};
use crate::world::World;

/// Between two loans of [`lender`]: the wait that it tells of is then its own, not the one before's.
const APART: Duration = Duration::from_millis(200);

pub(crate) async fn take(world: &World, n: u32, report: &mut Report) -> Result<()> {
    // One client throughout, as the controller has: its connections are made in the warm-up.
    let client = &world.bare.client()?;
    let one_by_one = repeat(n, |round| async move {
        let loan = Loan::new(world, &format!("one-{round}"));
        let start = Instant::now();
        for (path, body) in loan.parts.iter().chain(&loan.bindings) {
            post(client, path, body).await?;
        }
        loan.first_use(world, client).await?;
        Ok(start.elapsed())
    })
    .await?;
    report.add(Figure::BareSequential, &column(&one_by_one, |wait| *wait));

    let at_once = repeat(n, |round| async move {
        let start = Instant::now();
        in_parallel(world, client, &format!("par-{round}")).await?;
        Ok(start.elapsed())
    })
    .await?;
    report.add(Figure::BareParallel, &column(&at_once, |wait| *wait));

    let held = &lender(world).await?;
    let without = repeat(n, |round| async move {
        tokio::time::sleep(APART).await;
        let start = Instant::now();
        in_parallel(world, held, &format!("held-{round}")).await?;
        Ok(start.elapsed())
    })
    .await?;
    report.add(Figure::BareHeld, &column(&without, |wait| *wait));

    let dials = repeat(n, |_| async {
        let client = world.bare.client()?;
        let mut wait = Duration::ZERO;
        let start = Instant::now();
        lending::exec(&client, &world.ns.name, &world.pod, || wait = start.elapsed()).await?;
        Ok(wait)
    })
    .await?;
    report.add(Figure::BareExec, &column(&dials, |wait| *wait));
    Ok(())
}

/// A client that may do this and no more, as a controller should. Who holds neither `escalate` nor `bind` nor everything
/// is checked at each Role and each binding against what he holds himself, for which the API server reads its caches
/// anew: while others write, that takes up to 100 ms.
async fn lender(world: &World) -> Result<Client> {
    let [_, sessions] = &world.scratch;
    let rules = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["serviceaccounts", "serviceaccounts/token"], "verbs": ["create"]},
        {"apiGroups": ["ozaccess.io"], "resources": ["sessions", "connections"], "verbs": ["mint", "exec"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    ]);
    let metadata = json!({"name": "lender"});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lender"});
    let client = world.bare.client()?;
    post(&client, &sessions.core("serviceaccounts"), &json!({"metadata": metadata})).await?;
    for namespace in &world.scratch {
        let subject = account(&sessions.name, "lender");
        let binding = json!({"metadata": metadata, "roleRef": role, "subjects": [subject]});
        post(&client, &namespace.rbac("roles"), &json!({"metadata": metadata, "rules": rules})).await?;
        post(&client, &namespace.rbac("rolebindings"), &binding).await?;
    }
    let lender = User {
        username: format!("system:serviceaccount:{}:lender", sessions.name),
        uid: String::new(),
        groups: vec!["system:authenticated".to_owned()],
    };
    let lends = json!({"namespace": sessions.name, "verb": "create", "resource": "serviceaccounts"});
    rights::until(&world.admin, &lender, lends, true).await?;
    world.bare.bearer(&mint_for(&client, &sessions.name, "lender").await?.0)
}

/// As many at once as a crowd of requests: milliseconds to the last.
pub(crate) async fn crowd(world: &World, client: &Client, count: u32, round: u32) -> Result<f64> {
    let start = Instant::now();
    let names: Vec<String> = (0..count).map(|i| format!("crowd-{round}-{i}")).collect();
    let loans = join_all(names.iter().map(|name| in_parallel(world, client, name))).await;
    loans.into_iter().collect::<Result<()>>()?;
    Ok(ms(start.elapsed()))
}

/// Everything at once where the API server allows it: a binding is refused until its role is there.
async fn in_parallel(world: &World, client: &Client, name: &str) -> Result<()> {
    let loan = Loan::new(world, name);
    for wave in [&loan.parts, &loan.bindings] {
        try_join_all(wave.iter().map(|(path, body)| post(client, path, body))).await?;
    }
    loan.first_use(world, client).await
}

/// The objects of a loan, each with the path where it is created.
struct Loan {
    name: String,
    parts: Vec<(String, Value)>,
    bindings: Vec<(String, Value)>,
}

impl Loan {
    /// Like a grant's: an account, a role for its holder beside it, a role for it where the pod is, both bound.
    fn new(world: &World, name: &str) -> Loan {
        let [target, sessions] = &world.scratch;
        let metadata = json!({"name": name, "labels": {"app.kubernetes.io/managed-by": "oz-bench"}});
        let role = |rules| json!({"metadata": metadata, "rules": rules});
        let binding = |subject| {
            let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
            json!({"metadata": metadata, "roleRef": role, "subjects": [subject]})
        };
        let mints = json!([
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [name], "verbs": ["create"]},
            {"apiGroups": ["ozaccess.io"], "resources": ["sessions"], "resourceNames": [name], "verbs": ["mint"]},
        ]);
        let reads = json!([
            {"apiGroups": [""], "resources": ["pods"], "resourceNames": [world.pod], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": [world.pod], "verbs": ["get", "create"]},
            {"apiGroups": ["ozaccess.io"], "resources": ["connections"], "resourceNames": ["a/*/*"], "verbs": ["exec"]},
        ]);
        let holder = user(&world.alice.user.username);
        let session = account(&sessions.name, name);
        let automount = json!({"metadata": metadata, "automountServiceAccountToken": false});
        Loan {
            name: name.to_owned(),
            parts: vec![
                (sessions.core("serviceaccounts"), automount),
                (sessions.rbac("roles"), role(mints)),
                (target.rbac("roles"), role(reads)),
            ],
            bindings: vec![
                (sessions.rbac("rolebindings"), binding(holder)),
                (target.rbac("rolebindings"), binding(session)),
            ],
        }
    }

    /// Mints a token and uses it over a connection of its own. No pod of that name is there, which makes no difference
    /// to who may read it.
    async fn first_use(&self, world: &World, client: &Client) -> Result<()> {
        let [target, sessions] = &world.scratch;
        let (token, _) = mint_for(client, &sessions.name, &self.name).await?;
        match read_pod(&world.bare.bearer(&token)?, &target.name, &world.pod).await {
            Err(error) if is_absence(&error) => Ok(()),
            other => other.map(drop),
        }
    }
}

fn is_absence(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if status.code == 404)
}
