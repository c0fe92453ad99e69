use proptest::prelude::*;

use super::*;
use crate::domain::InvocationId;

const DAY: u64 = 24 * 60 * 60;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1000 * DAY)
}

fn ago(seconds: u64) -> SystemTime {
    now() - Duration::from_secs(seconds)
}

fn log(id: i64, age: u64) -> Log {
    Log {
        project: 0,
        file: LogFile {
            id: InvocationId::new(id).unwrap(),
            len: 10,
            modified: ago(age),
            is_packed: false,
        },
        is_open: false,
    }
}

fn days(days: u32) -> LogLimits {
    LogLimits {
        days: Some(days),
        ..LogLimits::default()
    }
}

fn going(logs_there: &[Log], limits: &LogLimits) -> Vec<(i64, Why)> {
    let sorted = logs(logs_there.to_vec(), now(), limits);
    let going = sorted.going.iter();
    going.map(|(log, why)| (log.file.id.get(), *why)).collect()
}

#[test]
fn logs_go_by_age_and_never_those_of_open_invocations() {
    let mut open = log(4, 99 * DAY);
    open.is_open = true;
    let there = [log(1, 8 * DAY), log(2, 9 * DAY), log(3, 7 * DAY), open];
    assert_eq!(going(&there, &days(7)), [(2, Why::Age), (1, Why::Age)]);
    assert_eq!(going(&there, &LogLimits::default()), []);
    let all = going(&there, &days(0));
    assert_eq!(all.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1, 3]);
    let sorted = logs(there.to_vec(), now(), &days(7));
    assert_eq!(sorted.kept_running, 1);
}

#[test]
fn zero_days_takes_a_log_written_just_now_or_in_the_future() {
    let mut future = log(1, 0);
    future.file.modified = now() + Duration::from_secs(5);
    let both = [future, log(2, 0)];
    assert_eq!(going(&both, &days(0)), [(1, Why::Age), (2, Why::Age)]);
    assert_eq!(going(&both, &days(1)), []);
}

#[test]
fn a_project_gives_its_own_before_all_give_theirs() {
    let mut there = vec![log(1, 50), log(2, 40), log(3, 30)];
    there.iter_mut().skip(1).for_each(|log| log.project = 1);
    let limits = LogLimits {
        project_max_count: Some(1),
        max_count: Some(2),
        ..LogLimits::default()
    };
    // The oldest of all stays: with project 1 within its bound there are two.
    assert_eq!(going(&there, &limits), [(2, Why::ProjectCount)]);
    let bytes = LogLimits {
        max_bytes: Some(10),
        ..LogLimits::default()
    };
    assert_eq!(going(&there, &bytes), [(1, Why::Bytes), (2, Why::Bytes)]);
}

fn spool(uuid: &str, bytes: u64, ended: Option<u64>) -> Spool {
    Spool {
        uuid: uuid.to_owned(),
        bytes,
        ended: ended.map(ago),
        is_away: false,
    }
}

fn spools_going(days: Option<u32>, max_bytes: Option<u64>) -> Vec<String> {
    let all = vec![
        spool("new", 100, Some(DAY)),
        spool("running", 1000, None),
        spool("old", 10, Some(9 * DAY)),
        spool("middle", 50, Some(3 * DAY)),
    ];
    let limits = SpoolLimits { days, max_bytes };
    let going = spools(all, now(), limits).into_iter();
    going.map(|(spool, _)| spool.uuid).collect()
}

#[test]
fn spools_go_by_age_then_oldest_first_until_the_rest_fits() {
    assert_eq!(spools_going(None, None), [""; 0]);
    assert_eq!(spools_going(Some(7), None), ["old"]);
    assert_eq!(spools_going(Some(7), Some(1150)), ["old"]);
    assert_eq!(spools_going(Some(7), Some(1149)), ["old", "middle"]);
    assert_eq!(spools_going(None, Some(1159)), ["old"]);
    assert_eq!(spools_going(None, Some(0)), ["old", "middle", "new"]);
    assert_eq!(spools_going(Some(0), None), ["old", "middle", "new"]);
}

#[test]
fn those_of_projects_that_are_away_go_by_age_and_take_no_room_from_others() {
    let away = |uuid, bytes, ended| Spool {
        is_away: true,
        ..spool(uuid, bytes, ended)
    };
    let going = |days, max_bytes| {
        let all = vec![
            away("unknown", 1000, None),
            away("old", 1000, Some(9 * DAY)),
            away("late", 1000, Some(2 * DAY)),
            spool("first", 60, Some(3 * DAY)),
            spool("second", 50, Some(DAY)),
        ];
        let going = spools(all, now(), SpoolLimits { days, max_bytes });
        let going = going.into_iter();
        going
            .map(|(spool, why)| format!("{} {}", spool.uuid, why.as_str()))
            .collect::<Vec<_>>()
    };
    let (old, first) = ("old age", "first bytes");
    assert_eq!(going(None, Some(50)), [first]);
    assert_eq!(going(Some(7), None), [old]);
    assert_eq!(going(Some(7), Some(110)), [old]);
    assert_eq!(going(Some(7), Some(109)), [old, first]);
}

