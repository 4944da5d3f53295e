//! What the pipeline is given: a kubeconfig of its own, and the words by which its CI system learns of it. The kubeconfig
//! tells by whose credential it was got, so that this program goes on as the pipeline where KUBECONFIG leads to the lent
//! namespace by then.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kube::config::Kubeconfig;
use oz_shared::NamespaceRequest;
use serde::{Deserialize, Serialize};

use super::RequestArgs;
use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Token, entries};
use crate::kubeconfig::Credential;
use crate::output::stamp;
use crate::settings::{Settings, kubeconfig_variable};

/// The extension of the whole kubeconfig that tells where it comes from.
const EXTENSION: &str = "ozaccess.io";

/// By which kubeconfig and context the pipeline acts itself; no files: by its pod's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    kubeconfigs: Vec<PathBuf>,
    #[serde(default)]
    context: Option<String>,
}

/// The settings by which the pipeline acts as itself, also where KUBECONFIG is what this program wrote.
pub(super) fn origin(settings: Settings) -> Settings {
    let variable = kubeconfig_variable().unwrap_or_default();
    let Some(first) = std::env::split_paths(&variable).find(|path| path.is_file()) else { return settings };
    let Ok(kubeconfig) = Kubeconfig::read_from(first) else { return settings };
    let extensions = kubeconfig.extensions.unwrap_or_default();
    let Some(ours) = extensions.into_iter().find(|e| e.name == EXTENSION) else { return settings };
    match serde_json::from_value::<Origin>(ours.extension) {
        Ok(origin) => Settings {
            context: settings.context.or(origin.context),
            kubeconfigs: Some(origin.kubeconfigs),
            ..settings
        },
        Err(_) => settings,
    }
}

/// How the pipeline is told.
enum Form {
    /// The file's name alone.
    Path,
    Exports,
    Github {
        env: PathBuf,
        output: Option<PathBuf>,
    },
    Gitlab(PathBuf),
}

/// What is given, and where.
pub(super) struct Given {
    kubeconfig: PathBuf,
    form: Form,
}

impl Given {
    /// # Errors
    /// There is no such place.
    pub(super) fn prepare(args: &RequestArgs) -> Result<Self, Error> {
        let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let form = match (&args.form.gitlab, args.form.github, args.form.env) {
            (Some(file), ..) => Form::Gitlab(file.clone()),
            (_, true, _) => Form::Github {
                env: variable("GITHUB_ENV").ok_or_else(|| {
                    Error::usage("GITHUB_ENV is not set: this is no step of GitHub Actions")
                })?,
                output: variable("GITHUB_OUTPUT"),
            },
            (.., true) => Form::Exports,
            _ => Form::Path,
        };
        let name = format!("nsplease-{}.yaml", args.name);
        // A runner's own folder is emptied after each job.
        let folder = matches!(form, Form::Github { .. }).then(|| variable("RUNNER_TEMP")).flatten();
        let wanted = args.kubeconfig.clone().unwrap_or_else(|| folder.unwrap_or_default().join(name));
        let kubeconfig = std::path::absolute(&wanted)
            .map_err(|e| Error::usage(format!("{} names no file: {e}", wanted.display())))?;
        let text = kubeconfig.to_str().filter(|t| !t.chars().any(char::is_control));
        let folder = kubeconfig.parent().filter(|f| f.is_dir());
        if text.is_none() || folder.is_none() || kubeconfig.is_dir() {
            return Err(Error::usage(format!("no kubeconfig can be written to {}", kubeconfig.display())));
        }
        Ok(Self { kubeconfig, form })
    }

    /// Writes the kubeconfig and says so in the way that is wanted.
    ///
    /// # Errors
    /// Something cannot be written.
    pub(super) fn tell(
        &self,
        app: &App,
        cluster: &Cluster,
        request: &NamespaceRequest,
        token: &Token,
    ) -> Result<(), Error> {
        let mut all = entries(cluster, request, token);
        if all.is_empty() {
            return Err(Error::new(exit::NOT_READY, "the request has no namespace"));
        }
        let mut entry = all.swap_remove(0);
        if let (false, true) = (token.lasts(), matches!(entry.credential, Credential::Token(_)))
            && let Some(plugin) = crate::kube::plugin_in_pod(cluster, request)
        {
            entry.credential = plugin;
        }
        let written = matches!(entry.credential, Credential::Token(_));
        let path = self.kubeconfig.to_string_lossy().into_owned();
        let pairs = [("KUBECONFIG", path.as_str()), ("NSPLEASE_NAMESPACE", entry.namespace.as_str())];
        // Before it stands anywhere from where it could be printed.
        if matches!(self.form, Form::Github { .. }) && written {
            app.printer.data(&format!("::add-mask::{}", token.secret))?;
        }
        replace(&self.kubeconfig, &(entry.alone() + &origin_of(cluster)?))?;
        match &self.form {
            Form::Path => app.printer.data(&path)?,
            Form::Exports => {
                for (name, value) in pairs {
                    app.printer.data(&format!("export {name}='{}'", value.replace('\'', r"'\''")))?;
                }
            }
            Form::Github { env, output } => {
                append(env, &pairs)?;
                if let Some(output) = output {
                    append(output, &[("kubeconfig", &path), ("namespace", &entry.namespace)])?;
                }
            }
            Form::Gitlab(file) => replace(file, &lines(&pairs))?,
        }
        app.printer.say(&format!("{} is yours until {}.", entry.namespace, stamp(token.until)));
        if !token.lasts() && written {
            let end = stamp(token.end());
            app.printer.say(&format!("Its token ends {end}: nsplease request again gives another."));
        }
        Ok(())
    }
}

fn lines(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// The part of the kubeconfig that tells where it comes from. JSON is YAML.
fn origin_of(cluster: &Cluster) -> Result<String, Error> {
    let way = &cluster.way;
    let kubeconfigs = if way.in_pod { Vec::new() } else { way.files() };
    let origin = Origin { kubeconfigs, context: way.context().map(str::to_owned) };
    let extension = serde_json::json!([{"name": EXTENSION, "extension": origin}]);
    Ok(format!("extensions: {extension}\n"))
}

/// Writes a file whole or not at all, for its owner alone. A link that is there is replaced, not followed.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".nsplease-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|e| Error::internal(format!("failed to write {}: {e}", path.display())))
}

/// Adds to a file of the CI system's own.
fn append(path: &Path, pairs: &[(&str, &str)]) -> Result<(), Error> {
    let write =
        || OpenOptions::new().append(true).create(true).open(path)?.write_all(lines(pairs).as_bytes());
    write().map_err(|e| Error::internal(format!("failed to write {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn it_is_written_for_its_owner_and_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (other, path) = (folder.path().join("other"), folder.path().join("k"));
        std::fs::write(&other, "theirs").unwrap();
        symlink(&other, &path).unwrap();
        replace(&path, "ours").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "theirs");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ours");
        assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
