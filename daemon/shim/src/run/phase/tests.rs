//! Any order of events, against a model that remembers rather than moves.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What has happened so far.
#[derive(Debug, Default)]
struct Model {
    /// The earliest end of a grace that anybody gave, and what a standstill may still give back.
    kill_at: Option<(u64, u64)>,
    /// The last round of killing, and how many there were.
    killed: Option<(u64, u32)>,
    asked: bool,
    /// When the provider ended, and how long its pipes are waited for.
    ended: Option<(u64, u64)>,
    recorded: bool,
}

impl Model {
    /// Whether a signal has to go out now.
    fn expect(&mut self, event: Event, now: u64) -> Deed {
        let round = match (self.ended, self.killed, event) {
            (Some((since, until)), _, event) => {
                self.ended = match event {
                    Event::Kill if !self.recorded => Some((0, 0)),
                    Event::Full { until: later } if until > 0 && !self.recorded => {
                        Some((since, until.max(later)))
                    }
                    _ => self.ended,
                };
                self.recorded |= event == Event::Recorded;
                false
            }
            (None, _, Event::Ended) => {
                self.ended = Some((now, now + DRAIN_MS));
                false
            }
            (None, None, Event::Kill) => true,
            (None, None, Event::Time) => self.kill_at.is_some_and(|(at, _)| at <= now),
            (None, None, Event::StoodStill { late }) => {
                if let Some((at, grace)) = &mut self.kill_at {
                    *at = (*at).max(now + late.min(*grace));
                    *grace = 0;
                }
                false
            }
            (None, Some((last, rounds)), Event::Time) => {
                let pause = KILL_AGAIN_MS << (rounds - 1).min(10);
                now >= last + pause.min(LONGEST_PAUSE_MS)
            }
            (None, None, Event::Stop { kill_at }) => {
                let given = kill_at.saturating_sub(now);
                self.kill_at = Some(match self.kill_at {
                    Some((at, grace)) if kill_at < at => (kill_at, grace.min(given)),
                    Some(before) => before,
                    None => (kill_at, given),
                });
                if !std::mem::replace(&mut self.asked, true) {
                    return Deed::Ask;
                }
                false
            }
            _ => false,
        };
        if !round {
            return Deed::Nothing;
        }
        let rounds = self.killed.map_or(0, |(_, rounds)| rounds);
        self.killed = Some((now, rounds + 1));
        Deed::Kill
    }

    fn phase(&self) -> Phase {
        match (self.recorded, self.ended, self.killed, self.kill_at) {
            (true, ..) => Phase::Ending,
            (_, Some((since, until)), ..) => Phase::Draining { since, until },
            (_, _, Some((last, rounds)), _) => {
                let pause = |round: u32| (KILL_AGAIN_MS << round.min(10)).min(LONGEST_PAUSE_MS);
                Phase::Killing {
                    again_at: last + pause(rounds - 1),
                    pause: pause(rounds),
                }
            }
            (_, _, _, Some((kill_at, grace))) => Phase::Stopping { kill_at, grace },
            _ => Phase::Running,
        }
    }
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Running => 0,
        Phase::Stopping { .. } => 1,
        Phase::Killing { .. } => 2,
        Phase::Draining { .. } => 3,
        Phase::Ending => 4,
    }
}

/// An event, and how long after the one before it.
fn events() -> impl Strategy<Value = Vec<(Event, u64)>> {
    let event = prop_oneof![
        3 => (0..20_000_u64).prop_map(|kill_at| Event::Stop { kill_at }),
        1 => Just(Event::Kill),
        6 => Just(Event::Time),
        1 => (0..20_000_u64).prop_map(|late| Event::StoodStill { late }),
        1 => Just(Event::Ended),
        1 => (0..20_000_u64).prop_map(|until| Event::Full { until }),
        1 => Just(Event::Recorded),
    ];
    vec(
        (event, prop_oneof![Just(0), 0..100_u64, 0..3_000_u64]),
        0..40,
    )
}

proptest! {
    #[test]
    fn no_order_of_events_leads_back_asks_twice_or_spares_a_provider_its_grace_is_over(
        events in events(),
    ) {
        let (mut phase, mut model, mut now) = (Phase::Running, Model::default(), 1_000);
        let mut asked = 0;
        for (event, later) in events {
            now += later;
            let (next, deed) = phase.next(event, now);
            prop_assert_eq!(deed, model.expect(event, now), "{:?} at {}", event, now);
            prop_assert_eq!(next, model.phase(), "{:?} at {}", event, now);
            prop_assert!(rank(next) >= rank(phase));
            if let (Phase::Stopping { kill_at, .. }, Phase::Stopping { kill_at: earlier, grace }) =
                (next, phase)
            {
                let forgiven = matches!(event, Event::StoodStill { .. });
                let most = if forgiven { earlier.max(now + grace) } else { earlier };
                prop_assert!(kill_at <= most, "a grace grew");
            }
            asked += u32::from(deed == Deed::Ask);
            phase = next;
        }
        prop_assert!(asked <= 1);

        // Whatever happened: asked to end, left alone, and its provider dead in the end, it ends.
        let (mut phase, _) = phase.next(Event::Stop { kill_at: now }, now);
        let mut rounds = 0;
        while let Some(due) = phase.due() {
            let (next, deed) = phase.next(Event::Time, due);
            prop_assert!(deed == Deed::Kill && next.due() > Some(due));
            (phase, rounds, now) = (next, rounds + 1, due);
            if rounds == 3 {
                (phase, _) = phase.next(Event::Ended, now);
            }
        }
        prop_assert!(rank(phase) >= 3, "it never ends");
        prop_assert_eq!(phase.next(Event::Recorded, now), (Phase::Ending, Deed::Nothing));
    }
}
