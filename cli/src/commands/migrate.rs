//! `oz migrate`

mod documents;
mod fields;
mod go;
mod oz;
mod shell;

use std::path::PathBuf;

use crate::app::App;
use crate::error::Error;
use crate::exit;
use crate::output::{clean, yaml};

const EXAMPLES: &str = "\
Examples:
  oz migrate oz templates.yaml > access.yaml
  kubectl get podaccesstemplates,execaccesstemplates -A -o yaml | oz migrate oz - > access.yaml
  kubectl apply --dry-run=server -f access.yaml";

/// Translate what another tool was configured with into templates
///
/// Reads files and writes to standard output: no cluster is asked or changed. What has no counterpart here is told on
/// standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// From the Go tool "Oz" (crds.wizardofoz.co): PodAccessTemplate and ExecAccessTemplate
    ///
    /// Each becomes an AccessTemplate, with a Role and a RoleBinding by which its allowedGroups may ask for it and for no
    /// other. Requests are not taken over: they are told of, to be asked for again.
    Oz {
        /// Files of YAML or JSON, or - for standard input
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(args: &Args, app: &App) -> Result<u8, Error> {
    let From::Oz { files } = &args.from;
    let mut migrated = Vec::new();
    let mut broken = Vec::new();
    for document in documents::read(files)? {
        match oz::migrate(document.object) {
            Ok(one) => migrated.push((document.place, one)),
            Err(why) => broken.push(format!("{}: {}", document.place, clean(&why))),
        }
    }
    // All or nothing: who pipes this on does not want the half of it.
    if !broken.is_empty() {
        return Err(
            Error::usage(broken.join("\n")).hint("nothing was printed; mend these, or leave them out")
        );
    }
    let (mut texts, mut without) = (Vec::new(), 0);
    for (place, one) in &migrated {
        one.notes.iter().for_each(|note| app.printer.say(&format!("note: {place}: {}", clean(note))));
        if let Some(why) = &one.left_out {
            app.printer.warn(&format!("{place}: left out: {why}"));
            without += 1;
        }
        for object in &one.objects {
            texts.push(yaml(object)?);
        }
    }
    if !texts.is_empty() {
        app.printer.data(&texts.join("---\n"))?;
    }
    match without {
        0 => Ok(exit::DONE),
        count => Err(Error::usage(format!("{count} of {} documents have no counterpart", migrated.len()))),
    }
}
