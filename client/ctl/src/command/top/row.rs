//! One invocation as a row: how it stands, what it does, and where it goes among the others.
//! Pure: the clock is handed in.

use std::cmp::{Ordering, Reverse};

use steroids_client::v1;

use crate::clean::clean_line;
use crate::format;
use crate::waits;

/// What names an invocation among those of all projects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) project: String,
    pub(super) id: i64,
}

impl Key {
    pub(super) fn of(it: &v1::Invocation) -> Key {
        Key {
            project: it.project.clone(),
            id: it.id,
        }
    }
}

/// How an invocation stands; what wants to be looked at comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Near a limit, or something is wrong with it.
    Stalled,
    /// It waits for a person: for a message, or an answer.
    Asking,
    /// It was told to end, or should.
    Ending,
    Running,
    /// It waits, as its provider is held.
    Held,
    Queued,
}

impl Standing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Standing::Stalled => "stalled",
            Standing::Asking => "asking",
            Standing::Ending => "ending",
            Standing::Running => "running",
            Standing::Held => "held",
            Standing::Queued => "queued",
        }
    }

    pub(super) fn waits(self) -> bool {
        matches!(self, Standing::Held | Standing::Queued)
    }
}

/// How it stands; `held` are the providers of which nothing is started, `is_stopping` is what we
/// asked for ourselves.
pub(super) fn standing(it: &v1::Invocation, held: &[v1::Hold], is_stopping: bool) -> Standing {
    if it.state == i32::from(v1::State::Queued) {
        return if held.iter().any(|hold| hold.provider == it.provider) {
            Standing::Held
        } else {
            Standing::Queued
        };
    }
    let waits_for = it.live.as_ref().map_or("", |live| &live.waits_for);
    let asks = it.live.as_ref().is_some_and(|live| live.waits_for_person);
    if is_stopping || matches!(waits_for, "ending" | "result_sent") {
        Standing::Ending
    } else if !it.alarm.is_empty() || it.live.as_ref().is_some_and(waits::is_near) {
        Standing::Stalled
    } else if asks || waits_for == "message" {
        Standing::Asking
    } else {
        Standing::Running
    }
}

/// What it does now, or waits for, on one line.
pub(super) fn doing(it: &v1::Invocation, now: i64) -> String {
    if !it.waiting.is_empty() {
        return clean_line(&format::by_clock(&it.waiting));
    }
    let alarm = (!it.alarm.is_empty()).then(|| format!("(!) {}", format::by_clock(&it.alarm)));
    let live = it.live.as_ref();
    let waits = live.and_then(|live| waits::brief(live, now));
    let last = live.map(|live| live.last_text.clone());
    let foreign = (!it.managed).then(|| "run by the older tool".to_owned());
    let parts: Vec<String> = [alarm, waits, last, foreign]
        .into_iter()
        .flatten()
        .map(|part| clean_line(&part))
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" · ")
}

/// When it last did something, in epoch milliseconds.
pub(super) fn last_activity(it: &v1::Invocation) -> Option<i64> {
    let at = it.live.as_ref()?.last_activity_at_ms;
    (at > 0).then_some(at)
}

/// Since when it runs, or waits.
pub(super) fn since(it: &v1::Invocation) -> Option<i64> {
    it.started_at_ms.or(it.queued_at_ms)
}

/// All tokens so far.
pub(super) fn tokens(it: &v1::Invocation) -> u64 {
    it.usage.as_ref().map_or(0, |usage| {
        let input = usage
            .input_tokens
            .saturating_add(usage.cached_input_tokens)
            .saturating_add(usage.cache_creation_tokens);
        input.saturating_add(usage.output_tokens)
    })
}

/// What it cost so far.
pub(super) fn cost(it: &v1::Invocation) -> Option<f64> {
    it.usage.as_ref()?.total_cost_usd
}

/// The name of its project's folder.
pub(super) fn project(it: &v1::Invocation) -> String {
    clean_line(it.project.rsplit('/').next().unwrap_or_default())
}

