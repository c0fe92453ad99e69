//! One log of many that is there and cannot be read: it is told, and the others are given.

use super::wide::{ALL, of, order};
use super::*;
use crate::activity_log::Saved;

const TASK: Whole = Whole::Task("T");

/// What a frame of a compressed log begins with.
const MAGIC: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// Lines of several frames, which do not pack well enough to be in one.
fn long() -> String {
    lines(0..20_000)
}

impl Rows {
    /// Compresses a log and damages its second frame.
    fn damage(&self, n: i64) {
        self.damage_at(n, |packed| {
            let second = memchr::memmem::find_iter(packed, MAGIC).nth(1);
            second.unwrap()
        });
    }

    /// Compresses a log and damages a byte of it.
    fn damage_at(&self, n: i64, place: fn(&[u8]) -> usize) {
        let saved = self.logs.pack(id(n), &|| false).unwrap();
        assert!(matches!(saved, Saved::Bytes(_)));
        let packed = self.path(n).with_extension("log.zst");
        let mut bytes = fs::read(&packed).unwrap();
        let at = place(&bytes);
        bytes[at] ^= 0xFF;
        fs::write(&packed, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_frame_is_told_and_the_next_runs_are_given() {
    let project = project();
    for n in 1..=4 {
        project.ours(n);
        project.write(n, &(long() + COMPLETE));
        project.end(n);
    }
    project.damage(2);
    let told = project.present(TASK, "").await;
    assert_eq!(
        (order(&told), reasons(&told)),
        (vec![1, 2, 3, 4], vec!["unreadable".to_owned()])
    );
    for n in [1, 3, 4] {
        assert_eq!(of(&told, n), long() + COMPLETE, "{n}");
    }
    let at = told.iter().position(|it| it.kind == "gap").unwrap();
    let given = of(&told[..at], 2);
    assert!(long().starts_with(&given) && !given.is_empty());
    let gap: serde_json::Value = serde_json::from_slice(&told[at].line).unwrap();
    assert_eq!(
        (&gap["offset"], &gap["generation"]),
        (&given.len().into(), &"0".into())
    );
    assert_eq!(gap.get("resumesAt"), None);
    // Who comes back after it is not led there again; who comes back before it is told.
    let after = project.present(TASK, &told[at].cursor).await;
    assert_eq!(order(&after), [3, 4]);
    let before = project.present(TASK, &told[at - 1].cursor).await;
    assert_eq!((order(&before), reasons(&before).len()), (vec![2, 3, 4], 1));
    // Who asks for it alone is refused it.
    let mut alone = project.follow(Whole::Invocation(2), "").await;
    let error = loop {
        match alone.next().await {
            Ok(events) => assert!(events.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FollowError::Log(_)), "{error}");
}

#[tokio::test]
async fn a_damaged_table_is_told_and_not_taken_for_no_log() {
    let project = project();
    for n in 1..=2 {
        project.ours(n);
        project.write(n, &(long() + COMPLETE));
        project.end(n);
    }
    let some = project.present(TASK, "").await;
    project.damage_at(1, |packed| packed.len() - 1);
    let told = project.present(TASK, "").await;
    assert_eq!(
        (reasons(&told), order(&told)),
        (vec!["unreadable".to_owned()], vec![1, 2])
    );
    let resumed = project.present(TASK, &some[0].cursor).await;
    assert_eq!(reasons(&resumed), ["unreadable"]);
    // Who asks for it alone is told which file it is.
    for cursor in [String::new(), format!("1:0:{}", line(0).len())] {
        let opened = project.open(Whole::Invocation(1), &cursor, Extent::Whole);
        let error = match opened.await {
            Err(error) => error,
            Ok(mut alone) => alone.next().await.unwrap_err(),
        };
        let FollowError::Log(error) = error else {
            panic!("{error}");
        };
        assert!(error.to_string().contains("1.log.zst"), "{error}");
    }
}

#[tokio::test]
async fn one_that_runs_is_told_once_and_goes_on_when_it_can_be_read() {
    let project = project();
    for n in 1..=2 {
        project.ours(n);
        project.write(n, &long());
    }
    project.damage(1);
    let mut follower = project.follow(ALL, "").await;
    let mut told = Vec::new();
    while of(&told, 2) != long() || reasons(&told).is_empty() {
        told.extend(next(&mut follower).await.unwrap());
    }
    project.touch();
    project.write(2, &line(1));
    assert_eq!(order(&some(&mut follower, 1).await), [2]);
    // A look keeps its place.
    let looked = project.present(ALL, "").await;
    assert_eq!(reasons(&looked), ["unreadable"]);

    project.write(1, &(long() + COMPLETE));
    project.end(1);
    let given =
        of(&told, 1).len() - told.iter().find(|it| it.kind == "gap").unwrap().line.len() - 1;
    let rest = long()[given..].to_owned() + COMPLETE;
    let mut back = Vec::new();
    while of(&back, 1).len() < rest.len() {
        back.extend(next(&mut follower).await.unwrap());
    }
    assert_eq!(of(&back, 1), rest);
    let after_look = project.present(ALL, &looked.last().unwrap().cursor).await;
    assert_eq!((of(&after_look, 1), order(&after_look)), (rest, vec![1]));
}
