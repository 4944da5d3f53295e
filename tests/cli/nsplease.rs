//! The pipeline's way, by the pipeline's own token: inside its request namespace, outside of it, and on others' requests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use oz_shared::names::SESSIONS_NAMESPACE;
use oz_shared::{NamespaceRequest, Request as _};
use serde_json::{Value, json};
use support::{Call, eventually};

use crate::home::Home;
use crate::namespaces::bounded;
use crate::spaces::{Spaces, pipeline};
use crate::stage::spaced;
use crate::world::{LIMIT, World};

/// A machine on which a ServiceAccount of the test's namespace is who asks.
async fn runner(world: &World, account: &str) -> Home {
    let token = world.admin.mint(&world.ns.name, account, 3600).await.unwrap();
    let home = Home::with(world, "alice", |config| config["users"][0]["user"] = json!({"token": token}));
    std::os::unix::fs::symlink(world.lab.kubectl(), home.path().join("bin/kubectl")).unwrap();
    home
}

fn said(output: &Output) -> String {
    format!(
        "{:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn run(home: &Home, args: &[&str], env: &[(&str, &Path)]) -> Output {
    bounded(home.nsplease(args).envs(env.iter().copied()))
}

fn must(home: &Home, args: &[&str], env: &[(&str, &Path)]) -> String {
    let output = run(home, args, env);
    assert!(output.status.success(), "nsplease {args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn token_in(kubeconfig: &Path) -> String {
    let config: Value = serde_yaml::from_str(&fs::read_to_string(kubeconfig).unwrap()).unwrap();
    config["users"][0]["user"]["token"].as_str().unwrap().to_owned()
}

async fn requests(world: &World) -> Vec<NamespaceRequest> {
    let list: Value = world.look(&world.ns.oz("namespacerequests")).await.unwrap();
    serde_json::from_value(list["items"].clone()).unwrap()
}

async fn until_gone(world: &World, name: &str) {
    world.until_gone(&format!("/api/v1/namespaces/{name}")).await;
}

#[tokio::test]
async fn again_and_again() {
    spaced("please", json!({"reason": "Required"}), async |world, spaces| {
        let home = runner(world, "pipeline").await;
        let (name, class) = (spaces.name("pr"), spaces.class.as_str());
        let ask = ["request", &name, "--class", class, "--kubeconfig", "kube.yaml", "--timeout", "60s"];
        let output = run(&home, &ask, &[]);
        assert!(output.status.success(), "{}", said(&output));
        let file = home.path().join("kube.yaml");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), file.to_str().unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first = token_in(&file);
        assert!(!said(&output).contains(&first), "the token stands in the file alone");
        let kubectl = |args: &[&str]| {
            let mut words = vec!["--kubeconfig", "kube.yaml"];
            words.extend(args);
            home.kubectl(&words)
        };
        eventually("it owns the namespace", LIMIT, || async {
            let done = kubectl(&["get", "configmaps"]);
            if done.code == 0 { Ok(()) } else { Err(done.to_string()) }
        })
        .await
        .unwrap();
        assert_ne!(kubectl(&["get", "configmaps", "-n", &world.ns.name]).code, 0);

        // The same again, as the pipeline though KUBECONFIG leads to the namespace by now; of other settings, too.
        let lent = [("KUBECONFIG", file.as_path())];
        must(&home, &ask, &lent);
        must(
            &home,
            &["request", &name, "--kubeconfig", "two.yaml"],
            &[("NSPLEASE_CLASS", Path::new(class)), lent[0]],
        );
        assert_eq!(requests(world).await.len(), 1);
        let other = run(&home, &["request", &name, "--class", "another"], &lent);
        assert_eq!(other.status.code(), Some(2), "{}", said(&other));
        // What is lent asks for nothing itself.
        let minted = world.admin.with_token(&token_in(&file)).await.unwrap();
        let mine = minted.call(Call::get(world.ns.oz("namespacerequests"))).await.unwrap();
        assert_eq!(mine.code, 403);

        must(&home, &["release", &name], &lent);
        must(&home, &["release", &name], &lent);
        until_gone(world, &name).await;
        // The name is to be had again, under another request.
        must(&home, &ask, &[]);
        let names: Vec<String> = requests(world).await.into_iter().filter_map(|r| r.metadata.name).collect();
        assert!(names.contains(&name) && names.contains(&format!("{name}-2")), "{names:?}");
        must(&home, &["release", &name], &[]);
    })
    .await;
}

/// A job in the cluster has its pod's account, and nothing else.
#[tokio::test]
async fn from_within_a_pod() {
    spaced("please-pod", json!({}), async |world, spaces| {
        let mut pod = crate::bodies::pod("job", "job");
        pod["spec"]["serviceAccountName"] = json!("pipeline");
        pod["spec"]["automountServiceAccountToken"] = json!(true);
        world.must(&world.admin, Call::post(world.ns.core("pods"), pod)).await;
        world.until_ready("job").await;
        let admin = Home::of(world, "admin");
        let within = |script: &str, input: Vec<u8>| {
            let words = ["exec", "-i", "job", "-c", "main", "--", "sh", "-c", script];
            let said = admin.kubectl_fed(&words, input);
            assert_eq!(said.code, 0, "{script}: {said}");
            said.stdout()
        };
        within("cat > /tmp/nsplease && chmod +x /tmp/nsplease", fs::read(crate::home::program()).unwrap());
        let (name, class) = (spaces.name("job"), &spaces.class);
        within(
            &format!("HOME=/tmp /tmp/nsplease request {name} --class {class} --kubeconfig /tmp/k"),
            Vec::new(),
        );
        // Its address is the cluster's own, which only pods reach; the token is good everywhere.
        let config: Value = serde_yaml::from_str(&within("cat /tmp/k", Vec::new())).unwrap();
        let token = config["users"][0]["user"]["token"].as_str().unwrap();
        let owner = world.admin.with_token(token).await.unwrap();
        assert!(owner.user().username.starts_with("system:serviceaccount:oz-sessions:oz-n-"));
        let own = json!({"metadata": {"name": "own"}});
        world.must(&owner, Call::post(format!("/api/v1/namespaces/{name}/configmaps"), own)).await;
        within(&format!("/tmp/nsplease release {name}"), Vec::new());
        until_gone(world, &name).await;
    })
    .await;
}

#[tokio::test]
async fn many_at_once_share_one_request() {
    spaced("please-many", json!({}), async |world, spaces| {
        let home = runner(world, "pipeline").await;
        let name = spaces.name("pr");
        let start = |n: usize| {
            let file = format!("{n}.yaml");
            home.nsplease(&[
                "request",
                &name,
                "--class",
                &spaces.class,
                "--kubeconfig",
                &file,
                "--timeout",
                "90s",
            ])
            .spawn()
            .unwrap()
        };
        let running: Vec<_> = (0..6).map(start).collect();
        for mut one in running {
            assert!(one.wait().unwrap().success());
        }
        assert_eq!(requests(world).await.len(), 1);
        must(&home, &["release", &name], &[]);
    })
    .await;
}

#[tokio::test]
async fn what_is_another_s_stays_so() {
    spaced("please-two", json!({}), async |world, spaces| {
        let (home, name) = (runner(world, "pipeline").await, spaces.name("pr"));
        pipeline(world, "other").await;
        let other = runner(world, "other").await;
        let ask = ["request", &name, "--class", &spaces.class, "--timeout", "60s"];
        must(&home, &ask, &[]);
        let output = run(&other, &ask, &[]);
        assert_eq!(output.status.code(), Some(8), "{}", said(&output));
        assert!(said(&output).contains("Oz adopts none"), "{}", said(&output));
        // It sees the request, can neither mint nor end it, and takes nothing for its own.
        let theirs = requests(world).await.into_iter().find(|r| r.metadata.name.as_deref() == Some(&name));
        let account = theirs.unwrap().status.unwrap().account;
        let token = world.admin.mint(&world.ns.name, "other", 600).await.unwrap();
        let identity = world.admin.with_token(&token).await.unwrap();
        assert!(identity.mint(SESSIONS_NAMESPACE, &account, 600).await.is_err());
        let output = run(&other, &["release", &name], &[]);
        assert!(output.status.success() && said(&output).contains("nothing to release"), "{}", said(&output));
        assert_eq!(other.oz(&["release", &format!("nsreq/{name}")]).code, 3);
        assert!(spaces.request(&name).await.unwrap().release().is_none());

        // Outside of its namespace it asks for nothing.
        let output = run(&home, &["request", "x", "--class", &spaces.class, "-n", "default"], &[]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        must(&home, &["release", &name], &[]);
    })
    .await;
}

#[tokio::test]
async fn each_system_is_told_in_its_own_words() {
    spaced("please-ways", json!({}), async |world, spaces| {
        let (home, name) = (runner(world, "pipeline").await, spaces.name("pr"));
        let ask = |more: &[&'static str], env: &[(&str, &Path)]| {
            let mut words = vec!["request", &name, "--class", &spaces.class, "--timeout", "60s"];
            words.extend(more);
            must(&home, &words, env)
        };
        let at = |file: &str| home.path().join(file);
        let default = at(&format!("nsplease-{name}.yaml"));
        let told = format!("export KUBECONFIG='{}'\nexport NSPLEASE_NAMESPACE='{name}'", default.display());
        assert_eq!(ask(&["--env"], &[]), told);

        let (env, output) = (at("github.env"), at("github.out"));
        fs::write(&env, "BEFORE=1\n").unwrap();
        let github = [
            ("GITHUB_ENV", env.as_path()),
            ("GITHUB_OUTPUT", output.as_path()),
            ("RUNNER_TEMP", home.path()),
        ];
        let printed = ask(&["--github"], &github);
        assert_eq!(printed, format!("::add-mask::{}", token_in(&default)));
        let wanted = format!("BEFORE=1\nKUBECONFIG={}\nNSPLEASE_NAMESPACE={name}\n", default.display());
        assert_eq!(fs::read_to_string(&env).unwrap(), wanted);
        let wanted = format!("kubeconfig={}\nnamespace={name}\n", default.display());
        assert_eq!(fs::read_to_string(&output).unwrap(), wanted);
        assert_eq!(run(&home, &["request", &name, "--github"], &[]).status.code(), Some(2), "no GITHUB_ENV");

        assert_eq!(ask(&["--gitlab=x.env", "--kubeconfig", "k"], &[]), "");
        let wanted = format!("KUBECONFIG={}\nNSPLEASE_NAMESPACE={name}\n", at("k").display());
        assert_eq!(fs::read_to_string(at("x.env")).unwrap(), wanted);
        for bad in ["no/such/folder/k", "."] {
            let output = run(&home, &["request", &name, "--kubeconfig", bad], &[]);
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        }
        must(&home, &["release", &name], &[]);
    })
    .await;
}

/// A stand-in for a CI system: the example's own shell steps, one after the other, with what that system sets.
struct Stage<'a> {
    world: &'a World,
    home: Home,
    env: Vec<(String, String)>,
}

impl<'a> Stage<'a> {
    async fn new(world: &'a World, spaces: &Spaces<'_>) -> Stage<'a> {
        let env = vec![
            ("REQUESTS_NAMESPACE".to_owned(), world.ns.name.clone()),
            ("NSPLEASE_CLASS".to_owned(), spaces.class.clone()),
        ];
        Stage { world, home: runner(world, "pipeline").await, env }
    }

    fn set(&mut self, name: &str, value: impl AsRef<str>) {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
    }

    fn step(&self, shell: &[&str], script: &str) -> String {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(script).env_clear().envs(self.home.environment());
        command.envs(self.env.iter().map(|(k, v)| (k, v))).current_dir(self.home.path());
        let output = bounded(&mut command);
        assert!(output.status.success(), "{script}\n{}", said(&output));
        said(&output)
    }

    async fn until_given_back(&self, name: &str) {
        until_gone(self.world, name).await;
        assert!(requests(self.world).await.iter().all(|r| r.release().is_some()));
    }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples/ci").join(name);
    fs::read_to_string(path).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&example(name)).unwrap()
}

