//! `cleanup`: deletes what is no longer needed, now rather than in the next maintenance pass.

use steroids_client::{Client, v1};

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::spinner::Spinner;

const EXAMPLES: &str = "\
Examples:
  steroidsctl cleanup all --dry-run
  steroidsctl cleanup logs --days 30
  steroidsctl cleanup spools";

const LOGS_EXAMPLES: &str = "\
Examples:
  steroidsctl cleanup logs --dry-run        what would go, and why
  steroidsctl cleanup logs                  what is due of this project
  steroidsctl cleanup logs --all            of all, also by number and size
  steroidsctl cleanup logs --days 30
  steroidsctl cleanup logs --days 0 --all   all of what ended, in all projects

Never deletes the log of an invocation that runs or waits. Rows stay: `list` and `show` still know them.";

const SPOOLS_EXAMPLES: &str = "\
Examples:
  steroidsctl cleanup spools --dry-run      what would go, and why
  steroidsctl cleanup spools                what goes by the configuration
  steroidsctl cleanup spools --days 1

Raw transcripts of all projects. Without one `reproject` cannot make its log anew. Never deletes that of \
an invocation that runs, waits, or has its end not yet in its row.";

const ALL_EXAMPLES: &str = "\
Examples:
  steroidsctl cleanup all --dry-run   what the next pass would delete
  steroidsctl cleanup all

Logs and raw transcripts of all projects, by the configuration.";

/// What to clean up.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Delete activity logs
    Logs(LogsArgs),
    /// Delete raw transcripts
    Spools(SpoolsArgs),
    /// Delete both, as the maintenance pass does
    All(AllArgs),
}

/// Which logs.
#[derive(Debug, clap::Args)]
#[command(after_help = LOGS_EXAMPLES)]
struct LogsArgs {
    /// Older than so many days [default: as configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    days: Option<i32>,
    /// Delete nothing, say what would go
    #[arg(long)]
    dry_run: bool,
    /// In all registered projects
    #[arg(long)]
    all: bool,
}

/// Which transcripts.
#[derive(Debug, clap::Args)]
#[command(after_help = SPOOLS_EXAMPLES)]
struct SpoolsArgs {
    /// Older than so many days [default: as configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    days: Option<i32>,
    /// Delete nothing, say what would go
    #[arg(long)]
    dry_run: bool,
}

/// All there is.
#[derive(Debug, clap::Args)]
#[command(after_help = ALL_EXAMPLES)]
struct AllArgs {
    /// Delete nothing, say what would go
    #[arg(long)]
    dry_run: bool,
}

/// What was deleted of a kind, or would be.
struct Done {
    noun: (&'static str, &'static str),
    files: i64,
    bytes: i64,
    kept_running: i64,
    failures: Vec<String>,
    items: Vec<v1::CleanedItem>,
}

/// Cleans up.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    match &args.what {
        What::Logs(args) => {
            let (client, project) = session.connect_to(args.all).await?;
            let done = logs(&client, project, args.days, args.dry_run).await?;
            if session.json {
                session.out.json(&done.json(args.dry_run))?;
            }
            report(&done, args.dry_run, session)
        }
        What::Spools(args) => {
            let client = session.connect().await?;
            let done = spools(&client, args.days, args.dry_run).await?;
            if session.json {
                session.out.json(&done.json(args.dry_run))?;
            }
            report(&done, args.dry_run, session)
        }
        What::All(args) => all(args.dry_run, session).await,
    }
}

async fn all(dry_run: bool, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let logs = logs(&client, String::new(), None, dry_run).await?;
    let spools = spools(&client, None, dry_run).await?;
    if session.json {
        session.out.json(&serde_json::json!({
            "logs": logs.json(dry_run),
            "spools": spools.json(dry_run),
        }))?;
    }
    let exits = [
        report(&logs, dry_run, session)?,
        report(&spools, dry_run, session)?,
    ];
    Ok(match exits.contains(&Exit::Refused) {
        true => Exit::Refused,
        false => Exit::Ok,
    })
}

async fn logs(
    client: &Client,
    project: String,
    days: Option<i32>,
    dry_run: bool,
) -> Result<Done, Failure> {
    let request = v1::CleanupLogsRequest {
        project,
        days,
        dry_run,
    };
    let work = client.cleanup_logs(request);
    let done = Spinner::new().during("cleaning up", work).await;
    let done = done.map_err(|status| Failure::from(status).unsure())?;
    Ok(Done {
        noun: ("log", "logs"),
        files: done.files,
        bytes: done.bytes,
        kept_running: done.kept_running,
        failures: done.failures,
        items: done.items,
    })
}

async fn spools(client: &Client, days: Option<i32>, dry_run: bool) -> Result<Done, Failure> {
    let work = client.cleanup_spools(v1::CleanupSpoolsRequest { days, dry_run });
    let done = Spinner::new().during("cleaning up", work).await;
    let done = done.map_err(|status| Failure::from(status).unsure())?;
    Ok(Done {
        noun: ("transcript", "transcripts"),
        files: done.folders,
        bytes: done.bytes,
        kept_running: done.kept_running,
        failures: done.failures,
        items: done.items,
    })
}

fn report(done: &Done, dry_run: bool, session: &mut Session) -> Result<Exit, Failure> {
    if !session.json {
        let did = if dry_run { "would delete" } else { "deleted" };
        let noun = if done.files == 1 {
            done.noun.0
        } else {
            done.noun.1
        };
        let bytes = format::bytes(done.bytes);
        session
            .out
            .line(format_args!("{did} {} {noun}, {bytes}", done.files))?;
        for item in &done.items {
            session.out.line(line(item))?;
        }
        let untold = done.files - i64::try_from(done.items.len()).unwrap_or(i64::MAX);
        if untold > 0 && !done.items.is_empty() {
            session.out.line(format_args!("  and {untold} more"))?;
        }
        if done.kept_running > 0 {
            session.out.line(format_args!(
                "kept {} of running invocations",
                done.kept_running
            ))?;
        }
        session.out.flush()?;
        for failure in &done.failures {
            session.note(format_args!("not deleted: {failure}"));
        }
    }
    Ok(if done.failures.is_empty() {
        Exit::Ok
    } else {
        Exit::Refused
    })
}

fn line(item: &v1::CleanedItem) -> String {
    let why = match &*item.reason {
        "age" => "old enough",
        "project_count" => "its project has too many",
        "project_bytes" => "its project's take too much",
        "count" => "there are too many",
        "bytes" => "all together take too much",
        other => other,
    };
    let place = match &*item.project {
        "" => String::new(),
        project => format!(" of {project}"),
    };
    let bytes = format::bytes(item.bytes);
    clean_line(&format!("  {}{place}, {bytes}: {why}", item.name))
}

impl Done {
    fn json(&self, dry_run: bool) -> serde_json::Value {
        let items: Vec<_> = self
            .items
            .iter()
            .map(|item| {
                let mut object = serde_json::json!({
                    "name": item.name,
                    "bytes": item.bytes,
                    "reason": item.reason,
                });
                if !item.project.is_empty() {
                    object["project"] = serde_json::json!(item.project);
                }
                object
            })
            .collect();
        serde_json::json!({
            "files": self.files,
            "bytes": self.bytes,
            "keptRunning": self.kept_running,
            "failures": self.failures,
            "items": items,
            "dryRun": dry_run,
        })
    }
}
