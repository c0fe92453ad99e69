use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;

fn end(uuid: &str, outcome: Outcome) -> Ended<'_> {
    Ended {
        uuid,
        began_ms: NOW,
        outcome,
        resets_at_ms: None,
    }
}

fn limited(uuid: &str) -> Ended<'_> {
    end(uuid, Outcome::RateLimited)
}

fn until(holds: &Holds) -> Option<i64> {
    holds.held().get("claude").map(|held| held.until_ms)
}

fn note(holds: &mut Holds, end: Ended<'_>, now_ms: i64) -> bool {
    let until = holds.note("claude", end, Backoff::default(), now_ms);
    until.is_some()
}

#[test]
fn a_provider_is_held_until_its_own_word_and_no_longer_than_any_limit_lasts() {
    let mut holds = Holds::default();
    let resets_at_ms = Some(NOW + 5 * MINUTE);
    let first = Ended {
        resets_at_ms,
        ..limited("a")
    };
    assert!(note(&mut holds, first, NOW));
    assert_eq!(until(&holds), resets_at_ms);
    assert!(!note(&mut holds, first, NOW + 1), "it was noted before");
    assert!(holds.pass(NOW + 5 * MINUTE - 1).is_empty());
    assert_eq!(holds.pass(NOW + 5 * MINUTE).len(), 1);
    assert_eq!(until(&holds), None);
    let absurd = Ended {
        resets_at_ms: Some(i64::MAX),
        ..limited("b")
    };
    assert!(note(&mut holds, absurd, NOW));
    assert_eq!(until(&holds), Some(NOW + millis(LONGEST)));
}

#[test]
fn without_a_word_it_is_a_minute_and_doubles_up_to_an_hour_until_one_succeeds() {
    let mut holds = Holds::default();
    let mut now = NOW;
    let mut lengths = Vec::new();
    for n in 0..12 {
        let uuid = format!("u{n}");
        let began_ms = now;
        now += 1;
        let failed = Ended {
            began_ms,
            ..limited(&uuid)
        };
        assert!(note(&mut holds, failed, now));
        let length = until(&holds).unwrap() - now;
        lengths.push(length);
        now += length;
        assert_eq!(holds.pass(now).len(), 1);
    }
    for (n, length) in lengths.iter().enumerate() {
        let plain = (MINUTE << n).min(60 * MINUTE);
        assert!(
            (plain * 3 / 4..=(plain * 5 / 4).min(60 * MINUTE)).contains(length),
            "{n}: {length}"
        );
    }
    let before = Ended {
        began_ms: NOW - 1,
        ..end("old", Outcome::Success)
    };
    note(&mut holds, before, now);
    let good = Ended {
        began_ms: now,
        ..end("good", Outcome::Success)
    };
    note(&mut holds, good, now + 1);
    note(&mut holds, limited("again"), now + 2);
    assert!(until(&holds).unwrap() - now <= 2 * MINUTE);
}

#[test]
fn several_that_ran_together_meet_one_limit() {
    let mut holds = Holds::default();
    for (n, uuid) in ["a", "b", "c"].into_iter().enumerate() {
        let now = NOW + 10 + i64::try_from(n).unwrap();
        note(&mut holds, limited(uuid), now);
    }
    assert!(until(&holds).unwrap() - NOW <= 2 * MINUTE);
    holds.tell("claude", PathBuf::from("/p"), 7);
    // One more has nothing to tell that is new, and it is told where it was first that it is over.
    let same = Ended {
        resets_at_ms: Some(NOW + 20),
        ..limited("e")
    };
    assert!(!note(&mut holds, same, NOW + 15));
    let told = holds.clone().pass(NOW + 3 * MINUTE);
    assert_eq!(told[0].1.told, Some((PathBuf::from("/p"), 7)));
    // One of them that got through says nothing.
    note(&mut holds, end("d", Outcome::Success), NOW + 20);
    assert!(until(&holds).is_some());
}

#[test]
fn a_person_has_the_last_word() {
    let mut holds = Holds::default();
    note(&mut holds, limited("a"), NOW + 1);
    assert!(holds.lift("claude").is_some());
    assert!(holds.lift("claude").is_none());
    assert_eq!(until(&holds), None);
    holds.set("claude", NOW + MINUTE, NOW + 2);
    assert_eq!(until(&holds), Some(NOW + MINUTE));
    let good = Ended {
        began_ms: NOW + 3,
        ..end("b", Outcome::Success)
    };
    note(&mut holds, good, NOW + 4);
    assert_eq!(until(&holds), Some(NOW + MINUTE));
}