/// The example's name for a namespace, as this run's.
fn here(script: &str, spaces: &Spaces<'_>) -> String {
    script.replace("ci-", &spaces.name(""))
}

#[tokio::test]
async fn as_github_actions_runs_it() {
    spaced("github", json!({}), async |world, spaces| {
        let mut stage = Stage::new(world, spaces).await;
        let at = |file: &str| stage.home.path().join(file).to_str().unwrap().to_owned();
        let (env, output, temp) = (at("env"), at("out"), at(""));
        fs::write(&env, "").unwrap();
        for (name, value) in [("GITHUB_ENV", &env), ("GITHUB_OUTPUT", &output), ("RUNNER_TEMP", &temp)] {
            stage.set(name, value);
        }
        let name = spaces.name("pr-17");
        let mut masked = None;
        for step in yaml("github-actions.yaml")["jobs"]["try"]["steps"].as_array().unwrap() {
            let script = step["run"].as_str().unwrap().replace("${{ github.event.number }}", "17");
            let mut log = stage.step(&["bash", "-e", "-c"], &here(&script, spaces));
            for line in fs::read_to_string(&env).unwrap().lines() {
                let (name, value) = line.split_once('=').unwrap();
                stage.set(name, value);
            }
            if let Some((_, rest)) = log.split_once("::add-mask::") {
                let token = rest.lines().next().unwrap().to_owned();
                log = log.replacen(&token, "", 1);
                masked = Some(token);
            }
            assert!(!log.contains(masked.as_deref().unwrap()), "a token in the log");
        }
        stage.until_given_back(&name).await;
    })
    .await;
}

