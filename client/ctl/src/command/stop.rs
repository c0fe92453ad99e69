//! `stop`: ends invocations and everything they started.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use steroids_client::{Backoff, Client, Refusal, json, v1};
use tokio::time::sleep;
use tonic::Status;

use super::list;
use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::{Session, quoted};
use crate::spinner::Spinner;
use crate::{format, parse};

const EXAMPLES: &str = "\
Examples:
  steroidsctl stop 12
  steroidsctl stop 12 13 14            together: as long as the slowest takes
  steroidsctl stop 12 --grace 60s      leave it more time to tidy up
  steroidsctl stop 12 --grace 0        kill it at once
  steroidsctl stop --task T1           all that run or wait for a task
  steroidsctl stop --all               all there are, in every project
  steroidsctl --project . stop --all   all of this one

Asks the agent to end, waits for the grace time, then kills it. What it leaves running is ended, too, \
and given 5s for it. Ends when it has ended. Where it has ended and is tried again, the attempt that \
goes on is stopped; else stopping one that has ended changes nothing. Several are stopped at once, \
and told of as they end; the exit code is that of the first that could not be stopped. With --task \
and --all those are meant that run or wait at that moment, and of them those of an older tool are \
left alone.";

/// A daemon that stays away this long does not come back by itself.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// What was waited for so long had been taken: the daemon went away anew.
const TAKEN: Duration = Duration::from_secs(10);

/// Which ones, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocations
    #[arg(value_name = "ID", required_unless_present_any = ["task", "all"], conflicts_with_all = ["task", "all"], value_parser = parse::id, add = complete::open_invocations())]
    ids: Vec<i64>,
    /// All of a task that run or wait
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, conflicts_with = "all", add = complete::tasks())]
    task: Option<String>,
    /// All that run or wait, in all projects; of one with --project
    #[arg(long)]
    all: bool,
    /// Time between asking it to end and killing it [default: its own, usually 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    grace: Option<Duration>,
}

/// One that is meant.
struct Meant {
    project: String,
    id: i64,
    /// Where it was listed: another one may have the same path and id.
    uuid: String,
}

/// One that is being stopped. A stop may be said twice, so that it is said again where the daemon went away in between.
struct Asked<'a> {
    client: &'a Client,
    it: &'a Meant,
    grace: Option<Duration>,
    /// All that are stopped in its project.
    others: &'a BTreeSet<i64>,
    backoff: Backoff,
    /// Since when the daemon is away.
    lost: Option<Instant>,
    pause: Duration,
}

impl<'a> Asked<'a> {
    async fn ask(mut self) -> (Self, Result<v1::StopResponse, (i64, Status)>) {
        sleep(self.pause).await;
        let request = v1::StopRequest {
            project: self.it.project.clone(),
            id: self.it.id,
            grace: self.grace.and_then(|grace| grace.try_into().ok()),
            uuid: self.it.uuid.clone(),
        };
        let asked = Instant::now();
        let is_again = self.lost.is_some();
        let stopping = self.client.stop_attempts(request, self.others, is_again);
        let answer = stopping.await;
        if asked.elapsed() >= TAKEN {
            self.lost = None;
            self.backoff.reset();
        }
        (self, answer)
    }

    /// Whether it is to be asked for again.
    fn goes_on(&mut self, status: &Status) -> bool {
        let is_lost = Refusal::is_broken(status) || Refusal::is_stopping(status);
        let passes = is_lost || (self.lost.is_some() && Refusal::passes(status));
        if !passes || Refusal::is_timeout(status) {
            return false;
        }
        self.pause = self.backoff.wait();
        let lost = self.lost.get_or_insert_with(Instant::now);
        lost.elapsed() < PATIENCE
    }
}

/// Stops them, and waits until they have ended.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen();
    let has_asked = Cell::new(false);
    tokio::select! {
        left = interrupt.pressed() => {
            session.note(farewell(args, has_asked.get(), session));
            Ok(left)
        }
        stopped = stop(args, &has_asked, session) => stopped,
    }
}

