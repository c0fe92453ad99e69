//! The line by itself, with a clock of the test's.

use super::super::line::{Coming, Line, Rejected, Stands};
use super::*;
use crate::domain::hold::Holds;
use crate::domain::queue::{Bounds, Candidate, Placed, Reason};

const NOW: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;

fn candidate(name: &str, provider: &str) -> Candidate {
    Candidate {
        uuid: name.to_owned(),
        project: Arc::from(Path::new("/p")),
        folder: None,
        id: None,
        task: name.to_owned(),
        provider: provider.to_owned(),
        priority: 0,
        order: 0,
        lacks_since_ms: None,
        not_before_ms: 0,
        after: None,
        blocked: None,
    }
}

fn come(line: &Line, it: Candidate, now_ms: i64) -> Result<Stands, Rejected> {
    let coming = Coming {
        max: 8,
        may_wait: true,
        may_share_task: false,
    };
    line.come(it, Vec::new(), coming, now_ms)
        .map(|(stands, _)| stands)
}

fn look(line: &Line, now_ms: i64) {
    line.turns(now_ms, |_| None::<()>);
}

/// Who waits for its time, or for others, has not been passed over for want of a place.
#[test]
fn patience_counts_from_when_nothing_but_a_place_is_wanting() {
    let bounds = Bounds {
        total: 8,
        project: Some(3),
        providers: BTreeMap::from([("claude".to_owned(), 1)]),
    };
    let line = Line::new(bounds, Holds::default());
    let runs = candidate("runs", "claude");
    let placed = Placed {
        project: Arc::clone(&runs.project),
        folder: runs.folder,
        task: runs.task.clone(),
        provider: runs.provider.clone(),
    };
    line.place("runs", placed);
    let hour = NOW + 60 * MINUTE;
    let patient = Candidate {
        not_before_ms: hour,
        ..candidate("patient", "claude")
    };
    assert_eq!(come(&line, patient, NOW), Ok(Stands::Waits));
    line.ready("patient", InvocationId::new(1).unwrap());
    look(&line, hour + 1);
    let waits = line.waits("patient").unwrap();
    assert_eq!(waits.reason, Reason::ProviderFull(1));
    let one = come(&line, candidate("one", "codex"), hour + MINUTE);
    assert_eq!(one, Ok(Stands::Placed), "nobody waits for long");
    look(&line, hour + 9 * MINUTE);
    let late = come(&line, candidate("late", "codex"), hour + 11 * MINUTE);
    assert_eq!(late, Ok(Stands::Waits), "the last place here is kept");
}

#[test]
fn what_is_in_everybodys_way_is_not_told_of_who_waits_for_something_else() {
    let line = Line::new(Bounds::default(), Holds::default());
    let later = Candidate {
        not_before_ms: NOW + MINUTE,
        ..candidate("later", "claude")
    };
    let coming = [
        later,
        candidate("one", "claude"),
        candidate("two", "claude"),
    ];
    for (it, id) in coming.into_iter().zip(1..) {
        let uuid = it.uuid.clone();
        assert_eq!(come(&line, it, NOW), Ok(Stands::Waits));
        line.ready(&uuid, InvocationId::new(id).unwrap());
    }
    look(&line, NOW);
    line.block_all("the disk is full");
    line.set_bounds(Bounds {
        total: 8,
        ..Bounds::default()
    });
    let turns = || line.turns(NOW, |_| Some(())).turns.len();
    assert_eq!(turns(), 0);
    let why = |uuid| line.waits(uuid).unwrap().reason;
    let full = Reason::Blocked("the disk is full".to_owned());
    assert_eq!((why("one"), why("two")), (full.clone(), full));
    assert_eq!(why("later"), Reason::NotBefore(NOW + MINUTE));
    line.unblock();
    assert_eq!(turns(), 2);
}