#[test]
fn a_limit_holds_on_beneath_what_a_person_has_set() {
    let limit = || {
        let mut holds = Holds::default();
        let resets_at_ms = Some(NOW + 10 * MINUTE);
        let met = Ended {
            resets_at_ms,
            ..limited("a")
        };
        note(&mut holds, met, NOW);
        holds
    };
    let reason = |holds: &Holds| Some(holds.held().get("claude")?.reason.clone());
    // A shorter one adds nothing.
    let mut holds = limit();
    holds.set("claude", NOW + MINUTE, NOW + 1);
    assert_eq!(until(&holds), Some(NOW + 10 * MINUTE));
    assert!(holds.lift_by_hand("claude", NOW + 2).is_none());
    // A longer one is before it, and may be made shorter.
    let mut holds = limit();
    for minutes in [60, 30] {
        holds.set("claude", NOW + minutes * MINUTE, NOW + 1);
        assert_eq!(until(&holds), Some(NOW + minutes * MINUTE));
        assert_eq!(reason(&holds).as_deref(), Some(BY_HAND));
    }
    let text = serde_json::to_string(&holds).unwrap();
    assert_eq!(serde_json::from_str::<Holds>(&text).unwrap(), holds);
    let mut later = holds.clone();
    assert!(holds.lift_by_hand("claude", NOW + 2).is_some());
    assert_eq!(until(&holds), Some(NOW + 10 * MINUTE));
    assert_eq!(reason(&holds).as_deref(), Some("rate_limited"));
    assert_eq!(holds.pass(NOW + 10 * MINUTE).len(), 1);
    // By then the limit is over.
    assert!(later.lift_by_hand("claude", NOW + 10 * MINUTE).is_some());
    assert_eq!(until(&later), None);
    // By its name both are lifted.
    let mut holds = limit();
    holds.set("claude", NOW + 60 * MINUTE, NOW + 1);
    assert!(holds.lift("claude").is_some());
    assert_eq!((until(&holds), holds.pass(NOW + 2)), (None, Vec::new()));
    // One that is met while it is held by hand, and ends sooner, is beneath it; and is over with a success.
    let mut holds = Holds::default();
    holds.set("claude", NOW + 60 * MINUTE, NOW);
    assert!(note(&mut holds, limited("a"), NOW + 1), "it is news");
    holds.tell("claude", PathBuf::from("/p"), 7);
    assert_eq!(reason(&holds).as_deref(), Some(BY_HAND));
    let mut lifted = holds.clone();
    assert!(lifted.lift_by_hand("claude", NOW + 2).is_some());
    assert_eq!(reason(&lifted).as_deref(), Some("rate_limited"));
    // That it is over is told where it was told that it began, whichever of the two ends last.
    let told = Some((PathBuf::from("/p"), 7));
    for mut standing in [lifted, holds.clone()] {
        assert_eq!(standing.pass(NOW + 60 * MINUTE)[0].1.told, told);
    }
    let good = Ended {
        began_ms: NOW + 3,
        ..end("b", Outcome::Success)
    };
    note(&mut holds, good, NOW + 4);
    holds.lift_by_hand("claude", NOW + 5);
    assert_eq!(until(&holds), None);
}

#[test]
fn a_success_makes_the_next_one_short_also_after_one_by_hand() {
    let mut holds = Holds::default();
    for n in 0..5 {
        let (uuid, now) = (format!("u{n}"), NOW + n * 200 * MINUTE);
        let failed = Ended {
            began_ms: now,
            ..limited(&uuid)
        };
        note(&mut holds, failed, now + 1);
    }
    let now = NOW + 2000 * MINUTE;
    holds.set("claude", now + MINUTE, now);
    holds.pass(now + MINUTE);
    let good = Ended {
        began_ms: now + 2 * MINUTE,
        ..end("good", Outcome::Success)
    };
    note(&mut holds, good, now + 3 * MINUTE);
    note(&mut holds, limited("next"), now + 4 * MINUTE);
    assert!(until(&holds).unwrap() <= now + 6 * MINUTE);
}

#[test]
fn it_is_kept_as_it_is() {
    let mut holds = Holds::default();
    note(&mut holds, limited("a"), NOW);
    holds.tell("claude", PathBuf::from("/p"), 7);
    let text = serde_json::to_string(&holds).unwrap();
    assert_eq!(serde_json::from_str::<Holds>(&text).unwrap(), holds);
}

proptest! {
    /// Whatever the clock does, a hold is over once it has gone steadily for as long as the
    /// longest limit lasts.
    #[test]
    fn no_clock_makes_a_hold_last(
        set_at in -10 * millis(LONGEST)..2 * NOW,
        resets_at in proptest::option::of(any::<i64>()),
        then in -10 * millis(LONGEST)..2 * NOW,
    ) {
        let mut holds = Holds::default();
        let end = Ended { resets_at_ms: resets_at, ..limited("a") };
        note(&mut holds, end, set_at);
        holds.pass(then);
        holds.pass(then + millis(LONGEST));
        prop_assert_eq!(until(&holds), None);
    }

    #[test]
    fn a_pause_is_never_over_its_bound(failures in any::<u32>(), chance in any::<u64>()) {
        let backoff = Backoff::default();
        prop_assert!(backoff.after(failures, chance) <= backoff.most);
        prop_assert!(!backoff.after(failures, chance).is_zero());
    }
}
