use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn candidate(name: &str, priority: i32, order: u64) -> Candidate {
    Candidate {
        uuid: name.to_owned(),
        project: Arc::from(Path::new("/p")),
        folder: None,
        id: None,
        task: name.to_owned(),
        provider: "claude".to_owned(),
        priority,
        order,
        lacks_since_ms: None,
        not_before_ms: 0,
        after: None,
        blocked: None,
    }
}

fn placed(it: &Candidate) -> Placed {
    Placed {
        project: Arc::clone(&it.project),
        folder: it.folder,
        task: it.task.clone(),
        provider: it.provider.clone(),
    }
}

fn bounds(total: usize) -> Bounds {
    Bounds {
        total,
        ..Bounds::default()
    }
}

fn asked(waiting: &[Candidate], running: &[Placed], bounds: &Bounds) -> Plan {
    plan(waiting, running, bounds, &BTreeMap::new(), NOW)
}

#[test]
fn the_higher_priority_goes_first_and_then_who_came_first() {
    let waiting = [
        candidate("late", 0, 9),
        candidate("early", 0, 1),
        candidate("urgent", 5, 20),
        candidate("idle", -1, 0),
    ];
    let planned = asked(&waiting, &[], &bounds(2));
    assert_eq!(planned.start, ["urgent", "early"]);
    let late = &planned.waits["late"];
    assert_eq!((late.place, late.of), (1, 2));
    assert_eq!(late.reason, Reason::Full(2));
    assert_eq!(planned.waits["idle"].place, 2);
}

#[test]
fn a_reset_time_hours_ahead_is_waited_for_and_one_weeks_ahead_is_a_clock_that_was_set_back() {
    let mut later = candidate("later", 0, 1);
    later.not_before_ms = NOW + 5 * 60 * 60 * 1000;
    let planned = asked(std::slice::from_ref(&later), &[], &bounds(2));
    let reason = Reason::NotBefore(later.not_before_ms);
    assert_eq!(planned.waits["later"].reason, reason);
    later.not_before_ms = NOW + 30 * 24 * 60 * 60 * 1000;
    assert_eq!(asked(&[later], &[], &bounds(2)).start, ["later"]);
}

#[test]
fn each_bound_is_named_and_who_it_does_not_concern_passes() {
    let mut other = candidate("codex", 0, 3);
    other.provider = "codex".to_owned();
    let mut elsewhere = candidate("elsewhere", 0, 4);
    elsewhere.project = Arc::from(Path::new("/q"));
    elsewhere.provider = "codex".to_owned();
    let waiting = [candidate("a", 0, 1), candidate("b", 0, 2), other, elsewhere];
    let mut bounds = bounds(8);
    bounds.providers.insert("claude".to_owned(), 1);
    bounds.project = Some(2);
    let planned = asked(&waiting, &[], &bounds);
    assert_eq!(planned.start, ["a", "codex", "elsewhere"]);
    assert_eq!(planned.waits["b"].reason, Reason::ProviderFull(1));
    bounds.providers.clear();
    let planned = asked(&waiting, &[], &bounds);
    assert_eq!(planned.start, ["a", "b", "elsewhere"]);
    assert_eq!(planned.waits["codex"].reason, Reason::ProjectFull(2));
}

#[test]
fn who_waits_for_a_time_says_until_when_and_the_first_of_them_is_told() {
    let mut later = candidate("later", 0, 1);
    later.not_before_ms = NOW + 500;
    let mut held = candidate("held", 0, 2);
    held.provider = "codex".to_owned();
    let until_ms = NOW + 900;
    let reason = "rate_limited".to_owned();
    let hold = Held { until_ms, reason };
    let holds = BTreeMap::from([("codex".to_owned(), hold.clone())]);
    let waiting = [later, held];
    let planned = plan(&waiting, &[], &bounds(8), &holds, NOW);
    assert_eq!(planned.start, [""; 0]);
    assert_eq!(planned.waits["later"].reason, Reason::NotBefore(NOW + 500));
    assert_eq!(planned.waits["held"].reason, Reason::Held(hold));
    assert_eq!(planned.next_ms, Some(NOW + 500));
    let planned = plan(&waiting, &[], &bounds(8), &holds, until_ms);
    assert_eq!(planned.start, ["later", "held"]);
    // A clock that was set back by years keeps nobody.
    let planned = plan(&waiting, &[], &bounds(8), &BTreeMap::new(), 0);
    assert_eq!(planned.start, ["later", "held"]);
}

#[test]
fn no_two_of_one_task_run_at_once() {
    let mut second = candidate("second", 0, 2);
    second.task = "first".to_owned();
    let waiting = [candidate("first", 0, 1), second];
    let planned = asked(&waiting, &[], &bounds(8));
    assert_eq!(planned.start, ["first"]);
    assert_eq!(planned.waits["second"].reason, Reason::TaskBusy);
}

