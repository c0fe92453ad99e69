//! The projects of a stream over all: which come, which go, and which are let go of for a while, so that one
//! whose database or disk fails neither ends the stream nor holds up the others.
//!
//! Who is let go of keeps its place, and whoever holds the project is asked for it: that gives up what cannot be used
//! any more, and finds out whether its disk answers. Once it does the project is taken up again, at once the first
//! time, and at growing intervals where it fails each time. No line is lost or given twice by that: positions move only
//! when lines have been handed on. Nor by a project that is forgotten and registered again, within the bounds of
//! [`Forgotten`].

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::forgotten::Forgotten;
use super::open::Begin;
use super::source::Sources;
use super::stream::Stream;
use super::waits::{Alarm, Changes};
use super::{FollowError, Follower, Form, places_taken};
use crate::domain::cursor::{MAX_SCOPES, Reach, Scope};

/// A read of a disk that is well takes milliseconds, and a disk that has to spin up, or has much to do, a second or
/// two: the other projects wait no longer for it. What was only slow is read again, later.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Until one that does not answer is asked for again, which costs nothing while that is known, and until one that
/// failed twice is taken up again.
const AGAIN: Duration = Duration::from_secs(5);

/// The same of one that fails each time.
const SELDOM: Duration = Duration::from_secs(60);

/// The projects there are, and those that are not followed now.
pub(super) struct Roster {
    sources: Box<dyn Sources>,
    changes: Changes,
    // Of projects that are not followed now; a later cursor still speaks of them.
    absent: BTreeMap<Scope, Reach>,
    // Those of them that are not registered.
    forgotten: Forgotten,
    // Where projects begin that no cursor spoke of.
    begin: Begin,
    // Those that were let go of, and for a while those that were taken up again.
    failed: BTreeMap<Scope, Failed>,
    alarm: Alarm,
}

struct Failed {
    last: Instant,
    // From then until it is taken up again.
    pause: Duration,
    stage: Stage,
}

enum Stage {
    /// Whoever holds it looks whether it can be read.
    Asked(JoinHandle<bool>),
    /// It can, and is taken up from then on.
    Answers(Instant),
    /// It cannot, and is asked for again from then on.
    Silent(Instant),
    /// It is followed, or is none of those that are open.
    Left,
}

/// Waits for what is asked of one project of many no longer than `limit`.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    asked: impl Future<Output = Result<T, FollowError>>,
) -> Result<T, FollowError> {
    match limit {
        Some(limit) => timeout(limit, asked)
            .await
            .unwrap_or(Err(FollowError::NoAnswer)),
        None => asked.await,
    }
}

// === impl Form ===

impl Form {
    /// How long one project may keep the others waiting, if there are others.
    pub(super) fn limit(&self) -> Option<Duration> {
        matches!(self, Form::All(_)).then_some(ANSWERS_WITHIN)
    }
}

// === impl Follower ===

