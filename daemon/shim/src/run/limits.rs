//! Time limits: which of them is reached next, from what is known now. Monotonic clock only.

use steroids_provider::activity::Stamp;
use steroids_provider::decoder::Decoder;
use steroids_provider::kind::Kind;
use steroids_provider::parser::{Sink, Vitals};
use steroids_shim::exit::Reason;
use steroids_shim::spec::{Limits, Spec};

/// Moments that limits are counted from, in monotonic milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Course {
    /// When the provider was started.
    pub(crate) started: u64,
    /// When it last printed something, or was last kept from it.
    pub(crate) last_output: u64,
    /// Milliseconds since the start that are not the provider's: everything stood still.
    pub(crate) stood_still: u64,
}

impl Course {
    /// Takes a wait that ended `late` for a standstill of everything. When that began nobody knows:
    /// somewhere before the wait should have ended. So silence is counted anew, and the time to run
    /// is longer by twice of what is known.
    pub(crate) fn forgive(&mut self, late: u64, now: u64) {
        self.last_output = now;
        self.stood_still += 2 * late;
    }
}

/// A limit that is still ahead, or was just reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// In monotonic milliseconds.
    pub(crate) at: u64,
    /// Why the provider is ended then.
    pub(crate) reason: Reason,
    /// The limit itself, in milliseconds.
    pub(crate) limit: u64,
}

/// The limit that is reached first, if nothing happens until then.
pub(crate) fn next(limits: &Limits, vitals: Vitals, course: Course) -> Option<Due> {
    let silence = match vitals.open_tools {
        0 => limits.silence_ms,
        // A tool may be mute while it works, also where the provider may not.
        _ => limits.tool_silence_ms,
    };
    let finished = vitals.result_seen && vitals.open_tools == 0 && vitals.background == 0;
    let post_result = limits.post_result_ms.filter(|_| finished);
    // In order of what an end is put down to where two limits are reached at once.
    [
        (course.last_output, post_result, Reason::PostResult),
        (
            course.started + course.stood_still,
            limits.wall_ms,
            Reason::Wall,
        ),
        (course.last_output, silence, Reason::Silence),
    ]
    .into_iter()
    .filter_map(|(from, limit, reason)| {
        let limit = limit?;
        Some(Due {
            at: from.saturating_add(limit),
            reason,
            limit,
        })
    })
    .min_by_key(|due| due.at)
}

/// What the log says when a limit ends a provider.
pub(crate) fn notice(due: Due) -> String {
    let limit = in_words(due.limit);
    match due.reason {
        Reason::Wall => format!("running for {limit}; ending it"),
        Reason::Silence => format!("no output for {limit}; ending it"),
        Reason::PostResult => format!("still running {limit} after its result; ending it"),
        Reason::Stop | Reason::Shutdown => "ending it".to_owned(),
    }
}

fn in_words(ms: u64) -> String {
    match ms {
        ms if ms > 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms > 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// The provider's parser, run for what the limits need to know of it.
pub(crate) struct Pulse(Option<Decoder>);

impl Pulse {
    /// Reads along only where a limit depends on what the provider says.
    pub(crate) fn of(spec: &Spec) -> Pulse {
        let limits = &spec.limits;
        let differs = limits.silence_ms != limits.tool_silence_ms;
        let asked = limits.post_result_ms.is_some() || differs;
        let tells = spec.kind != Kind::Command;
        Pulse((asked && tells).then(|| Decoder::of_run(spec.kind, spec.format, spec.run())))
    }

    /// Takes what the provider printed.
    pub(crate) fn feed(
        &mut self,
        stream: steroids_provider::activity::Stream,
        at: Stamp,
        bytes: &[u8],
    ) {
        if let Some(decoder) = &mut self.0 {
            decoder.feed(stream, at, bytes, &mut Nothing);
        }
    }

    /// What is known now.
    pub(crate) fn vitals(&self) -> Vitals {
        self.0.as_ref().map(Decoder::vitals).unwrap_or_default()
    }
}

/// Takes activities and does nothing with them: making lines of them is the daemon's.
struct Nothing;

impl Sink for Nothing {
    fn activity(&mut self, _at: Stamp, _activity: &steroids_provider::activity::Activity<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        silence_ms: Some(100),
        tool_silence_ms: Some(500),
        wall_ms: Some(1000),
        post_result_ms: Some(30),
        grace_ms: 10,
    };

    fn due(vitals: Vitals, started: u64, last_output: u64) -> (u64, Reason) {
        let due = next(
            &LIMITS,
            vitals,
            Course {
                started,
                last_output,
                stood_still: 0,
            },
        )
        .unwrap();
        (due.at, due.reason)
    }

    #[test]
    fn silence_counts_from_the_last_output_and_wall_from_the_start() {
        let idle = Vitals::default();
        assert_eq!(due(idle, 0, 50), (150, Reason::Silence));
        assert_eq!(due(idle, 0, 950), (1000, Reason::Wall));
    }

    #[test]
    fn an_open_tool_has_its_own_silence() {
        let busy = Vitals {
            open_tools: 1,
            ..Vitals::default()
        };
        assert_eq!(due(busy, 0, 50), (550, Reason::Silence));
    }

    #[test]
    fn after_the_result_only_what_still_works_keeps_it_alive() {
        let mut vitals = Vitals {
            result_seen: true,
            ..Vitals::default()
        };
        assert_eq!(due(vitals, 0, 50), (80, Reason::PostResult));
        vitals.background = 1;
        assert_eq!(due(vitals, 0, 50), (150, Reason::Silence));
        vitals.open_tools = 1;
        assert_eq!(due(vitals, 0, 50), (550, Reason::Silence));
    }

    #[test]
    fn whoever_stood_still_past_a_limit_gets_time_to_go_on() {
        let mut course = Course {
            started: 0,
            last_output: 0,
            stood_still: 0,
        };
        // The silence was to end at 100.
        course.forgive(900, 1000);
        let due = next(&LIMITS, Vitals::default(), course).unwrap();
        assert_eq!((due.at, due.reason), (1100, Reason::Silence));
        course.last_output = 2700;
        let due = next(&LIMITS, Vitals::default(), course).unwrap();
        assert_eq!((due.at, due.reason), (2800, Reason::Wall));
    }

    #[test]
    fn without_limits_nothing_is_due() {
        let none = Limits {
            silence_ms: None,
            tool_silence_ms: None,
            wall_ms: None,
            post_result_ms: None,
            grace_ms: 10,
        };
        let course = Course {
            started: 0,
            last_output: 0,
            stood_still: 0,
        };
        assert_eq!(next(&none, Vitals::default(), course), None);
    }

    #[test]
    fn limits_are_said_in_the_unit_they_were_given_in() {
        let words = [7_200_000, 900_000, 90_000, 30_000, 1500].map(in_words);
        assert_eq!(words, ["2h", "15m", "90s", "30s", "1500ms"]);
    }
}
