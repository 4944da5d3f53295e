//! Federations: is what a class offers to partners to be had, and what would be lent.

use kube::runtime::reflector::Store;
use kube::{Api, Client, ResourceExt as _};
use oz_shared::grant::{NamespaceTerms, RoleTerms};
use oz_shared::lasting::more_than_reading;
use oz_shared::names::{PARTNER_ROLE, SessionKind, is_reserved_name};
use oz_shared::template::RoleKind;
use oz_shared::{Federation, NamespaceClass, plain, role};
use serde_json::json;

use super::kind::{Kind, NoOffer, Offer, Times};
use super::namespaces::{Basis, enough_places, live, names_offered, partners_within, terms_of, words};
use super::roles::{LentRole, may, role_of};
use crate::context::Context;
use crate::reconcile::{Doing as _, Error};

/// What a class offers to a partner, as it is to be had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    basis: Basis,
    /// May this process let a partner ask for further namespaces, and read everywhere by the role that it wants?
    may_invite: bool,
    may_lend: bool,
    /// That role.
    reader: Option<LentRole>,
    /// Partners whose names begin with this one's.
    others: Vec<String>,
    /// How many namespaces of the class the requester has.
    live: usize,
}

impl Kind for Federation {
    type Policy = NamespaceClass;
    type Found = Found;
    const NAME: &'static str = "Federation";
    const POLICY: &'static str = "class";
    const POLICIES: &'static str = "namespaceclasses";
    const NO_POLICY: &'static str = "ClassNotFound";

    fn store(context: &Context) -> &Store<Self> {
        &context.federations
    }

    fn api(client: &Client, _: &str) -> Api<Self> {
        Api::all(client.clone())
    }

    fn policies(client: &Client, _: &str) -> Api<NamespaceClass> {
        Api::all(client.clone())
    }

    fn refused(&self) -> Option<(&'static str, String)> {
        let name = &self.spec.namespace;
        is_reserved_name(name).then(|| ("NameNotOffered", format!("{name} is not to be had")))
    }

    fn names_its_target(&self) -> bool {
        true
    }

    async fn find(&self, class: &NamespaceClass, context: &Context) -> Result<Found, Error> {
        let (client, spec) = (&context.client, &self.spec);
        let rbac = "rbac.authorization.k8s.io";
        let (names, reader) = ([spec.namespace.clone()], &spec.cluster_role);
        let (basis, may_invite, may_lend, found) = tokio::join!(
            Basis::look(
                (&spec.requester.username, &spec.requester.uid),
                (&class.spec.role, &class.spec.resources),
                &names,
                context,
            ),
            may(client, "", "bind", rbac, "clusterroles", PARTNER_ROLE),
            may(client, "", "lend-everywhere", rbac, "clusterroles", reader),
            async {
                if reader.is_empty() {
                    return Ok(None);
                }
                role_of(client, "", RoleKind::ClusterRole, reader).await
            },
        );
        Ok(Found {
            basis: basis?,
            may_invite: may_invite.doing("ask whether partners may be let in")?,
            may_lend: may_lend.doing("ask whether the role may be lent in the whole cluster")?,
            reader: found.doing("read the role that is lent in the whole cluster")?,
            others: partners_within(&self.name_any(), context),
            live: live((&spec.requester.username, &spec.requester.uid), class, None, context),
        })
    }

    fn offer(&self, class: &NamespaceClass, found: &Found, _: &Times) -> Result<Offer, NoOffer> {
        let unusable = |reason, message: String| Err(NoOffer::Unusable(reason, message));
        let (spec, name) = (&self.spec, self.name_any());
        let Some(terms) = &class.spec.federation else {
            return unusable("NotOffered", format!("class {} is for no federation", spec.class));
        };
        if spec.further > terms.further {
            let message = format!(
                "class {} lends at most {} further namespaces, not {}",
                spec.class, terms.further, spec.further
            );
            return unusable("TooMany", message);
        }
        if !found.may_invite {
            let message = "Oz is not enabled to let partners in: oz enable --federations";
            return unusable("NotEnabled", message.to_owned());
        }
        let partner = Some((name.as_str(), &*found.others));
        names_offered(class, std::slice::from_ref(&spec.namespace), &spec.requester.username, partner)?;
        let namespaces =
            NamespaceTerms { further: spec.further, ..terms_of(class, vec![spec.namespace.clone()]) };
        let owners = found.basis.offers(&namespaces)?;
        enough_places(found.live, &namespaces, &spec.class)?;
        let mut lent = vec![owners];
        let by = "by an account of its own, which mints its own next token for as long as it is used";
        let partner = format!("{} (cluster {})", spec.organization, spec.cluster);
        let mut words = words(&namespaces, &partner, by, &[]);
        if spec.further > 0 {
            words.push(format!(
                "up to {} further namespaces on the same terms, asked for in the first one without another approval",
                spec.further
            ));
        }
        if !spec.cluster_role.is_empty() {
            let reader = reads(self, class, found)?;
            words.push(format!(
                "it reads in the whole cluster, by ClusterRole {} as it stands:",
                spec.cluster_role
            ));
            words.extend(role::rules_in_words(&reader.rules));
            lent.push(reader);
        }
        let role = lent.get(1).map(|reader| RoleTerms {
            namespace: String::new(),
            kind: RoleKind::ClusterRole,
            name: spec.cluster_role.clone(),
            uid: reader.uid.clone(),
            allow_lasting: false,
        });
        let lent: Vec<_> = lent.iter().map(|role| json!([role.uid, role.rules])).collect();
        Ok(Offer {
            digest: plain::digest(&json!(lent)),
            role,
            namespaces: Some(namespaces),
            ..Offer::of(words, Some(SessionKind::Federation))
        })
    }
}

/// The role by which the partner reads in the whole cluster, if it is to be had and does nothing but that.
fn reads<'a>(
    federation: &Federation,
    class: &NamespaceClass,
    found: &'a Found,
) -> Result<&'a LentRole, NoOffer> {
    let unusable = |reason, message: String| Err(NoOffer::Unusable(reason, message));
    let name = &federation.spec.cluster_role;
    let offered = class.spec.federation.as_ref().is_some_and(|terms| terms.cluster_roles.contains(name));
    // Oz's own are nobody's to have, whatever a class says.
    if !offered || name.starts_with("oz-") {
        let message =
            format!("class {} does not let a partner read the cluster by {name}", federation.spec.class);
        return unusable("NotOffered", message);
    }
    if !found.may_lend {
        let message = format!(
            "Oz may not lend ClusterRole {name} in the whole cluster: allow it by a ClusterRole with the label ozaccess.io/ceiling-federations: \"true\" that has the verbs bind and lend-everywhere on it"
        );
        return unusable("BeyondCeiling", message);
    }
    let Some(role) = &found.reader else {
        return unusable("NotFound", format!("ClusterRole {name} is not there"));
    };
    let more = more_than_reading(&role.rules);
    if !more.is_empty() {
        let message =
            format!("ClusterRole {name} is for more than reading: {}", plain::cut(&more.join("; "), 1024));
        return unusable("NotReadOnly", message);
    }
    Ok(role)
}
