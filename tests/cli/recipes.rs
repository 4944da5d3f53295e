//! The page for those without the CLI says what works: each of its commands is run, by whom it says, in its order.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde::Deserialize as _;
use serde_json::{Value, json};
use support::Call;

use crate::bodies;
use crate::home::Home;
use crate::running::Running;
use crate::world::scenario;

const PAGE: &str = include_str!("../../manifests/examples/README.md");
const TEMPLATES: &str = include_str!("../../manifests/examples/exec.yaml");

/// Whose each block is, and what he types.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let parts = PAGE.split("```sh ").skip(1);
    parts.map(|part| part.split_once("```").unwrap().0.split_once('\n').unwrap()).collect()
}

#[tokio::test]
async fn every_command_of_the_page() {
    let fences = PAGE.lines().filter(|line| line.starts_with("```")).count();
    assert_eq!(fences, 2 * blocks().len(), "a block that names nobody is not tried");
    scenario("cli-recipes", async |world| {
        let first = serde_yaml::Deserializer::from_str(TEMPLATES).next().unwrap();
        let mut spec = Value::deserialize(first).unwrap()["spec"].clone();
        spec["exec"]["pods"]["selector"] = json!(null);
        spec["approvals"] = json!(1);
        world.template("api-exec", spec).await;
        let deployments = world.ns.path("apps/v1", "deployments");
        world.must(&world.admin, Call::post(deployments, bodies::workload("Deployment", "api"))).await;
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        for home in [&alice, &bob] {
            symlink(world.lab.kubectl(), home.path().join("bin/kubectl")).unwrap();
        }
        let mut said = String::new();
        for (who, script) in blocks() {
            let home = match who {
                "alice" => &alice,
                "bob" => &bob,
                other => panic!("nobody is called {other} here"),
            };
            let mut command = Command::new("sh");
            command.args(["-euc", script]).env_clear().envs(home.environment()).current_dir(home.path());
            let ran = Running::start(command, Vec::new()).end();
            assert_eq!(ran.code, 0, "{who}: {script}\n{ran}");
            said.push_str(&ran.stdout());
        }
        for words in ["alice: INC-42", "inside\n", "inc-43"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    })
    .await;
}