/// Provider and model.
pub(super) fn provider(it: &v1::Invocation) -> String {
    clean_line(format!("{} {}", it.provider, format::model(it)).trim_end())
}

/// True if a row says what is sought, in whatever case: each word in any of its columns.
pub(super) fn matches(it: &v1::Invocation, word: &str, sought: &str, now: i64) -> bool {
    let all = format!(
        "#{} {} {} {} {} {word} {}",
        it.id,
        it.project,
        it.task_id,
        it.role,
        provider(it),
        doing(it, now)
    )
    .to_lowercase();
    sought
        .to_lowercase()
        .split_whitespace()
        .all(|word| all.contains(word))
}

/// What rows are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    State,
    Id,
    Task,
    Activity,
    Time,
    Tokens,
    Cost,
    Cpu,
    Memory,
}

/// In the order of the columns, for the keys that go from one to the next.
const SORTS: [Sort; 9] = [
    Sort::State,
    Sort::Id,
    Sort::Task,
    Sort::Activity,
    Sort::Time,
    Sort::Tokens,
    Sort::Cost,
    Sort::Cpu,
    Sort::Memory,
];

impl Sort {
    /// The one so many columns further.
    pub(super) fn moved(self, by: isize) -> Sort {
        let at = SORTS.iter().position(|sort| *sort == self).unwrap_or(0);
        let at = at
            .cast_signed()
            .saturating_add(by)
            .rem_euclid(SORTS.len().cast_signed());
        SORTS[at.unsigned_abs()]
    }

    /// Orders two rows that run; largest, newest or most urgent first. Equal ones by their age.
    pub(super) fn order(self, one: &v1::Invocation, other: &v1::Invocation) -> Ordering {
        let most = |a: u64, b: u64| Reverse(a).cmp(&Reverse(b));
        let by = match self {
            Sort::State => Ordering::Equal,
            Sort::Id => other.id.cmp(&one.id),
            Sort::Task => one.task_id.cmp(&other.task_id),
            // Who has been silent for longest comes first.
            Sort::Activity => last_activity(one).cmp(&last_activity(other)),
            Sort::Time => since(one).cmp(&since(other)),
            Sort::Tokens => most(tokens(one), tokens(other)),
            Sort::Cost => {
                let cost = |it| cost(it).unwrap_or(0.0);
                cost(other).total_cmp(&cost(one))
            }
            Sort::Cpu => {
                let cpu = |it| used(it).cpu.unwrap_or(0.0);
                cpu(other).total_cmp(&cpu(one))
            }
            Sort::Memory => {
                let memory = |it| used(it).memory.unwrap_or(0);
                most(memory(one), memory(other))
            }
        };
        by.then_with(|| since(one).cmp(&since(other)))
            .then_with(|| Key::of(one).cmp(&Key::of(other)))
    }
}

/// Orders those that wait: as they will be started, each project for itself.
pub(super) fn queue_order(one: &v1::Invocation, other: &v1::Invocation) -> Ordering {
    // No place yet: it has just come.
    let place = |it: &v1::Invocation| if it.place == 0 { i32::MAX } else { it.place };
    place(one)
        .cmp(&place(other))
        .then_with(|| one.queued_at_ms.cmp(&other.queued_at_ms))
        .then_with(|| Key::of(one).cmp(&Key::of(other)))
}

/// What the tree of processes uses now, as far as the daemon tells.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Used {
    /// Per cent of one core.
    pub(super) cpu: Option<f64>,
    /// Bytes.
    pub(super) memory: Option<u64>,
}

/// Of a running one; nothing until its shim has said it.
pub(super) fn used(it: &v1::Invocation) -> Used {
    it.live.as_ref().map_or_else(Used::default, |live| Used {
        cpu: live.cpu_percent,
        memory: live.memory_bytes,
    })
}

#[cfg(test)]
mod tests;