impl Follower {
    /// Lets go of projects that were given up, and takes those that came.
    pub(super) async fn match_projects(&mut self) -> Result<(), FollowError> {
        let Form::All(roster) = &mut self.form else {
            return Ok(());
        };
        // Before the look at those that are open: one that is registered in between is among these.
        let registered = within(Some(ANSWERS_WITHIN), roster.sources.registered()).await;
        let sources = roster.sources.all();
        self.streams.retain(|stream| {
            let is_kept = sources
                .iter()
                .any(|it| it.number() == stream.source.number());
            if !is_kept {
                roster.absent.insert(stream.scope, stream.reach());
                roster.forgotten.note(stream.scope, stream.source.origin());
            }
            is_kept
        });
        let scopes: Vec<_> = sources
            .iter()
            .map(|it| Scope::of_project(it.root()))
            .collect();
        roster.leave_closed(&scopes);
        for (source, scope) in sources.into_iter().zip(scopes) {
            let mut streams = self.streams.iter();
            if streams.any(|it| it.source.number() == source.number())
                || !roster.may_take_up(scope, source.root())
            {
                continue;
            }
            let root = source.root().clone();
            let is_other = roster.forgotten.is_other(scope, source.origin());
            let (hints, extent) = (&self.hints, self.extent);
            let none = Reach::default();
            let stream = match (roster.absent.get(&scope), roster.begin) {
                (None, begin @ (Begin::Running | Begin::Last(_))) => {
                    let taken = places_taken(&self.streams, &roster.absent);
                    let last = begin.last();
                    let begun = Stream::of_running(source, scope, None, hints, extent, taken, last);
                    within(Some(ANSWERS_WITHIN), begun).await
                }
                (reach, _) => {
                    let reach = reach.unwrap_or(&none);
                    let resumed = Stream::resume(source, scope, None, reach, hints, extent);
                    within(Some(ANSWERS_WITHIN), resumed).await
                }
            };
            match stream {
                Ok(mut stream) => {
                    if is_other {
                        stream.begin_in_other();
                    }
                    roster.absent.remove(&scope);
                    roster.took_up(scope);
                    self.streams.push(stream);
                }
                Err(error) => roster.fail(scope, &root, error)?,
            }
        }
        if let Ok(registered) = registered {
            roster.forget(&registered, self.streams.len());
        }
        if self.streams.len() + roster.absent.len() > MAX_SCOPES {
            return Err(FollowError::TooManyProjects);
        }
        Ok(())
    }

    /// Drops the place of a project that was forgotten, for what has none; false if there is none to drop.
    pub(super) fn make_room(&mut self) -> bool {
        match &mut self.form {
            Form::All(roster) => roster.forgotten.make_room(&mut roster.absent),
            Form::Invocation | Form::Scope => false,
        }
    }

    /// Looks where the cursor of a client points in each of them.
    pub(super) async fn check_places(&mut self) -> Result<(), FollowError> {
        let limit = self.form.limit();
        for at in (0..self.streams.len()).rev() {
            if let Err(error) = within(limit, self.streams[at].check()).await {
                self.let_go(at, error)?;
            }
        }
        Ok(())
    }

    /// Goes on without a project that failed, where there are others.
    pub(super) fn let_go(&mut self, at: usize, error: FollowError) -> Result<(), FollowError> {
        let Form::All(roster) = &mut self.form else {
            return Err(error);
        };
        let stream = &self.streams[at];
        roster.fail(stream.scope, stream.source.root(), error)?;
        roster.absent.insert(stream.scope, stream.reach());
        roster.forgotten.note(stream.scope, stream.source.origin());
        // Places move up: whose turn it was is not known any more.
        self.streams.remove(at);
        self.turn = None;
        Ok(())
    }
}

// === impl Roster ===

impl Roster {
    pub(super) fn new(
        sources: Box<dyn Sources>,
        absent: BTreeMap<Scope, Reach>,
        begin: Begin,
    ) -> Roster {
        // Subscribed before the first look, so that no project comes between the two.
        let changes = Changes::new(sources.changes());
        Roster {
            sources,
            changes,
            absent,
            forgotten: Forgotten::default(),
            begin,
            failed: BTreeMap::new(),
            alarm: Alarm::default(),
        }
    }

    /// What is taken up from now on has lines that nobody was given, and that came later than the beginning.
    pub(super) fn have_begun(&mut self) {
        if let Begin::Last(_) = self.begin {
            self.begin = Begin::Running;
        }
    }

    /// Of projects that are not followed now; a later cursor still speaks of them.
    pub(super) fn absent(&self) -> &BTreeMap<Scope, Reach> {
        &self.absent
    }

    /// Takes the word that projects are to be matched, if there is one.
    pub(super) fn take_word(&mut self) -> bool {
        let have_changed = self.changes.take();
        let now = Instant::now();
        let is_due = |failed: &mut Failed| {
            failed.poll(&mut Context::from_waker(Waker::noop()));
            failed.due().is_some_and(|due| due <= now)
        };
        // All of them: each that has answered is heard.
        let due = self.failed.values_mut().map(is_due);
        due.fold(have_changed, |word, is_due| word | is_due)
    }

