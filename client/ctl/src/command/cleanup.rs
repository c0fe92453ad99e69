//! `cleanup`: deletes what is no longer needed, now rather than in the next maintenance pass.

use steroids_client::v1;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::spinner::Spinner;

const EXAMPLES: &str = "\
Examples:
  steroidsctl cleanup logs --dry-run
  steroidsctl cleanup logs --days 30";

const LOGS_EXAMPLES: &str = "\
Examples:
  steroidsctl cleanup logs --dry-run        what would go
  steroidsctl cleanup logs                  what is older than the configured days
  steroidsctl cleanup logs --days 30
  steroidsctl cleanup logs --days 0 --all   every ended invocation's log, in all projects

Never deletes the log of a running invocation. Rows stay: `list` and `show` still know them.";

/// What to clean up.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Delete activity logs older than some days
    Logs(LogsArgs),
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

/// Cleans up.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let What::Logs(args) = &args.what;
    let (client, project) = session.connect_to(args.all).await?;
    let request = v1::CleanupLogsRequest {
        project,
        days: args.days,
        dry_run: args.dry_run,
    };
    let done = Spinner::new()
        .during("cleaning up", client.cleanup_logs(request))
        .await?;
    if session.json {
        session.out.json(&serde_json::json!({
            "files": done.files,
            "bytes": done.bytes,
            "keptRunning": done.kept_running,
            "failures": done.failures,
            "dryRun": args.dry_run,
        }))?;
    } else {
        let did = if args.dry_run {
            "would delete"
        } else {
            "deleted"
        };
        let bytes = format::bytes(done.bytes);
        let logs = if done.files == 1 { "log" } else { "logs" };
        session
            .out
            .line(format_args!("{did} {} {logs}, {bytes}", done.files))?;
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
