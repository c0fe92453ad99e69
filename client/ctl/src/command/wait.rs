//! `wait`: until invocations have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steroids_client::{Backoff, Client, Refusal, json, v1};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status, Streaming};

use super::{attempts, list, show};
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
  steroidsctl wait 12 && git push
  steroidsctl wait 12 13 14            until all have ended
  steroidsctl wait 12 13 14 --any      until one has
  steroidsctl wait --task T1           all that run or wait for a task
  steroidsctl wait 12 --timeout 2h     two hours at most

Prints how each has ended, as it ends. Where one is tried again, waits for the attempt that goes on. \
The exit code is that of the first, as they are named, that did not succeed (1 failed, 124 timed out, \
130 stopped), 0 where all did; 75 where some have not ended within --timeout, which it says. Where \
nothing of a task runs or waits, its newest is meant. Ctrl-C only leaves.";

/// A daemon that takes a connection and then says nothing is asked again after this long.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Rows are looked at again so often though nothing was told: no event tells of one that was deleted,
/// and none of the older tool's end.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);
pub(super) const LOOK_AT_FOREIGN: Duration = Duration::from_secs(2);

/// Which ones, and how many of them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocations
    #[arg(value_name = "ID", required_unless_present = "task", conflicts_with = "task", value_parser = parse::id, add = complete::open_invocations())]
    ids: Vec<i64>,
    /// All of a task that run or wait
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks())]
    task: Option<String>,
    /// Until one of them has ended
    #[arg(long)]
    any: bool,
    /// Wait no longer than this, and end with 75; agents go on [default: until they have ended]
    #[arg(long, value_name = "TIME", value_parser = parse::some_time)]
    timeout: Option<Duration>,
}

/// Waits for them, and tells of each.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen();
    let waited = async {
        let longest = args.timeout.unwrap_or(Duration::MAX);
        let began = Instant::now();
        let found = timeout(longest, async {
            let (client, project) = session.connect_to_project().await?;
            let ids = which(args, &client, &project, session).await?;
            Ok::<_, Failure>((client, project, ids))
        });
        let silent = |_| not_ended(&args.ids, Word::None, longest, session);
        let (client, project, ids) = found.await.map_err(silent)??;
        let longest_left = longest.saturating_sub(began.elapsed());
        let left = ids.iter().map(|id| (*id, *id)).collect();
        let mut waiting = Waiting {
            client: client.clone(),
            project,
            left,
            is_any: args.any,
            foreign: BTreeSet::new(),
            exits: BTreeMap::new(),
            word: Word::None,
            written: Ok(()),
            spinner: Spinner::new(),
        };
        match timeout(longest_left, waiting.until_ended(session)).await {
            Ok(ended) => ended?,
            Err(_) => return Err(waiting.not_ended(longest, session)),
        }
        let mut exits = ids.iter().filter_map(|id| waiting.exits.get(id));
        let exit = exits.find(|exit| **exit != Exit::Ok).copied();
        match (exit.unwrap_or(Exit::Ok), waiting.written) {
            // It ends as it would have, had somebody read on.
            (Exit::Ok, Err(failure)) if !failure.is_reader_gone() => Err(failure),
            (exit, _) => Ok(exit),
        }
    };
    tokio::select! {
        left = interrupt.pressed() => {
            session.note(farewell(args, session));
            Ok(left)
        }
        waited = waited => waited,
    }
}

/// Who leaves ends nothing.
fn farewell(args: &Args, session: &Session) -> String {
    let names = match &args.task {
        Some(task) => format!("--task {}", quoted(task)),
        None => {
            let words: Vec<_> = args.ids.iter().map(ToString::to_string).collect();
            words.join(" ")
        }
    };
    let wait = session.command(&format!("wait {names}"));
    format!("left; what runs goes on — wait for it with: {wait}")
}

/// Whether the daemon has answered what it was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Given,
    None,
}

