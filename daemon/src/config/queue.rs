//! What waits, for how long, and what is tried again: `[projects]`, `[queue]`, `[holds]`, `[retry]`,
//! and a provider's own word on each.

use std::time::Duration;

use toml::de::DeValue;

use super::section::{Section, number, text, texts, yes};
use super::units;
use crate::domain::Outcome;
use crate::domain::hold::Backoff;
use crate::domain::retry::RetryPolicy;
use crate::supervise::{MAX_RETRIES, ProviderQueue, QueueSettings};

/// No pause is longer: a limit that lasts says when it is over, as a rule.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where `on` stands alone.
const RETRIES: u32 = 3;

/// The tables of the file.
pub(super) fn read(root: &Section<'_>) -> QueueSettings {
    let mut queue = QueueSettings::default();
    if let Some(section) = root.section("projects") {
        queue.project_max_running = section.get("max_running", running);
    }
    if let Some(section) = root.section("queue") {
        let max = section.get("max", number(0, 10_000));
        queue.max = max.map_or(queue.max, size);
    }
    if let Some(section) = root.section("holds") {
        queue.holds = section.get("enabled", yes).unwrap_or(queue.holds);
        queue.hold_for = backoff(&section, queue.hold_for);
    }
    if let Some(section) = root.section("retry") {
        queue.retry = retry(&section);
        queue.retry_after = backoff(&section, queue.retry_after);
    }
    queue
}

/// What a provider says for itself.
pub(super) fn of_provider(section: &Section<'_>) -> ProviderQueue {
    let own = section.section("retry");
    ProviderQueue {
        max_running: section.get("max_running", running),
        holds: section.get("hold", yes),
        retry: own.map(|own| retry(&own)),
    }
}

fn retry(section: &Section<'_>) -> RetryPolicy {
    let on = section.get("on", outcomes).unwrap_or_default();
    let max = section.get("max", number(0, MAX_RETRIES));
    RetryPolicy {
        on,
        max: max.unwrap_or(RETRIES),
    }
}

fn outcomes(value: &DeValue<'_>) -> Result<Vec<Outcome>, String> {
    let words = texts(value)?.into_iter();
    words
        .map(|word| RetryPolicy::outcome(&word).map_err(|error| error.to_string()))
        .collect()
}

fn backoff(section: &Section<'_>, default: Backoff) -> Backoff {
    let first = section.get("first", pause);
    let most = section.get("most", pause);
    let first = first.unwrap_or(default.first);
    // Who says only how long at first does not mean less at most.
    let most = most.unwrap_or(default.most.max(first));
    let ordered = match most < first {
        true => {
            let reason = "must not be shorter than `first`".to_owned();
            Err(section.refuse("most", 0, reason))
        }
        false => Ok(Backoff { first, most }),
    };
    section.keep(ordered).unwrap_or(default)
}

fn pause(value: &DeValue<'_>) -> Result<Duration, String> {
    match units::duration(&text(value)?)? {
        None | Some(Duration::ZERO) => Err("must be longer than nothing".to_owned()),
        Some(pause) if pause > LONGEST_PAUSE => Err("must not be over a day".to_owned()),
        Some(pause) => Ok(pause),
    }
}

fn running(value: &DeValue<'_>) -> Result<usize, String> {
    number(1, 10_000)(value).map(size)
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
