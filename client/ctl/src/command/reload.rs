//! `reload`: a new configuration without a new daemon. What that cannot be had for is named.

use steroids_client::v1;

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  steroidsctl reload
  steroidsctl reload --json

What runs keeps the limits it was started with. Keys that take a restart keep their old values until \
then (`status` shows them): a restart ends no invocation. A file that is no good changes nothing. \
Which file counts is found out anew, as at a start; where it is another than before, it is named.";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Asks for it, and says what it came to.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let done = client.reload(v1::ReloadRequest {}).await;
    let done = done.map_err(|status| Failure::from(status).unsure())?;
    if session.json {
        let mut shape = serde_json::json!({
            "changed": done.changed,
            "pending": done.pending,
        });
        if !done.file.is_empty() {
            shape["file"] = done.file.into();
        }
        session.out.json(&shape)?;
        return Ok(Exit::Ok);
    }
    let changed = if done.changed.is_empty() {
        "nothing new".to_owned()
    } else {
        clean_line(&done.changed.join(", "))
    };
    if !done.file.is_empty() {
        let file = clean_line(&done.file);
        session
            .out
            .line(format_args!("read      {file}, another file than before"))?;
    }
    session.out.line(format_args!("reloaded  {changed}"))?;
    session.out.flush()?;
    if !done.pending.is_empty() {
        let keys = done.pending.join(", ");
        session.note(format_args!(
            "taking a restart of steroidsd, and as before until then: {}",
            clean_line(&keys)
        ));
    }
    Ok(Exit::Ok)
}
