//! Following what is tried again, to the end of its last attempt.

use std::time::Duration;

use steroids_client::Client;
use steroids_client::v1::follow_request::Selector;
use steroids_client::v1::{FollowRequest, Invocation, InvocationSelector};
use tokio::time::{Instant, sleep};

use super::show;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{self, End, Plan, Scope};
use crate::format;
use crate::interrupt::Interrupt;
use crate::session::Session;

/// The row is final a moment after the last line, and that moment may wait for a database. Asked for again and
/// again: mostly it is there at the first or second time, and a watch would have to be open before each end.
const ROW_WITHIN: Duration = Duration::from_secs(10);
const ROW_EVERY: Duration = Duration::from_millis(50);

/// Follows an invocation as planned, then each next attempt of it from its first line on; ends as
/// the last of them does.
pub(crate) async fn follow(
    session: &mut Session,
    client: &Client,
    mut at: InvocationSelector,
    mut plan: Plan,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let raw = plan.raw;
    loop {
        let (ending, cursor) = match follow::run(session, client, plan, interrupt).await {
            // Of how it ends that nobody reads on says nothing.
            Err(failure) if failure.is_reader_gone() => return standing(client, at).await,
            followed => match followed? {
                End::Left(exit) => return Ok(exit),
                End::Ended { ending, cursor } => (ending.map(|ending| ending.exit()), cursor),
            },
        };
        // Neither is ever tried again.
        if let Some(exit @ (Exit::Ok | Exit::Stopped)) = ending {
            return Ok(exit);
        }
        let looked = tokio::select! {
            left = interrupt.pressed() => {
                session.note_at(unknown(session, at.id), &cursor, Some(at.id));
                return Ok(left);
            }
            looked = after(client, &at) => looked,
        };
        let next = match (looked, ending) {
            (Ok((_, Some(next))), _) => next,
            (Ok((row, None)), None) => return Ok(show::exit(&row)),
            (Err(failure), None) => return Err(failure),
            (Ok((row, None)), Some(exit)) => {
                if row.managed && format::is_open(&row) {
                    session.note_at(unknown(session, at.id), &cursor, Some(at.id));
                }
                return Ok(exit);
            }
            (Err(_), Some(exit)) => {
                session.note_at(unknown(session, at.id), &cursor, Some(at.id));
                return Ok(exit);
            }
        };
        let waits = match next.waiting.as_str() {
            "" => String::new(),
            why => format!(", which waits: {}", format::by_clock(why)),
        };
        session.note(format!(
            "invocation {} is tried again as {}{waits}",
            at.id, next.id
        ));
        at.id = next.id;
        plan = Plan {
            request: FollowRequest {
                selector: Some(Selector::Invocation(at.clone())),
                follow: true,
                ..FollowRequest::default()
            },
            scope: Scope::Invocation {
                id: next.id,
                open: format::is_open(&next),
                managed: next.managed,
            },
            raw,
            is_over: false,
        };
    }
}

/// The exit code that the last attempt's row stands for; "try again" while it goes on.
pub(crate) async fn standing(client: &Client, mut at: InvocationSelector) -> Result<Exit, Failure> {
    loop {
        let row = show::get(client, &at.project, at.id).await?;
        match later(&row) {
            Some(next) => at.id = next,
            None => return Ok(show::exit(&row)),
        }
    }
}

/// The row once it is final, or as it is after a while, and the attempt that came of it.
async fn after(
    client: &Client,
    at: &InvocationSelector,
) -> Result<(Invocation, Option<Invocation>), Failure> {
    let until = Instant::now() + ROW_WITHIN;
    loop {
        let looked = look(client, at).await;
        let is_known = match &looked {
            // A runner of the older tool tries nothing again.
            Ok((row, _)) => !row.managed || !format::is_open(row),
            Err(failure) => !matches!(failure.exit(), Exit::Unreachable | Exit::TryAgain),
        };
        if is_known || Instant::now() >= until {
            return looked;
        }
        sleep(ROW_EVERY).await;
    }
}

async fn look(
    client: &Client,
    at: &InvocationSelector,
) -> Result<(Invocation, Option<Invocation>), Failure> {
    let row = show::get(client, &at.project, at.id).await?;
    let next = match later(&row) {
        Some(next) => Some(show::get(client, &at.project, next).await?),
        None => None,
    };
    Ok((row, next))
}

/// A later attempt has a higher id, so that they come to an end.
pub(super) fn later(row: &Invocation) -> Option<i64> {
    row.retried_by.filter(|next| *next > row.id)
}

fn unknown(session: &Session, id: i64) -> String {
    format!(
        "whether it is tried again is not known yet; see with: {}",
        session.command(&format!("show {id}"))
    )
}