/// The daemon goes on with what it was asked for; whether it has heard of all of it only its answers tell.
fn farewell(args: &Args, has_asked: bool, session: &Session) -> String {
    let what = match args.ids[..] {
        [id] => format!("invocation {id}"),
        _ => "what was to stop".to_owned(),
    };
    if !has_asked {
        return format!("left before {what} was asked to end");
    }
    let see = match (&args.task, &args.ids[..]) {
        (_, [id]) => session.command(&format!("show {id}")),
        (Some(task), _) => session.command(&format!("list --running --task {}", quoted(task))),
        _ if args.all => session.command("list --running --all"),
        _ => session.command("list --running"),
    };
    format!(
        "left without an answer; {what} goes on ending if the daemon has heard of it — see with: {see}"
    )
}

async fn stop(args: &Args, has_asked: &Cell<bool>, session: &mut Session) -> Result<Exit, Failure> {
    // With a project named, all of that.
    let is_everywhere = args.all && !session.names_project();
    let (client, project) = session.connect_to(is_everywhere).await?;
    let which = which(args, &client, project, session).await?;
    let what = match args.ids[..] {
        [id] => format!("stopping invocation {id}"),
        _ => format!("stopping {} invocations", which.len()),
    };
    let mut of_projects: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for it in &which {
        of_projects.entry(&it.project).or_default().insert(it.id);
    }
    let asked = which.iter().map(|it| Asked {
        client: &client,
        it,
        grace: args.grace,
        others: &of_projects[&*it.project],
        backoff: Backoff::new(),
        lost: None,
        pause: Duration::ZERO,
    });
    let mut stopping: FuturesUnordered<_> = asked.map(Asked::ask).collect();
    let (mut exit, mut written, mut is_away) = (Exit::Ok, Ok(()), false);
    has_asked.set(!which.is_empty());
    let mut spinner = Spinner::new();
    while let Some((mut asked, answer)) = spinner.on_during(&what, stopping.next()).await {
        spinner.clear();
        let (project, id) = (&*asked.it.project, asked.it.id);
        let of = if is_everywhere { project } else { "" };
        match answer {
            Err((_, status)) if asked.goes_on(&status) => {
                if !std::mem::replace(&mut is_away, true) {
                    session.note("the daemon is away; agents go on; this goes on once it is back");
                }
                stopping.push(asked.ask());
            }
            // Whoever reads no more wanted them all to be stopped.
            Ok(answer) if written.is_ok() => written = tell(session, of, id, &answer),
            Ok(_) => {}
            // It has ended, and only what is kept of it has no place.
            Err((_, status)) if args.ids.is_empty() && is_over(&status) => {
                let said = clean_line(status.message());
                session.note(format_args!("{}{said}", prefix(of)));
            }
            Err((id, status)) => {
                let failure = failure(session, of, id, status);
                if args.ids.len() == 1 {
                    return Err(failure);
                }
                let said = failure.report(session.json, session.stderr_colour);
                exit = exit.or(said);
            }
        }
    }
    if exit == Exit::Ok {
        written?;
    }
    Ok(exit)
}