fn any_log() -> impl Strategy<Value = Log> {
    (0..3_usize, 1..40_i64, 0..50_u64, 0..20 * DAY, any::<bool>()).prop_map(
        |(project, id, len, age, is_open)| {
            let mut log = log(id, age);
            (log.project, log.is_open, log.file.len) = (project, is_open, len);
            log
        },
    )
}

fn any_limits() -> impl Strategy<Value = LogLimits> {
    let bound = |most: u64| prop::option::of(0..most);
    (
        prop::option::of(0..10_u32),
        bound(300),
        bound(8),
        bound(600),
        bound(20),
    )
        .prop_map(
            |(days, project_max_bytes, project_max_count, max_bytes, max_count)| LogLimits {
                days,
                project_max_bytes,
                project_max_count,
                max_bytes,
                max_count,
            },
        )
}

/// Whether logs are within two bounds.
fn fit(logs: &[&Log], count: Option<u64>, bytes: Option<u64>) -> bool {
    let sum: u64 = logs.iter().map(|log| log.file.len).sum();
    count.is_none_or(|most| logs.len() as u64 <= most) && bytes.is_none_or(|most| sum <= most)
}

proptest! {
    #[test]
    fn what_stays_is_within_the_limits_and_no_more_goes_than_must(
        there in prop::collection::vec(any_log(), 0..30),
        limits in any_limits(),
    ) {
        let mut there = there;
        there.sort_by_key(|log| (log.project, log.file.id));
        there.dedup_by_key(|log| (log.project, log.file.id));
        let sorted = logs(there.clone(), now(), &limits);
        let gone: Vec<&Log> = sorted.going.iter().map(|(log, _)| log).collect();
        let stays: Vec<&Log> = there.iter().filter(|log| !gone.contains(log)).collect();
        prop_assert!(gone.iter().all(|log| !log.is_open));
        prop_assert_eq!(gone.len() + stays.len(), there.len());
        let old = |log: &Log| limits.days.is_some_and(|days| {
            days == 0 || log.file.modified < ago(u64::from(days) * DAY)
        });
        prop_assert!(stays.iter().all(|log| log.is_open || !old(log)));
        let of = |project: usize| -> Vec<&Log> {
            stays.iter().copied().filter(|log| log.project == project).collect()
        };
        let per = (limits.project_max_count, limits.project_max_bytes);
        let whole = (limits.max_count, limits.max_bytes);
        for project in 0..3 {
            let left = of(project);
            let only_open = left.iter().all(|log| log.is_open);
            prop_assert!(only_open || fit(&left, per.0, per.1));
        }
        prop_assert!(stays.iter().all(|log| log.is_open) || fit(&stays, whole.0, whole.1));
        for (log, why) in &sorted.going {
            // The last that went for a bound was one too many: with it, and all that went later
            // for another reason, the bound was missed.
            let scope: Vec<&Log> = match why {
                Why::Age => {
                    prop_assert!(old(log));
                    continue;
                }
                Why::ProjectCount | Why::ProjectBytes => sorted.going.iter()
                    .filter(|(other, why)| other.project == log.project && *why != Why::Age)
                    .skip_while(|(other, _)| other != log)
                    .map(|(log, _)| log).chain(of(log.project)).collect(),
                Why::Count | Why::Bytes => sorted.going.iter()
                    .skip_while(|(other, _)| other != log)
                    .map(|(log, _)| log).chain(stays.iter().copied()).collect(),
            };
            let (count, bytes) = match why {
                Why::ProjectCount | Why::ProjectBytes => per,
                _ => whole,
            };
            prop_assert!(!fit(&scope, count, bytes), "{:?} went for nothing", log);
            // Of those that could have gone for it, none older stays.
            let is_project = matches!(why, Why::ProjectCount | Why::ProjectBytes);
            let older = stays.iter().find(|other| {
                !other.is_open
                    && (!is_project || other.project == log.project)
                    && other.file.modified < log.file.modified
            });
            prop_assert!(older.is_none(), "{:?} went before {:?}", log, older);
        }
    }
}

#[test]
fn a_log_from_the_future_puts_none_of_others_in_front_of_it() {
    let mut future = log(1, 0);
    future.file.modified = now() + Duration::from_secs(DAY);
    let limits = LogLimits {
        max_count: Some(1),
        ..LogLimits::default()
    };
    let mut other = log(2, 0);
    other.project = 1;
    assert_eq!(going(&[future, other], &limits), [(1, Why::Count)]);
}
