//! May Oz lend whole namespaces, owned by which roles; and which does nobody hold any more?

use oz_shared::names::NAMESPACES_CEILING_ROLE;

use super::finding::{Check, Outcome};
use crate::installation::{self, CLUSTER_BINDINGS};
use crate::kube::Cluster;

/// The word for these checks.
const CHECK: &str = "lending";

pub(super) async fn lending(cluster: &Cluster) -> Vec<Check> {
    let bindings = match installation::bound(cluster, CLUSTER_BINDINGS).await {
        Ok(bindings) => bindings,
        Err(fault) => return vec![Check::unseen(CHECK, &fault)],
    };
    let there: Vec<bool> =
        bindings.iter().map(|b| b.as_ref().is_some_and(installation::says_the_same)).collect();
    let mut checks = Vec::new();
    if there.iter().all(|there| *there) {
        checks.push(match installation::bindable(cluster, NAMESPACES_CEILING_ROLE).await {
            Ok(roles) if roles.is_empty() => {
                Check::new(CHECK, Outcome::Warning, "Oz may lend namespaces, but nobody may own one").remedy(
                    "a ClusterRole with the label ozaccess.io/ceiling-namespaces=true and the verb bind",
                )
            }
            Ok(roles) => {
                let detail = format!("Oz may lend namespaces, owned by ClusterRole {}", roles.join(", "));
                Check::new(CHECK, Outcome::Ok, detail)
            }
            Err(fault) => Check::unseen(CHECK, &fault),
        });
    } else if bindings.iter().all(Option::is_none) {
        let detail = "Oz may lend no whole namespaces (oz enable --namespaces would let it)";
        checks.push(Check::new(CHECK, Outcome::Ok, detail));
    } else {
        for (name, binding) in CLUSTER_BINDINGS.iter().zip(&bindings) {
            let detail = match binding {
                None => format!("there is no ClusterRoleBinding {name}"),
                Some(found) if !installation::says_the_same(found) => {
                    format!("ClusterRoleBinding {name} is not as shipped with this program")
                }
                Some(_) => continue,
            };
            checks.push(Check::new(CHECK, Outcome::Warning, detail).remedy("oz enable --namespaces"));
        }
    }
    checks.extend(abandoned(cluster).await);
    checks
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