/// One that needs a place of its project and one of its provider, while others take either by turns.
#[test]
fn who_was_passed_over_for_long_gets_the_next_places() {
    let (mut here, mut there) = (candidate("here", 0, 2), candidate("there", 0, 3));
    here.provider = "codex".to_owned();
    there.project = Arc::from(Path::new("/q"));
    let runs = placed(&candidate("runs", 0, 0));
    let mut bounds = bounds(8);
    bounds.project = Some(2);
    bounds.providers.insert("claude".to_owned(), 1);
    let mut patient = candidate("patient", 0, 1);
    let waiting = [patient.clone(), here.clone(), there.clone()];
    let planned = asked(&waiting, std::slice::from_ref(&runs), &bounds);
    assert_eq!(planned.start, ["here"], "nobody is in its way for now");
    patient.lacks_since_ms = Some(NOW - PATIENCE_MS);
    let waiting = [patient, here, there];
    let planned = asked(&waiting, &[runs], &bounds);
    assert_eq!(planned.start, [""; 0]);
    assert_eq!(planned.waits["here"].reason, Reason::ProjectFull(2));
}

/// Project, provider, task, priority, order, and what is odd about one.
type Drawn = (usize, usize, usize, i32, u64, u8);

fn drawn((n, it): (usize, Drawn)) -> Candidate {
    let (project, provider, task, priority, order, odd) = it;
    Candidate {
        project: Arc::from(Path::new(["/p", "/q"][project])),
        provider: ["claude", "codex"][provider].to_owned(),
        task: format!("t{task}"),
        lacks_since_ms: (odd == 0).then_some(0),
        not_before_ms: if odd == 1 { NOW + 5 } else { 0 },
        after: (odd == 2).then(|| InvocationId::new(1)).flatten(),
        blocked: (odd == 3).then(|| "b".to_owned()),
        ..candidate(&format!("c{n}"), priority, order)
    }
}

/// A line of some, of two projects, providers and few tasks.
fn line() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        0..2_usize,
        0..2_usize,
        0..6_usize,
        -1..2_i32,
        0..9_u64,
        0..12_u8,
    );
    vec(one, 0..12).prop_map(|all| all.into_iter().enumerate().map(drawn).collect())
}

fn some_bounds() -> impl Strategy<Value = Bounds> {
    let provider = proptest::option::of(1..3_usize);
    (1..5_usize, proptest::option::of(1..4_usize), provider).prop_map(|(total, project, claude)| {
        let claude = claude.map(|most| ("claude".to_owned(), most));
        Bounds {
            total,
            project,
            providers: claude.into_iter().collect(),
        }
    })
}

fn count<T>(all: &[T], is: impl Fn(&T) -> bool) -> usize {
    all.iter().filter(|it| is(it)).count()
}

proptest! {
    /// From an empty house on, with whoever starts and ends: never over a bound, never two of one
    /// task, never before its turn, and everybody who can start does in the end, in one order.
    #[test]
    fn no_bound_is_passed_and_nobody_is_left(
        mut waiting in line(),
        bounds in some_bounds(),
        ends in vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut running: Vec<Placed> = Vec::new();
        let mut begun = Vec::new();
        for end in ends {
            let planned = asked(&waiting, &running, &bounds);
            prop_assert_eq!(planned.start.len() + planned.waits.len(), waiting.len());
            let mut places: Vec<_> = planned.waits.values().map(|it| it.place).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (1..=planned.waits.len()).collect::<Vec<_>>());
            for uuid in &planned.start {
                let at = waiting.iter().position(|it| it.uuid == *uuid).unwrap();
                let it = waiting.remove(at);
                prop_assert!(it.after.is_none() && it.blocked.is_none() && it.not_before_ms <= NOW);
                running.push(placed(&it));
                begun.push(it);
            }
            prop_assert!(running.len() <= bounds.total);
            for place in &running {
                let same = |it: &Placed| it.project == place.project && it.task == place.task;
                prop_assert_eq!(count(&running, same), 1);
                let here = count(&running, |it| it.project == place.project);
                prop_assert!(here <= bounds.project.unwrap_or(usize::MAX));
                let of_provider = count(&running, |it| it.provider == place.provider);
                let most = bounds.providers.get(&place.provider);
                prop_assert!(of_provider <= *most.unwrap_or(&usize::MAX));
            }
            // Nobody is passed over by one that is behind it and wants the very same.
            for (n, later) in begun.iter().enumerate() {
                for it in &waiting {
                    let wants_the_same = it.project == later.project && it.provider == later.provider;
                    let can = it.after.is_none() && it.blocked.is_none() && it.not_before_ms == 0;
                    let is_free = !begun[..n].iter().any(|other| other.task == it.task) && later.task != it.task;
                    if wants_the_same && can && is_free {
                        prop_assert!(later.rank() < it.rank(), "{later:?} before {it:?}");
                    }
                }
            }
            if !running.is_empty() {
                running.remove(end.index(running.len()));
            }
        }
        let left = count(&waiting, |it| it.after.is_none() && it.blocked.is_none() && it.not_before_ms == 0);
        prop_assert_eq!(left, 0);
    }
}