    /// Ready while there is such a word, which is left to be taken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for failed in self.failed.values_mut() {
            failed.poll(cx);
        }
        if self.changes.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match self.failed.values().filter_map(Failed::due).min() {
            Some(due) => self.alarm.poll(due, cx),
            None => {
                self.alarm.clear();
                Poll::Pending
            }
        }
    }

    // What was forgotten takes few places in cursors: a project for each branch would fill them in the end.
    fn forget(&mut self, registered: &BTreeSet<Scope>, followed: usize) {
        let room = MAX_SCOPES.saturating_sub(followed);
        self.forgotten.sift(&mut self.absent, registered, room);
        self.failed.retain(|scope, _| registered.contains(scope));
    }

    // Those that are not open come back by themselves.
    fn leave_closed(&mut self, open: &[Scope]) {
        for (scope, failed) in &mut self.failed {
            if !open.contains(scope) {
                failed.stage = Stage::Left;
            }
        }
    }

    // Whether an open project is to be taken up now. One that is not is asked for as often as it should.
    fn may_take_up(&mut self, scope: Scope, root: &Path) -> bool {
        let now = Instant::now();
        let is_mute = self.sources.is_mute(root);
        let Some(failed) = self.failed.get_mut(&scope) else {
            if is_mute {
                let failed = Failed::new(now, Stage::Silent(now + AGAIN));
                self.failed.insert(scope, failed);
            }
            return !is_mute;
        };
        match failed.stage {
            Stage::Asked(_) => false,
            Stage::Silent(due) => {
                if due <= now {
                    failed.stage = Stage::Asked(self.sources.ask(root));
                }
                false
            }
            Stage::Left => {
                failed.stage = Stage::Answers(failed.last + failed.pause);
                failed.last + failed.pause <= now
            }
            Stage::Answers(due) => due <= now,
        }
    }

    fn took_up(&mut self, scope: Scope) {
        self.forgotten.took_up(scope);
        if let Some(failed) = self.failed.get_mut(&scope) {
            failed.stage = Stage::Left;
        }
    }

    // Has somebody look at a project; an error that is none of its own is given back.
    fn fail(&mut self, scope: Scope, root: &Path, error: FollowError) -> Result<(), FollowError> {
        match error {
            FollowError::Store(_) | FollowError::Log(_) | FollowError::NoAnswer => {}
            error => return Err(error),
        }
        tracing::warn!(project = %root.display(), error = &error as &dyn std::error::Error,
            "left out of a stream over all for now");
        let now = Instant::now();
        let stage = Stage::Asked(self.sources.ask(root));
        let failed = self.failed.entry(scope);
        failed
            .and_modify(|it| it.again(now))
            .or_insert_with(|| Failed::new(now, Stage::Left))
            .stage = stage;
        Ok(())
    }
}

// === impl Failed ===

impl Failed {
    fn new(now: Instant, stage: Stage) -> Failed {
        Failed {
            last: now,
            pause: Duration::ZERO,
            stage,
        }
    }

    // One that was well for long has failed for the first time.
    fn again(&mut self, now: Instant) {
        self.pause = if now.duration_since(self.last) > 2 * SELDOM {
            Duration::ZERO
        } else {
            (self.pause * 4).clamp(AGAIN, SELDOM)
        };
        self.last = now;
    }

    // Hears what was answered, if anything was.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Stage::Asked(answer) = &mut self.stage
            && let Poll::Ready(answer) = Pin::new(answer).poll(cx)
        {
            // Who was asked and panicked has not answered.
            self.stage = match answer.unwrap_or(false) {
                true => Stage::Answers(self.last + self.pause),
                false => Stage::Silent(Instant::now() + AGAIN),
            };
        }
    }

    // When it is to be taken up or asked for, if nothing is waited for before.
    fn due(&self) -> Option<Instant> {
        match self.stage {
            Stage::Answers(due) | Stage::Silent(due) => Some(due),
            Stage::Asked(_) | Stage::Left => None,
        }
    }
}
