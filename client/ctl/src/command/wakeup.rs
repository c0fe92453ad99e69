//! `wakeup`: the maintenance pass that also runs by itself every few minutes.

use steroids_client::v1;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::spinner::Spinner;

const EXAMPLES: &str = "\
Examples:
  steroidsctl wakeup
  steroidsctl wakeup --json

Finishes what ended unseen, deletes logs and transcripts past their time.";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Runs it, and says what it did.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let work = client.wakeup(v1::WakeupRequest {});
    let done = Spinner::new().during("maintenance", work).await;
    let done = done.map_err(|status| Failure::from(status).unsure())?;
    if session.json {
        session.out.json(&serde_json::json!({
            "reconciled": done.reconciled,
            "logsRemoved": done.logs_removed,
            "bytesRemoved": done.bytes_removed,
            "spoolsRemoved": done.spools_removed,
            "spoolBytesRemoved": done.spool_bytes_removed,
            "logsCompressed": done.logs_compressed,
            "bytesSaved": done.bytes_saved,
            "failures": done.failures,
        }))?;
    } else {
        let logs = format::bytes(done.bytes_removed);
        let spools = format::bytes(done.spool_bytes_removed);
        session
            .out
            .line(format_args!("finished      {}", done.reconciled))?;
        session
            .out
            .line(format_args!("logs deleted  {} ({logs})", done.logs_removed))?;
        session.out.line(format_args!(
            "spools        {} ({spools})",
            done.spools_removed
        ))?;
        if done.logs_compressed > 0 {
            let saved = format::bytes(done.bytes_saved);
            session.out.line(format_args!(
                "compressed    {} ({saved} less)",
                done.logs_compressed
            ))?;
        }
        session.out.flush()?;
        for failure in &done.failures {
            session.note(format_args!("not done: {failure}"));
        }
    }
    Ok(if done.failures.is_empty() {
        Exit::Ok
    } else {
        Exit::Refused
    })
}