/// They go on, and so may the wait. Where the daemon has not answered that is all that is known of them.
fn not_ended(ids: &[i64], word: Word, longest: Duration, session: &Session) -> Failure {
    let words: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let which = match &words[..] {
        [id] => format!("invocation {id} has"),
        ids => format!("invocations {} have", ids.join(", ")),
    };
    let ms = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
    let within = format::duration(ms);
    let message = match word {
        Word::Given => format!("{which} not ended within {within}"),
        Word::None if words.is_empty() => {
            format!("the daemon has not said within {within} what there is to wait for")
        }
        Word::None => format!(
            "the daemon has not answered within {within}; as far as is known, {which} not ended"
        ),
    };
    let hint = match words.is_empty() {
        true => format!("see how the daemon is with: {}", session.command("doctor")),
        false => {
            let wait = session.command(&format!("wait {}", words.join(" ")));
            format!("wait for them with: {wait}")
        }
    };
    let failure = Failure::new(Exit::TryAgain, "not_ended", message)
        .with_hint(format!("agents go on; {hint}"))
        .about(ids.to_vec());
    match word {
        Word::Given => failure,
        Word::None => failure.hung(),
    }
}

async fn which(
    args: &Args,
    client: &Client,
    project: &str,
    session: &Session,
) -> Result<Vec<i64>, Failure> {
    let Some(task) = &args.task else {
        return Ok(args.ids.clone());
    };
    let found = list::open(client, project.to_owned(), Some(task)).await?;
    let mut ids: Vec<_> = found.invocations.iter().map(|it| it.id).collect();
    ids.sort_unstable();
    if ids.is_empty() {
        // One that has failed at once is no success of having come late.
        ids.extend(list::newest_of(client, project.to_owned(), task).await?);
        session.note("nothing runs or waits");
    }
    Ok(ids)
}

/// Those that have not ended, as far as is known.
struct Waiting {
    client: Client,
    project: String,
    /// Each with the id that it was asked for by: it may be a later attempt.
    left: BTreeMap<i64, i64>,
    is_any: bool,
    /// Those of them that the older tool runs.
    foreign: BTreeSet<i64>,
    /// How each has ended, by the id that it was asked for by.
    exits: BTreeMap<i64, Exit>,
    word: Word,
    /// Whether what was to be told could be written.
    written: Result<(), Failure>,
    spinner: Spinner,
}

/// Why a watch is no more.
enum Broken {
    /// It is opened again.
    Passing(Status),
    Final(Failure),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        // A daemon that is slow has not lost anybody.
        match Refusal::passes(&status) || status.code() == Code::DeadlineExceeded {
            true => Broken::Passing(status),
            false => Broken::Final(status.into()),
        }
    }
}

impl Waiting {
    async fn until_ended(&mut self, session: &mut Session) -> Result<(), Failure> {
        let ended = self.until_all_ended(session).await;
        self.spinner.clear();
        ended
    }

    async fn until_all_ended(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut backoff = Backoff::new();
        let mut is_away = false;
        while !self.left.is_empty() {
            let status = match self.watch(session, &mut backoff, &mut is_away).await {
                Ok(()) => break,
                Err(Broken::Passing(status)) => status,
                Err(Broken::Final(failure)) => return Err(failure),
            };
            if !std::mem::replace(&mut is_away, true) {
                let why = match Refusal::is_broken(&status) {
                    true => {
                        "the daemon is away; agents go on; this goes on once it is back".to_owned()
                    }
                    false => format!("{}; this goes on once that is over", status.message()),
                };
                self.spinner.clear();
                session.note(why);
            }
            let pause = sleep(backoff.wait());
            self.spinner
                .on_during("waiting for the daemon", pause)
                .await;
        }
        Ok(())
    }

    /// One connection's worth. The watch is opened before the rows are looked at: no end comes in between.
    async fn watch(
        &mut self,
        session: &mut Session,
        backoff: &mut Backoff,
        is_away: &mut bool,
    ) -> Result<(), Broken> {
        let request = v1::WatchRequest {
            project: self.project.clone(),
            ..Default::default()
        };
        self.word = Word::None;
        let opened = timeout(ANSWERS_WITHIN, self.client.watch(request)).await;
        let silent = |_| Status::unavailable("the daemon does not answer");
        let mut events = match opened.map_err(silent)? {
            Ok(events) => events,
            Err(status) => return Err(self.heard(status).into()),
        };
        let mut told: Option<BTreeSet<i64>> = None;
        loop {
            self.word = Word::None;
            for id in told.unwrap_or_else(|| self.left.keys().copied().collect()) {
                self.look(id, session).await?;
                if self.left.is_empty() {
                    return Ok(());
                }
            }
            self.word = Word::Given;
            backoff.reset();
            if std::mem::take(is_away) {
                self.spinner.clear();
                session.note("connected again");
            }
            let pause = match self.foreign.is_empty() {
                true => LOOK_AGAIN,
                false => LOOK_AT_FOREIGN,
            };
            let waits_for = self.waits_for();
            let word = timeout(pause, word_of(&self.left, &mut events));
            told = match self.spinner.on_during(&waits_for, word).await {
                Ok(ids) => Some(ids?),
                Err(_) => None,
            };
        }
    }