/// Those that are meant, of each project the newest first: what waits for a place is not to begin in one that
/// this makes free.
async fn which(
    args: &Args,
    client: &Client,
    project: String,
    session: &Session,
) -> Result<Vec<Meant>, Failure> {
    if !args.ids.is_empty() {
        let ids: BTreeSet<i64> = args.ids.iter().copied().collect();
        let meant = ids.into_iter().rev().map(|id| Meant {
            project: project.clone(),
            id,
            uuid: String::new(),
        });
        return Ok(meant.collect());
    }
    let task = args.task.as_deref();
    let found = list::open(client, project.clone(), task).await?;
    let managed = found.invocations.iter().filter(|it| it.managed);
    let meant = managed.map(|it| Meant {
        project: it.project.clone(),
        id: it.id,
        uuid: it.uuid.clone(),
    });
    let mut which: Vec<_> = meant.collect();
    which.sort_by(|a, b| (&a.project, b.id).cmp(&(&b.project, a.id)));
    // What runs there is known by its state folders, but for that of an older tool, which is left alone.
    for unread in &found.unread {
        let is_there = |it: &v1::Invocation| it.project == *unread;
        let said = match found.gone.contains(unread) {
            // Of all projects, one that is gone and where nothing goes on is in nobody's way.
            true if project.is_empty() && !found.invocations.iter().any(is_there) => continue,
            true => "it is gone; what still runs or waits there is stopped all the same",
            false => "its database cannot be read",
        };
        session.note(format_args!("{}: {said}", clean_line(unread)));
    }
    if which.is_empty() {
        if let Some(task) = task {
            list::expect_task(client, project, task).await?;
        }
        session.note(match found.invocations.len() {
            0 => "nothing runs or waits",
            _ => "all that runs is driven by another tool, or a newer steroidsd, and left alone",
        });
    }
    Ok(which)
}

fn tell(
    session: &mut Session,
    project: &str,
    id: i64,
    answer: &v1::StopResponse,
) -> Result<(), Failure> {
    if session.json {
        let invocation = answer.invocation.clone().unwrap_or_default();
        let mut shape = json::Invocation::from(&invocation);
        shape.already_ended = Some(answer.already_ended);
        session.out.json(&shape)?;
    } else {
        let of = prefix(project);
        let said = sentence(id, answer);
        session.out.line(format_args!("{of}{said}"))?;
    }
    Ok(session.out.flush()?)
}

/// Where it was, if that is to be said.
fn prefix(project: &str) -> String {
    match project {
        "" => String::new(),
        project => format!("{}: ", clean_line(project)),
    }
}

fn is_over(status: &Status) -> bool {
    let reason = Refusal::of(status).reason;
    matches!(reason.as_deref(), Some("PROJECT_GONE" | "NOT_RECORDED_YET"))
}

fn failure(session: &Session, project: &str, id: i64, status: Status) -> Failure {
    let is_unheard = Refusal::is_broken(&status);
    let mut failure = Failure::from(status);
    if !project.is_empty() {
        failure = failure.of(&clean_line(project));
    }
    match failure.exit() {
        Exit::Unreachable | Exit::TimedOut if is_unheard => failure.unknown(format!(
            "whether it is being stopped is not known; see with: {}",
            session.command(&format!("show {id}"))
        )),
        Exit::TimedOut => {
            let see = session.command(&format!("show {id}"));
            match failure.hint().map(str::to_owned) {
                Some(todo) => failure.with_hint(format!("{todo}; see with: {see}")),
                None => failure.with_hint(format!("see with: {see}")),
            }
        }
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
    // What a stop has ended is cancelled; another end came before it, or as it was asked for.
    let how = match (answer.already_ended, invocation) {
        (true, _) => "had ended already",
        (false, Some(last)) if last.outcome != "cancelled" => "ended before it was stopped",
        (false, _) => "stopped",
    };
    format!("invocation {which} {how}: {standing}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(outcome: &str, already_ended: bool) -> String {
        let invocation = v1::Invocation {
            id: 12,
            state: v1::State::Completed.into(),
            outcome: outcome.to_owned(),
            duration_ms: Some(5000),
            ..v1::Invocation::default()
        };
        let answer = v1::StopResponse {
            invocation: Some(invocation),
            already_ended,
        };
        sentence(12, &answer)
    }

    #[test]
    fn only_what_a_stop_has_ended_is_called_stopped() {
        assert_eq!(
            said("cancelled", false),
            "invocation 12 stopped: cancelled after 5.0 s"
        );
        for outcome in ["success", "failed", "timeout_wall"] {
            assert_eq!(
                said(outcome, false),
                format!("invocation 12 ended before it was stopped: {outcome} after 5.0 s")
            );
            assert_eq!(
                said(outcome, true),
                format!("invocation 12 had ended already: {outcome} after 5.0 s")
            );
        }
    }
}
