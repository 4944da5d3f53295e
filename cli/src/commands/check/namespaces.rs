//! May Oz lend whole namespaces, let partners in, or delegate everywhere, and by which roles; and what does nobody hold any more?

use oz_shared::names::{DELEGATIONS_CEILING_ROLE, FEDERATIONS_CEILING_ROLE, NAMESPACES_CEILING_ROLE};

use super::finding::{Check, Outcome};
use crate::installation::{self, CLUSTER_BINDINGS, DELEGATION_BINDINGS, FEDERATION_BINDINGS};
use crate::kube::Cluster;

/// The word for these checks.
const CHECK: &str = "lending";

/// Something that Oz may lend beyond the namespaces that are enabled.
struct Loan {
    /// What `oz enable` is told for it.
    flag: &'static str,
    /// What gives the controller its rights.
    bindings: [&'static str; 2],
    /// What these may be used with.
    ceiling: &'static str,
    /// What may be done, `{}` being by which roles.
    may: fn(&str) -> String,
    /// What may be done where there is no such role, and where that makes no sense, the way out.
    nothing: (&'static str, Option<&'static str>),
    may_not: &'static str,
}

const LOANS: [Loan; 3] = [
    Loan {
        flag: "--namespaces",
        bindings: CLUSTER_BINDINGS,
        ceiling: NAMESPACES_CEILING_ROLE,
        may: |roles| format!("Oz may lend namespaces, owned by ClusterRole {roles}"),
        nothing: (
            "Oz may lend namespaces, but nobody may own one",
            Some("a ClusterRole with the label ozaccess.io/ceiling-namespaces=true and the verb bind"),
        ),
        may_not: "Oz may lend no whole namespaces",
    },
    Loan {
        flag: "--federations",
        bindings: FEDERATION_BINDINGS,
        ceiling: FEDERATIONS_CEILING_ROLE,
        may: |roles| {
            format!("Oz may let partners' clusters in, who read in the whole cluster by ClusterRole {roles}")
        },
        nothing: ("Oz may let partners' clusters in; they read nothing in the whole cluster", None),
        may_not: "Oz may let no partners' clusters in",
    },
    Loan {
        flag: "--delegations",
        bindings: DELEGATION_BINDINGS,
        ceiling: DELEGATIONS_CEILING_ROLE,
        may: |roles| {
            format!("Oz may delegate in the whole cluster what is bound there by ClusterRole {roles}")
        },
        nothing: (
            "Oz may delegate in the whole cluster, but nothing that is bound there",
            Some(
                "a ClusterRole with the label ozaccess.io/ceiling-delegations=true and the verbs bind and delegate-everywhere",
            ),
        ),
        may_not: "Oz may delegate nothing in the whole cluster",
    },
];

pub(super) async fn lending(cluster: &Cluster) -> Vec<Check> {
    let mut checks = Vec::new();
    for loan in &LOANS {
        checks.extend(loan.check(cluster).await);
    }
    checks.extend(abandoned(cluster).await);
    checks
}

impl Loan {
    async fn check(&self, cluster: &Cluster) -> Vec<Check> {
        let bindings = match installation::bound(cluster, self.bindings).await {
            Ok(bindings) => bindings,
            Err(fault) => return vec![Check::unseen(CHECK, &fault)],
        };
        let is_whole = |b: &Option<_>| b.as_ref().is_some_and(installation::says_the_same);
        if bindings.iter().all(is_whole) {
            return vec![self.roles(cluster).await];
        }
        if bindings.iter().all(Option::is_none) {
            let detail = format!("{} (oz enable {} would let it)", self.may_not, self.flag);
            return vec![Check::new(CHECK, Outcome::Ok, detail)];
        }
        let odd = self.bindings.iter().zip(&bindings).filter_map(|(name, binding)| match binding {
            None => Some(format!("there is no ClusterRoleBinding {name}")),
            Some(found) if !installation::says_the_same(found) => {
                Some(format!("ClusterRoleBinding {name} is not as shipped with this program"))
            }
            Some(_) => None,
        });
        let remedy = format!("oz enable {}", self.flag);
        odd.map(|detail| Check::new(CHECK, Outcome::Warning, detail).remedy(&remedy)).collect()
    }

    async fn roles(&self, cluster: &Cluster) -> Check {
        match installation::bindable(cluster, self.ceiling).await {
            Ok(roles) if roles.is_empty() => match self.nothing {
                (words, None) => Check::new(CHECK, Outcome::Ok, words),
                (words, Some(remedy)) => Check::new(CHECK, Outcome::Warning, words).remedy(remedy),
            },
            Ok(roles) => Check::new(CHECK, Outcome::Ok, (self.may)(&roles.join(", "))),
            Err(fault) => Check::unseen(CHECK, &fault),
        }
    }
}

/// Namespaces that an uninstallation left, or whose grant somebody deleted: nobody's to delete but people's.
async fn abandoned(cluster: &Cluster) -> Vec<Check> {
    // In this order: what is made in between has its grant first.
    let found = async {
        let lent = installation::lent(cluster).await?;
        Ok((lent, installation::live(cluster).await?))
    };
    let (lent, grants) = match found.await {
        Ok(found) => found,
        Err(fault) => return vec![Check::unseen(CHECK, &fault)],
    };
    let held = |grant: &str| grants.iter().any(|g| g.metadata.name.as_deref() == Some(grant));
    let left = lent.into_iter().filter(|n| !held(&n.grant));
    left.map(|n| {
        let class = if n.class.is_empty() { String::new() } else { format!(", of class {}", n.class) };
        let detail = format!("was lent{class}, and no grant holds it any more");
        Check::new(CHECK, Outcome::Warning, detail)
            .about(format!("Namespace {}", n.name))
            .remedy(format!("kubectl delete namespace {}, if nobody needs it", n.name))
    })
    .collect()
}
