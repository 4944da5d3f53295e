//! Raw requests to the API server: what a test sends is exactly what it says, and the whole answer comes back.

use std::fmt;

use serde_json::Value;

/// One request, to be sent by an [`Identity`](crate::Identity).
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Option<Value>,
    /// A connection (exec, attach, port-forward, proxy): an answer from behind admission counts as let through.
    pub(crate) connects: bool,
}

impl Call {
    fn new(
        method: http::Method,
        path: impl Into<String>,
        content_type: &'static str,
        body: Option<Value>,
    ) -> Call {
        Call { method, path: path.into(), query: Vec::new(), content_type, body, connects: false }
    }

    /// Reads.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Call {
        Call::new(http::Method::GET, path, "application/json", None)
    }

    /// Creates.
    #[must_use]
    pub fn post(path: impl Into<String>, body: Value) -> Call {
        Call::new(http::Method::POST, path, "application/json", Some(body))
    }

    /// Replaces.
    #[must_use]
    pub fn put(path: impl Into<String>, body: Value) -> Call {
        Call::new(http::Method::PUT, path, "application/json", Some(body))
    }

    /// Patches by JSON merge patch.
    #[must_use]
    pub fn merge(path: impl Into<String>, body: Value) -> Call {
        Call::new(http::Method::PATCH, path, "application/merge-patch+json", Some(body))
    }

    /// Patches by JSON patch, a list of operations.
    #[must_use]
    pub fn json_patch(path: impl Into<String>, operations: Value) -> Call {
        Call::new(http::Method::PATCH, path, "application/json-patch+json", Some(operations))
    }

    /// Server-side apply in the name of `manager`.
    #[must_use]
    pub fn apply(path: impl Into<String>, body: Value, manager: &str) -> Call {
        Call::new(http::Method::PATCH, path, "application/apply-patch+yaml", Some(body))
            .query("fieldManager", manager)
    }

    /// Deletes; on a collection, all of it.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Call {
        Call::new(http::Method::DELETE, path, "application/json", None)
    }

    /// Opens a connection by GET, as a websocket does, without the upgrade.
    #[must_use]
    pub fn connect(path: impl Into<String>) -> Call {
        Call { connects: true, ..Call::get(path) }
    }

    /// Opens a connection by POST, as SPDY does, without the upgrade.
    #[must_use]
    pub fn connect_by_post(path: impl Into<String>) -> Call {
        Call { method: http::Method::POST, ..Call::connect(path) }
    }

    /// Adds a query parameter; a name may come more than once.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Call {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes the fields from whoever manages them: for server-side apply.
    #[must_use]
    pub fn force(self) -> Call {
        self.query("force", "true")
    }

    /// Runs everything but the last step.
    #[must_use]
    pub fn dry(self) -> Call {
        self.query("dryRun", "All")
    }

    /// With this body, as DELETE options have it.
    #[must_use]
    pub fn body(mut self, body: Value) -> Call {
        self.body = Some(body);
        self
    }

    pub(crate) fn uri(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let pairs: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

/// Percent-encoded but for the characters that no part of a URI gives a meaning.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// What the API server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// The body, or the text of it where it is no JSON.
    pub body: Value,
    pub(crate) connected: bool,
}

impl Answer {
    /// Was the request carried out?
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.code < 300
    }

    /// The message of a `Status`, or the beginning of whatever came instead.
    #[must_use]
    pub fn message(&self) -> String {
        if self.is_success() {
            return String::new();
        }
        match (self.body.get("message").and_then(Value::as_str), self.body.as_str()) {
            (Some(message), _) => message.to_owned(),
            (None, Some(text)) => text.chars().take(300).collect(),
            (None, None) => self.body.to_string().chars().take(300).collect(),
        }
    }

    /// The object, where there is one.
    ///
    /// # Errors
    /// When the request was refused: the code and the message.
    pub fn object(self) -> anyhow::Result<Value> {
        if self.is_success() { Ok(self.body) } else { Err(anyhow::anyhow!("{self}")) }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_carry_any_command() {
        let call = Call::connect("/p/exec").query("command", "sh").query("command", "a b&ä=/");
        assert_eq!(call.uri(), "/p/exec?command=sh&command=a%20b%26%C3%A4%3D%2F");
    }
}
