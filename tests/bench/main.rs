//! `oz-bench`: how long people wait for Oz, what it costs the API server, and how large it is, on a real cluster. Beside
//! each figure stands its aim, and what a bare client takes for the same objects in the same run.
//!
//! `cargo lab bench` starts it. It reports and asserts nothing: figures are worth what the machine was worth.

mod actor;
mod audit;
mod lending;
mod measures;
mod process;
mod report;
mod stats;
mod world;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::measures::Measure;
use crate::report::Report;
use crate::world::World;

/// Measures Oz on the cluster that `cargo lab` runs.
#[derive(Debug, Parser)]
#[command(name = "oz-bench")]
struct Args {
    /// How often each thing is done.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Only these measures. Default: all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measure>,
    /// Prints JSON to stdout, and the table to stderr.
    #[arg(long)]
    json: bool,
    /// How many requests at once are a crowd; also the middle step of `memory` and `idle`.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    crowd: u32,
    /// How many crowds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many grants are many: the last step of `memory`.
    #[arg(long, default_value_t = 1000)]
    many: u32,
    /// How many seconds the idle controller is watched; the count is given for a minute.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
}

impl Args {
    fn wants(&self, measure: Measure) -> bool {
        self.only.is_empty() || self.only.contains(&measure)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Everything that is wanted. False when a measure failed: what the others found is printed all the same.
async fn run(args: &Args) -> Result<bool> {
    let mut report = Report::default();
    measures::alone(args, &mut report);
    if Measure::ON_CLUSTER.into_iter().any(|measure| args.wants(measure))
        && let Err(error) = on_cluster(args, &mut report).await
    {
        report.fail("the benchmark", &error);
    }
    report.compare();
    let data = if args.json {
        say(&report.table());
        serde_json::to_string_pretty(&report.json())?
    } else {
        report.table()
    };
    // A reader who has seen enough, as `head` has, is no failure.
    let _ = writeln!(std::io::stdout().lock(), "{data}");
    Ok(!report.has_failures())
}

async fn on_cluster(args: &Args, report: &mut Report) -> Result<()> {
    let mut world = World::begin().await?;
    let worked = tokio::select! {
        worked = measured(args, &mut world, report) => worked,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            Err(anyhow::anyhow!("interrupted"))
        }
    };
    say("removing what the benchmark made");
    let ended = tokio::select! {
        ended = world.end() => ended,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted again: kubectl removes the rest")),
    };
    worked.and(ended)
}

async fn measured(args: &Args, world: &mut World, report: &mut Report) -> Result<()> {
    world.furnish().await?;
    report.machine = process::machine(&world.admin).await;
    measures::all(args, world, report).await;
    Ok(())
}

/// Talk, as opposed to data.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