#[tokio::test]
async fn as_gitlab_ci_runs_it() {
    spaced("gitlab", json!({}), async |world, spaces| {
        let mut stage = Stage::new(world, spaces).await;
        stage.set("CI_COMMIT_REF_SLUG", "fix-17");
        let file = yaml("gitlab-ci.yaml");
        let lines = |list: &Value| -> String {
            let lines = list.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
            lines.collect::<Vec<_>>().join("\n")
        };
        let job = format!("{}\n{}", lines(&file[".space"]["before_script"]), lines(&file["test"]["script"]));
        stage.step(&["bash", "-e", "-c"], &here(&job, spaces));
        stage.step(&["bash", "-e", "-c"], &here(&lines(&file["clean-up"]["script"]), spaces));
        stage.until_given_back(&spaces.name("fix-17")).await;
    })
    .await;
}

#[tokio::test]
async fn as_jenkins_runs_it() {
    spaced("jenkins", json!({}), async |world, spaces| {
        let mut stage = Stage::new(world, spaces).await;
        stage.set("BUILD_TAG", "jenkins-shop-17");
        let file = example("Jenkinsfile");
        let steps: Vec<&str> = file.split("'''").skip(1).step_by(2).collect();
        assert_eq!(steps.len(), 2);
        for step in steps {
            stage.step(&["sh", "-xe", "-c"], &here(step, spaces));
        }
        stage.until_given_back(&spaces.name("jenkins-shop-17")).await;
    })
    .await;
}

#[tokio::test]
async fn as_tekton_runs_it() {
    spaced("tekton", json!({}), async |world, spaces| {
        let mut stage = Stage::new(world, spaces).await;
        stage.set("RUN", "run-17");
        for step in yaml("tekton.yaml")["spec"]["steps"].as_array().unwrap() {
            stage.step(&["sh", "-c"], &here(step["script"].as_str().unwrap(), spaces));
        }
        stage.until_given_back(&spaces.name("run-17")).await;
    })
    .await;
}
