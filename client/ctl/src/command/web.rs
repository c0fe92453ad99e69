//! `web`: the page's URL, with a code that a browser trades for the gateway's token. The token
//! itself stands in no URL, no history and no command line.

mod gateway;
mod listener;

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use gateway::{Code, Gateway};

/// As long is waited for xdg-open to fail.
const PATIENCE: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  steroidsctl web              print the URL; it is good once, for a minute
  steroidsctl web --open       open it in the browser
  steroidsctl web --rotate     replace the token first; pages open anew

Ends with 69 where no gateway runs: start it with `setsid -f steroids-gateway`.";

/// What to do with the URL.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Open it in the browser, with xdg-open
    #[arg(long)]
    open: bool,
    /// Replace the token first; what was opened with the old one ends
    #[arg(long)]
    rotate: bool,
}

/// Prints or opens it.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut gateway = find(session)?;
    if args.rotate {
        gateway.rotate().await?;
        session.note("the token is replaced; what was opened with the old one has ended");
    }
    let code = gateway.code().await?;
    let url = match &code {
        Code::Good { code, .. } => format!("{}/#code={code}", gateway.url()),
        Code::NotNeeded => format!("{}/", gateway.url()),
    };
    if args.open {
        open(&url).await?;
    }
    if session.json {
        let shape = match &code {
            Code::Good { seconds, .. } => {
                json!({"url": url, "auth": "token", "expiresInSeconds": seconds})
            }
            Code::NotNeeded => json!({"url": url, "auth": "none"}),
        };
        session.out.json(&shape)?;
    } else if args.open {
        session.note("opened in the browser");
    } else {
        session.out.line(&url)?;
        if let (Code::Good { seconds, .. }, true) = (&code, session.out.is_terminal) {
            session.note(format!("good once, for {seconds} s"));
        }
    }
    Ok(Exit::Ok)
}

/// The gateway, where its state folder is known or the usual one.
fn find(session: &Session) -> Result<Gateway, Failure> {
    let found = session.found()?;
    let Some(error) = found.doubt_of_state_dir() else {
        return Gateway::find(found.paths);
    };
    let usual = found.paths.state_dir.display().to_string();
    let failure = Failure::from(error);
    let message = failure.message().to_owned();
    match Gateway::find(found.paths) {
        Err(absent) if absent.exit() == Exit::Unreachable => Err(failure.with_hint(format!(
            "set it right, or name the gateway's state folder with --state-dir PATH: no gateway runs for the usual one, {usual}"
        ))),
        gateway => {
            session.note(format_args!(
                "{message}\nthe usual state folder counts: {usual}"
            ));
            gateway
        }
    }
}

/// Has the desktop open it. What that starts goes on without us; only what fails at once is told, as it
/// may last for as long as the browser does.
async fn open(url: &str) -> Result<(), Failure> {
    let failed = |message: String| {
        Failure::new(Exit::Refused, "no_browser", message)
            .with_hint("print the URL with `steroidsctl web` and open it yourself")
    };
    let mut started = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("could not start xdg-open: {error}")))?;
    match tokio::time::timeout(PATIENCE, started.wait()).await {
        Ok(Ok(ended)) if !ended.success() => {
            Err(failed(format!("xdg-open opened nothing: {ended}")))
        }
        _ => Ok(()),
    }
}
