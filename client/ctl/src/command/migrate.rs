//! `migrate`: brings the project's database to the schema the daemon needs.

use steroids_client::v1;

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::spinner::Spinner;

const EXAMPLES: &str = "\
Examples:
  steroidsctl migrate
  steroidsctl migrate --project ~/src/app

A database that holds anything is copied under .steroids/backup/ first. One that is up to date, \
or newer, is left as it is.";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Migrates it.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let path = session.project()?;
    let client = session.connect().await?;
    let work = client.migrate(v1::MigrateRequest { path });
    let done = Spinner::new().during("migrating", work).await;
    let done = done.map_err(|status| Failure::from(status).unsure())?;
    if session.json {
        let mut shape = serde_json::json!({ "from": done.from, "to": done.to });
        if !done.backup.is_empty() {
            shape["backup"] = done.backup.into();
        }
        session.out.json(&shape)?;
    } else if done.from == done.to {
        session
            .out
            .line(format_args!("up to date: schema {}", done.to))?;
    } else {
        session.out.line(format_args!(
            "migrated from schema {} to {}",
            done.from, done.to
        ))?;
        if !done.backup.is_empty() {
            session
                .out
                .line(format_args!("backup: {}", clean_line(&done.backup)))?;
        }
    }
    Ok(Exit::Ok)
}
