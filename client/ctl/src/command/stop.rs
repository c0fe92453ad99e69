//! `stop`: ends invocations and everything they started.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use steroids_client::{json, v1};
use tonic::Status;

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
  steroidsctl stop 12 13 14            together: as long as the slowest takes
  steroidsctl stop 12 --grace 60s      leave it more time to tidy up
  steroidsctl stop 12 --grace 0        kill it at once

Asks the agent to end, waits for the grace time, then kills it with everything it started. Ends
when it has ended. Where it has ended and is tried again, the attempt that goes on is stopped; else
stopping one that has ended changes nothing. Several are stopped at once, and told of as they end;
the exit code is that of the first that could not be stopped.";

/// Which ones, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocations
    #[arg(value_name = "ID", required = true, value_parser = parse::id, add = complete::open_invocations())]
    ids: Vec<i64>,
    /// Time between asking it to end and killing it [default: its own, usually 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    grace: Option<Duration>,
}

/// Stops them, and waits until they have ended.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to_project().await?;
    let grace = args.grace.and_then(|grace| grace.try_into().ok());
    let ids: BTreeSet<_> = args.ids.iter().copied().collect();
    let what = match ids.len() {
        1 => format!("stopping invocation {}", args.ids[0]),
        several => format!("stopping {several} invocations"),
    };
    // All at once, the newest first: what waits for a place is not to begin in one that this makes free.
    let mut stopping: FuturesUnordered<_> = ids
        .iter()
        .rev()
        .map(|&id| {
            let request = v1::StopRequest {
                project: project.clone(),
                id,
                grace,
            };
            let stopped = client.stop_attempts(request, &ids);
            async move { (id, stopped.await) }
        })
        .collect();
    let (mut exit, mut written) = (Exit::Ok, Ok(()));
    while let Some((id, answer)) = Spinner::new().during(&what, stopping.next()).await {
        match answer {
            // Whoever reads no more wanted them all to be stopped.
            Ok(answer) if written.is_ok() => written = tell(session, id, &answer),
            Ok(_) => {}
            Err((id, status)) => {
                let failure = failure(session, id, status);
                if ids.len() == 1 {
                    return Err(failure);
                }
                let said = failure.report(session.json, session.stderr_colour);
                exit = if exit == Exit::Ok { said } else { exit };
            }
        }
    }
    if exit == Exit::Ok {
        written?;
    }
    Ok(exit)
}

fn tell(session: &mut Session, id: i64, answer: &v1::StopResponse) -> Result<(), Failure> {
    if session.json {
        let invocation = answer.invocation.clone().unwrap_or_default();
        let mut shape = json::Invocation::from(&invocation);
        shape.already_ended = Some(answer.already_ended);
        session.out.json(&shape)?;
    } else {
        session.out.line(sentence(id, answer))?;
    }
    Ok(session.out.flush()?)
}

fn failure(session: &Session, id: i64, status: Status) -> Failure {
    let failure = Failure::from(status);
    match failure.exit() {
        Exit::TimedOut => failure.or_hint(format!(
            "it is still being stopped; see with: {}",
            session.command(&format!("show {id}"))
        )),
        _ => failure,
    }
}

/// What came of it; the answer may be that of a later attempt.
pub(crate) fn sentence(id: i64, answer: &v1::StopResponse) -> String {
    let invocation = answer.invocation.as_ref();
    let standing = clean_line(invocation.map_or("", format::standing));
    let time = invocation.and_then(|it| it.duration_ms);
    let after = time.map_or_else(String::new, |ms| format!(" after {}", format::duration(ms)));
    let which = match invocation {
        Some(last) if last.id != id => format!("{}, a later attempt of {id},", last.id),
        _ => id.to_string(),
    };
    if answer.already_ended {
        format!("invocation {which} had ended already: {standing}{after}")
    } else {
        format!("invocation {which} stopped: {standing}{after}")
    }
}
