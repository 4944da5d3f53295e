//! What a failed test tells: the requests of its namespace, their grants, the events, the controller's last words.

use std::fmt::Write as _;

use oz_shared::names::SYSTEM_NAMESPACE;
use serde_json::Value;
use support::Call;

use crate::world::World;

/// Of a controller's log.
const LINES: usize = 25;

/// All of it, as text.
pub(crate) async fn of(world: &World) -> String {
    let name = &world.ns.name;
    let mut text = format!("--- namespace {name}\n");
    for request in items(world, &world.ns.oz("accessrequests")).await {
        let _ = writeln!(
            text,
            "request {}: {}\n  {}",
            request["metadata"]["name"], request["spec"], request["status"]
        );
    }
    for grant in items(world, "/apis/ozaccess.io/v1alpha1/grants").await {
        if grant["spec"]["request"]["namespace"] == name.as_str() {
            let meta = &grant["metadata"];
            let _ = writeln!(text, "grant {} {}: {}", meta["name"], meta["uid"], grant["status"]);
        }
    }
    for event in items(world, &world.ns.path("events.k8s.io/v1", "events")).await {
        if event["regarding"]["kind"] == "AccessRequest" {
            let _ =
                writeln!(text, "event {} {}: {}", event["regarding"]["name"], event["reason"], event["note"]);
        }
    }
    text.push_str(&pods(world).await);
    text.push_str(&crate::controller::last_words(LINES));
    text
}

async fn pods(world: &World) -> String {
    let mut text = String::new();
    let base = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods");
    for pod in items(world, &base).await {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let _ = writeln!(text, "controller {name}: {}", pod["status"]["phase"]);
        let log = Call::get(format!("{base}/{name}/log")).query("tailLines", &LINES.to_string());
        if let Ok(answer) = world.admin.call(log).await {
            let _ = writeln!(
                text,
                "{}",
                answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned)
            );
        }
    }
    text
}

async fn items(world: &World, path: &str) -> Vec<Value> {
    match world.look(path).await {
        Ok(Value::Object(mut list)) => match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
