//! Time limits: what is due, from what is known now. Pure; the monotonic clock only.
//!
//! ```text
//!   last sign of life ──────────── 4/5 of a limit ──────── the limit
//!                                     Near: warn            Over: end
//! ```
//!
//! Output is a sign of life, and work in the process tree where that was asked for. Each begins a
//! stretch of silence, in which is warned once. Between a warning and the end is a fifth of the limit
//! in any case, also where the warning came late.

use steroids_shim::exit::Reason;
use steroids_shim::spec::Limits;
use steroids_shim::spool::Limited;

use steroids_provider::parser::Vitals;

/// Moments that limits are counted from, in monotonic milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Course {
    /// When the provider was started.
    pub(crate) started: u64,
    /// When it last printed something, or was last kept from it.
    pub(crate) last_output: u64,
    /// When its processes were last found at work; 0 if they never were.
    pub(crate) last_work: u64,
    /// Milliseconds since the start that are not the provider's: everything stood still.
    pub(crate) stood_still: u64,
    /// Until when it may end by itself, after its input was closed behind its result.
    pub(crate) tidy_until: u64,
}

impl Course {
    /// Of a provider that is started now.
    pub(crate) fn begun(now: u64) -> Course {
        Course {
            started: now,
            last_output: now,
            last_work: 0,
            stood_still: 0,
            tidy_until: 0,
        }
    }

    /// Takes a wait that ended `late` for a standstill of everything. When that began nobody knows:
    /// somewhere before the wait should have ended. So silence is counted anew, and the time to run
    /// is longer by twice of what is known.
    pub(crate) fn forgive(&mut self, late: u64, now: u64) {
        self.last_output = now;
        self.stood_still += 2 * late;
    }

    /// Its last sign of life.
    fn last_sign(&self) -> u64 {
        self.last_output.max(self.last_work)
    }

    /// Whether its processes were at work since its last output.
    pub(crate) fn has_worked(&self) -> bool {
        self.last_work > self.last_output
    }
}

/// A limit that is ahead, or was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// In monotonic milliseconds.
    pub(crate) at: u64,
    /// What it counts from.
    pub(crate) from: u64,
    /// Why the provider is ended then.
    pub(crate) reason: Reason,
    /// The limit itself, in milliseconds.
    pub(crate) limit: u64,
    /// Its name, where is warned of it.
    pub(crate) name: Option<Limited>,
}

impl Due {
    /// When is warned of it.
    fn mark(&self) -> u64 {
        self.from.saturating_add(self.limit - self.fifth())
    }

    /// From the warning to the end.
    pub(crate) fn fifth(&self) -> u64 {
        self.limit / 5
    }
}

/// Of which stretches was warned, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Warned {
    silence: Option<Warning>,
    wall: Option<Warning>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Warning {
    /// What the stretch counts from.
    from: u64,
    at: u64,
}

impl Warned {
    /// Notes a warning.
    pub(crate) fn note(&mut self, due: &Due, at: u64) {
        let warning = Some(Warning { from: due.from, at });
        match due.name {
            Some(Limited::Wall) => self.wall = warning,
            Some(Limited::Silence | Limited::ToolSilence) => self.silence = warning,
            None => {}
        }
    }

    /// Whether was warned of the stretch that this one ends.
    pub(crate) fn has(&self, due: &Due) -> bool {
        self.when(due).is_some()
    }

    fn when(&self, due: &Due) -> Option<u64> {
        let warned = match due.name {
            Some(Limited::Wall) => self.wall,
            Some(Limited::Silence | Limited::ToolSilence) => self.silence,
            None => None,
        };
        let of_this = warned.filter(|warning| warning.from == due.from)?;
        Some(of_this.at)
    }
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until then.
    Wait(u64),
    /// A warning.
    Near(Due),
    /// The end.
    Over(Due),
}

/// What is due now, if nothing happens; `None` where there is no limit. `listens`: its input is open to further
/// messages.
pub(crate) fn step(
    limits: &Limits,
    vitals: Vitals,
    listens: bool,
    course: Course,
    warned: Warned,
    now: u64,
) -> Option<Step> {
    let all = ahead(limits, vitals, listens, course).map(|due| {
        let mut due = due?;
        if let Some(warned_at) = warned.when(&due) {
            due.at = due.at.max(warned_at.saturating_add(due.fifth()));
        }
        Some(due)
    });
    let is_unsaid = |due: &Due| due.name.is_some() && !warned.has(due);
    let first = all.into_iter().flatten().min_by_key(|due| due.at)?;
    if first.at <= now && !is_unsaid(&first) {
        return Some(Step::Over(first));
    }
    let unsaid = all.into_iter().flatten().filter(is_unsaid);
    let marked = unsaid.min_by_key(Due::mark);
    Some(match marked {
        Some(due) if due.mark() <= now => Step::Near(due),
        Some(due) => Step::Wait(first.at.min(due.mark())),
        None => Step::Wait(first.at),
    })
}

/// All limits there are, in order of what an end is put down to where two are reached at once. Whichever it is that
/// ends one with nothing more to say, it ends behind its result; one that waits for a message meanwhile is not silent.
fn ahead(limits: &Limits, vitals: Vitals, listens: bool, course: Course) -> [Option<Due>; 3] {
    let begun = course.started + course.stood_still;
    let wall = (begun, limits.wall_ms, Some(Limited::Wall));
    let due = |(from, limit, name): (u64, Option<u64>, Option<Limited>), reason| {
        let limit = limit?;
        let at = u64::saturating_add(from, limit);
        Some(Due {
            at: match reason {
                Reason::PostResult => at.max(course.tidy_until),
                _ => at,
            },
            from,
            reason,
            limit,
            name,
        })
    };
    if vitals.result_seen && vitals.open_tools == 0 && vitals.background == 0 {
        let silence = limits.silence_ms.filter(|_| !listens);
        let silence = (course.last_sign(), silence, Some(Limited::Silence));
        // It has said all there is to say: no work of its processes is waited for.
        let post_result = (course.last_output, limits.post_result_ms, None);
        return [post_result, wall, silence].map(|of| due(of, Reason::PostResult));
    }
    let (silence, name) = match vitals.open_tools {
        // A tool may be mute while it works, also where the provider may not.
        1.. if limits.life.tool => (limits.tool_silence_ms, Limited::ToolSilence),
        _ => (limits.silence_ms, Limited::Silence),
    };
    let silence = (course.last_sign(), silence, Some(name));
    [None, due(wall, Reason::Wall), due(silence, Reason::Silence)]
}

#[cfg(test)]
mod tests;
