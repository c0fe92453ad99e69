//! `stop`: ends an invocation and everything it started.

use std::time::Duration;

use steroids_client::{json, v1};

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::spinner::Spinner;
use crate::{format, parse};

const EXAMPLES: &str = "\
Examples:
  steroidsctl stop 12
  steroidsctl stop 12 --grace 60s      leave it more time to tidy up
  steroidsctl stop 12 --grace 0        kill it at once

Asks the agent to end, waits for the grace time, then kills it with everything it started. Ends
when it has ended. Stopping one that has ended changes nothing.";

/// Which one, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocation
    #[arg(value_parser = parse::id, add = complete::open_invocations())]
    id: i64,
    /// Time between asking it to end and killing it [default: its own, usually 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    grace: Option<Duration>,
}

/// Stops it, and waits until it has ended.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to_project().await?;
    let request = v1::StopRequest {
        project,
        id: args.id,
        grace: args.grace.and_then(|grace| grace.try_into().ok()),
    };
    let what = format!("stopping invocation {}", args.id);
    let answer = Spinner::new()
        .during(&what, client.stop(request))
        .await
        .map_err(|status| {
            let failure = Failure::from(status);
            match failure.exit() {
                Exit::TimedOut => failure.or_hint(format!(
                    "it is still being stopped; see with: {}",
                    session.command(&format!("show {}", args.id))
                )),
                _ => failure,
            }
        })?;
    if session.json {
        let invocation = answer.invocation.unwrap_or_default();
        let mut shape = json::Invocation::from(&invocation);
        shape.already_ended = Some(answer.already_ended);
        session.out.json(&shape)?;
        return Ok(Exit::Ok);
    }
    session.out.line(sentence(args.id, &answer))?;
    Ok(Exit::Ok)
}

/// What came of it.
pub(crate) fn sentence(id: i64, answer: &v1::StopResponse) -> String {
    let invocation = answer.invocation.as_ref();
    let standing = clean_line(invocation.map_or("", format::standing));
    let time = invocation.and_then(|it| it.duration_ms);
    let after = time.map_or_else(String::new, |ms| format!(" after {}", format::duration(ms)));
    if answer.already_ended {
        format!("invocation {id} had ended already: {standing}{after}")
    } else {
        format!("invocation {id} stopped: {standing}{after}")
    }
}