    /// A refusal is an answer, too, but for what was said here in the daemon's place.
    fn heard(&mut self, status: Status) -> Status {
        if !Refusal::is_broken(&status) && !Refusal::is_timeout(&status) {
            self.word = Word::Given;
        }
        status
    }

    /// Looks at one and, where it was tried again, at the attempts that came of it; tells how it has ended.
    async fn look(&mut self, mut id: i64, session: &mut Session) -> Result<(), Broken> {
        loop {
            let request = v1::GetRequest {
                project: self.project.clone(),
                id,
                terms: false,
            };
            let row = match self.client.get(request).await {
                Ok(answer) => answer.invocation,
                Err(status) => return Err(self.heard(status).into()),
            };
            let Some(row) = row else {
                let message = format!("there is no invocation {id}");
                let failure = Failure::new(Exit::NotFound, "not_found", message);
                return Err(Broken::Final(failure));
            };
            if format::is_open(&row) {
                if !row.managed {
                    self.foreign.insert(id);
                }
                return Ok(());
            }
            let asked = self.left.remove(&id).unwrap_or(id);
            self.foreign.remove(&id);
            match attempts::later(&row) {
                // Another one that is waited for by itself.
                Some(next) if self.left.contains_key(&next) => return Ok(()),
                Some(next) => {
                    self.left.insert(next, asked);
                    id = next;
                }
                None => {
                    self.tell(asked, &row, session);
                    return Ok(());
                }
            }
        }
    }

    fn tell(&mut self, asked: i64, row: &v1::Invocation, session: &mut Session) {
        self.exits.insert(asked, show::exit(row));
        if self.is_any {
            self.left.clear();
        }
        self.spinner.clear();
        if self.written.is_ok() {
            let written = match session.json {
                // What it was told and has answered is for who asks for that.
                true => session.out.json(&json::Invocation::from(&v1::Invocation {
                    prompt: String::new(),
                    response: String::new(),
                    evidence: None,
                    ..row.clone()
                })),
                false => session.out.line(sentence(asked, row)),
            };
            let written = written.and_then(|()| session.out.flush());
            self.written = written.map_err(Failure::from);
        }
    }

    fn not_ended(&mut self, longest: Duration, session: &Session) -> Failure {
        self.spinner.clear();
        let ids: Vec<i64> = self.left.keys().copied().collect();
        not_ended(&ids, self.word, longest, session)
    }

    fn waits_for(&self) -> String {
        let mut ids = self.left.keys();
        match (ids.next(), ids.len()) {
            (Some(id), 0) => format!("waiting for invocation {id}"),
            (_, more) => format!("waiting for {} invocations", more + 1),
        }
    }
}

/// Those of which something was told.
pub(super) async fn word_of(
    left: &BTreeMap<i64, i64>,
    events: &mut Streaming<v1::WatchResponse>,
) -> Result<BTreeSet<i64>, Status> {
    loop {
        let Some(told) = events.message().await? else {
            return Err(Status::unavailable("the daemon ended the stream"));
        };
        let ids = told.events.iter().filter_map(|event| event.invocation_id);
        let ids: BTreeSet<_> = ids.filter(|id| left.contains_key(id)).collect();
        if !ids.is_empty() {
            return Ok(ids);
        }
    }
}

/// How it ended; the row may be that of a later attempt.
fn sentence(asked: i64, row: &v1::Invocation) -> String {
    let which = match row.id {
        id if id == asked => id.to_string(),
        id => format!("{id}, a later attempt of {asked},"),
    };
    let mut text = format!(
        "invocation {which} has ended: {}",
        clean_line(format::standing(row))
    );
    if let Some(ms) = row.duration_ms {
        text.push_str(&format!(" after {}", format::duration(ms)));
    }
    if !row.error.is_empty() {
        text.push_str(&format!(": {}", clean_line(&row.error)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_is_slow_or_busy_is_waited_for_and_a_refusal_is_final() {
        let passes = |code| matches!(Broken::from(Status::new(code, "")), Broken::Passing(_));
        // As the daemon puts it, not this side: over the wire a status has no source.
        assert!(passes(Code::DeadlineExceeded));
        assert!(passes(Code::Unavailable));
        assert!(!passes(Code::NotFound));
    }
}
