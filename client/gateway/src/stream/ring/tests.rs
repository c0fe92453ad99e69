use proptest::prelude::*;
use steroids_client::v1::Event;

use super::*;
use crate::stream::frame::encode;

fn event(n: u64, size: usize) -> Event {
    Event {
        cursor: format!("1:0:{}", n + 1),
        invocation_id: 1,
        ts: n as i64,
        line: format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(size)).into(),
        ..Event::default()
    }
}

/// The numbers of the events in some frames.
fn numbers(bytes: &[u8]) -> Vec<u64> {
    let text = str::from_utf8(bytes).unwrap();
    text.split("\"n\":")
        .skip(1)
        .map(|rest| rest.split(',').next().unwrap().parse().unwrap())
        .collect()
}

/// A viewer as the code has it: in the ring by number, or outside by its cursor.
#[derive(Debug, Default)]
struct Viewer {
    at: Option<u64>,
    cursor: String,
    seen: Vec<u64>,
}

impl Viewer {
    /// Takes once from the ring; outside of it, reads up to `read` events of the log.
    fn step(&mut self, ring: &Ring, log: &[Event], read: usize) {
        let place = self.at.or_else(|| ring.find(&self.cursor));
        if let Some(mut at) = place {
            match ring.take(&mut at, &mut self.cursor) {
                Taken::Frames(frames) => {
                    let numbers = numbers(&frames.bytes);
                    assert_eq!(numbers.len() as u64, frames.count);
                    assert_eq!(numbers.last().map(|n| *n as i64), Some(frames.ts));
                    self.seen.extend(numbers);
                    self.at = Some(at);
                    return;
                }
                Taken::Nothing => {
                    self.at = Some(at);
                    return;
                }
                Taken::Behind => self.at = None,
            }
        }
        let from = log.iter().position(|it| it.cursor == self.cursor);
        let from = from.map_or(0, |at| at + 1);
        for event in log[from..].iter().take(read) {
            self.cursor.clone_from(&event.cursor);
            self.seen.push(event.ts as u64);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// The log grows by so many events, each of such a size.
    Write(usize, usize),
    /// The upstream brings up to so many of them.
    Push(usize),
    /// A viewer comes.
    Join,
    /// One of them looks, and may read so many events.
    Look(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![3 => 0..100usize, 1 => 20_000..90_000usize];
    let step = prop_oneof![
        (1..400usize, size).prop_map(|(count, size)| {
            // Long lines come in small numbers, or a case takes a second.
            Step::Write(if size > 1000 { count % 4 + 1 } else { count }, size)
        }),
        (1..600usize).prop_map(Step::Push),
        Just(Step::Join),
        (0..8usize, 1..300usize).prop_map(|(who, read)| Step::Look(who, read)),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_viewer_sees_each_frame_once_and_in_order(steps in steps(), base in 0..50usize) {
        let mut log: Vec<Event> = (0..50).map(|n| event(n, 10)).collect();
        // The upstream begins where the first viewer had caught up.
        let start = base.checked_sub(1).map_or(String::new(), |at| log[at].cursor.clone());
        let mut ring = Ring::new(start);
        let mut pushed = base;
        let mut viewers = vec![Viewer::default()];
        for step in steps {
            match step {
                Step::Write(count, size) => {
                    let from = log.len() as u64;
                    log.extend((from..from + count as u64).map(|n| event(n, size)));
                }
                Step::Push(count) => {
                    let upto = log.len().min(pushed + count);
                    for segment in encode(&log[pushed..upto]) {
                        ring.push(segment);
                    }
                    pushed = upto;
                    prop_assert!(ring.segments.len() <= 1
                        || ring.bytes <= BYTES && ring.frames <= FRAMES);
                }
                Step::Join => viewers.push(Viewer::default()),
                Step::Look(who, read) => {
                    let who = who % viewers.len();
                    viewers[who].step(&ring, &log, read);
                }
            }
        }
        for segment in encode(&log[pushed..]) {
            ring.push(segment);
        }
        for viewer in &mut viewers {
            while viewer.seen.len() < log.len() {
                let before = viewer.seen.len();
                viewer.step(&ring, &log, 100);
                viewer.step(&ring, &log, 100);
                prop_assert!(viewer.seen.len() > before, "goes on: {:?}", viewer.cursor);
            }
            prop_assert!(viewer.seen.iter().copied().eq(0..log.len() as u64));
        }
    }
}

#[test]
fn the_newest_segment_stays_however_large() {
    let mut ring = Ring::new(String::new());
    for n in 0..3 {
        for segment in encode(&[event(n, 2 * BYTES)]) {
            ring.push(segment);
        }
    }
    assert_eq!((ring.segments.len(), ring.find("1:0:2")), (1, Some(2)));
    assert_eq!(ring.find("1:0:1"), None, "gone with what came after it");
}

#[test]
fn small_frames_are_taken_together_and_large_ones_are_not_copied() {
    let mut ring = Ring::new(String::new());
    let mut push = |n, size| {
        encode(&[event(n, size)])
            .into_iter()
            .for_each(|it| ring.push(it))
    };
    (0..10).for_each(|n| push(n, 10));
    push(10, WRITE);
    let (mut at, mut cursor) = (0, String::new());
    let mut take = || match ring.take(&mut at, &mut cursor) {
        Taken::Frames(frames) => frames,
        other => panic!("{other:?}"),
    };
    assert_eq!(take().count, 10);
    let large = take();
    assert_eq!(
        large.bytes.as_ptr(),
        ring.segments[10].segment.bytes.as_ptr()
    );
    assert_eq!((at, cursor.as_str()), (11, "1:0:11"));
}

#[test]
fn a_cursor_that_occurs_twice_means_the_newest() {
    let mut ring = Ring::new("1:0:9".to_owned());
    for n in [0, 1, 0, 2] {
        encode(&[event(n, 1)])
            .into_iter()
            .for_each(|it| ring.push(it));
    }
    assert_eq!(ring.find("1:0:1"), Some(3));
    assert_eq!(ring.find("1:0:9"), Some(0), "before the first");
    assert_eq!(ring.find(""), None);
}
