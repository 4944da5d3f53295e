//! A namespace of a test's own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Call, Identity, eventually, with};

/// The controller manager makes the default account in milliseconds, unless compilers hold the processors.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(30);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A namespace that no other test uses.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    admin: Identity,
}

impl Namespace {
    /// Makes one whose name begins with `stem`, and waits until pods can be made in it.
    ///
    /// # Errors
    /// When it was refused, or never got its default account.
    pub async fn create(admin: &Identity, stem: &str) -> Result<Namespace> {
        Namespace::create_by(admin, admin, stem, &json!({})).await
    }

    /// The same, made by someone else and with further labels.
    ///
    /// # Errors
    /// When it was refused, or never got its default account.
    pub async fn create_by(
        maker: &Identity,
        admin: &Identity,
        stem: &str,
        labels: &Value,
    ) -> Result<Namespace> {
        let name = format!("{stem}-{}-{}", crate::run(), COUNT.fetch_add(1, Ordering::Relaxed));
        let labels = with(json!({crate::RUN_LABEL: crate::run()}), labels);
        let body = json!({"metadata": {"name": name, "labels": labels}});
        maker.call(Call::post("/api/v1/namespaces", body)).await?.object()?;
        let namespace = Namespace { name, admin: admin.clone() };
        let account = namespace.core("serviceaccounts/default");
        eventually(&format!("{account} is there"), ACCOUNT_LIMIT, || async {
            match admin.call(Call::get(&account)).await {
                Ok(answer) if answer.is_success() => Ok(()),
                Ok(answer) => Err(answer.to_string()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await?;
        Ok(namespace)
    }

    /// The path of something of the core group in it.
    #[must_use]
    pub fn core(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.name)
    }

    /// The path of something of another group in it: `group` with its version.
    #[must_use]
    pub fn path(&self, group: &str, rest: &str) -> String {
        format!("/apis/{group}/namespaces/{}/{rest}", self.name)
    }

    /// The path of its Roles and RoleBindings.
    #[must_use]
    pub fn rbac(&self, rest: &str) -> String {
        self.path("rbac.authorization.k8s.io/v1", rest)
    }

    /// The path of Oz's objects in it.
    #[must_use]
    pub fn oz(&self, rest: &str) -> String {
        self.path(&format!("{}/{}", oz_shared::GROUP, oz_shared::VERSION), rest)
    }

    /// Binds a ClusterRole in it.
    ///
    /// # Errors
    /// When it was refused.
    pub async fn bind(&self, name: &str, cluster_role: &str, subjects: &[Value]) -> Result<()> {
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
            "subjects": subjects,
        });
        self.admin.call(Call::post(self.rbac("rolebindings"), binding)).await?.object()?;
        Ok(())
    }

    /// Has it deleted, without waiting for the end of it.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn remove(self) -> Result<()> {
        let answer = self.admin.call(Call::delete(format!("/api/v1/namespaces/{}", self.name))).await?;
        if matches!(answer.code, 404 | 409) { Ok(()) } else { answer.object().map(drop) }
    }
}
