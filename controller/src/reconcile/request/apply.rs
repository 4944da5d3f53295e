//! Writes what a plan for a request says.

use std::sync::Arc;

use kube::{Api, ResourceExt as _};
use oz_shared::Grant;

use super::kind::Kind;
use super::plan::Plan;
use crate::context::Context;
use crate::reconcile::{Doing as _, Error};
use crate::write;

/// Makes the grant. One of this name that is there already, made by another replica or before a restart, is returned as
/// it is: whether it is this request's is for the next look to see.
pub(super) async fn grant(grant: &Grant, context: &Context) -> Result<Arc<Grant>, Error> {
    let api: Api<Grant> = Api::all(context.client.clone());
    match write::create(&api, grant).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.get(&grant.name_any()).await.map(Arc::new).doing("read the grant")
        }
        created => created.map(Arc::new).doing("make the grant"),
    }
}

/// Everything else.
pub(super) async fn rest<K: Kind>(request: &K, plan: &Plan, context: &Context) -> Result<(), Error> {
    let api = K::api(&context.client, &request.namespace().unwrap_or_default());
    if let Some(status) = &plan.status {
        let written = write::status(&api, request, request.status(), status)
            .await
            .doing("write the request's status")?;
        context.supersede(request, &written);
    }
    if plan.forget {
        let uid = request.uid().unwrap_or_default();
        write::delete(&api, &request.name_any(), &uid).await.doing("delete the request's record")?;
    }
    Ok(())
}
