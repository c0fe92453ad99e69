use std::fs;
use std::path::Path;

use proptest::prelude::*;
use steroids_provider::activity::Level;

use super::*;
use crate::exit::Reason;

fn sample() -> Vec<u8> {
    let mut spool = Vec::new();
    append_output(&mut spool, 1, 10, Stream::Stdout, b"one\n");
    append_control(
        &mut spool,
        2,
        20,
        &Control::Stop {
            by: Reason::Wall,
            why: None,
        },
    );
    append_output(&mut spool, 3, 30, Stream::Stderr, b"tw\xff");
    append_output(&mut spool, 4, 40, Stream::Stdout, b"\0three");
    spool
}

/// What a reader makes of a file: what it read, where it stopped, and whether on damage.
fn read_all(path: &Path) -> (Vec<(u64, String)>, u64, bool) {
    let mut reader = Reader::open(path).unwrap();
    let mut read = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => read.push((record.at.raw, format!("{:?}", record.payload))),
            Ok(None) => return (read, reader.position(), false),
            Err(SpoolError::Damaged { offset, .. }) => {
                assert_eq!(offset, reader.position());
                return (read, offset, true);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_was_written_reads_back_with_times_and_positions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut writer = Writer::create(&path).unwrap();
    writer.output(5, 6, Stream::Stdout, b"hello").unwrap();
    let notice = Control::Notice {
        level: Level::Warn,
        msg: "näh".to_owned(),
    };
    writer.control(7, 8, &notice).unwrap();
    writer.sync().unwrap();
    assert!(Writer::create(&path).is_err());

    let mut reader = Reader::open(&path).unwrap();
    let first = reader.next().unwrap().unwrap();
    assert_eq!((first.at.wall_ms, first.at.mono_ms), (5, 6));
    let at = first.at.raw as usize;
    assert_eq!(&fs::read(&path).unwrap()[at..at + 5], b"hello");
    assert_eq!(
        reader.next().unwrap().unwrap().payload,
        Payload::Control(notice)
    );
    assert_eq!(reader.next().unwrap(), None);
    assert_eq!(reader.position(), writer.length());

    writer.output(9, 9, Stream::Stderr, b"later").unwrap();
    assert!(reader.next().unwrap().is_some());
}

#[test]
fn a_reader_goes_on_where_another_one_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    fs::write(&path, sample()).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    reader.next().unwrap();
    let mut other = Reader::open_at(&path, reader.position()).unwrap();
    assert_eq!(other.next().unwrap(), reader.next().unwrap());
}

#[test]
fn long_output_is_cut_into_records_and_none_of_it_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let bytes: Vec<u8> = (0..1_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut writer = Writer::create(&path).unwrap();
    writer.output(1, 1, Stream::Stdout, &bytes).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut read = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let Payload::Output { bytes, .. } = record.payload else {
            panic!("no control record was written");
        };
        assert!(bytes.len() <= LONGEST_PAYLOAD);
        read.extend_from_slice(bytes);
    }
    assert!(read == bytes);
}

#[test]
fn a_control_record_of_a_later_release_is_handed_on_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let later = Control::Other(r#"{"kind":"pause","for":3}"#.to_owned());
    let mut spool = Vec::new();
    append_control(&mut spool, 1, 1, &later);
    fs::write(&path, spool).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(
        reader.next().unwrap().unwrap().payload,
        Payload::Control(later)
    );
}

/// A control record as the release before read it.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Earlier {
    Input { msg: String },
    Notice { level: String, msg: String },
    Stop { by: Reason },
}

fn payload(control: &Control) -> Vec<u8> {
    let mut spool = Vec::new();
    append_control(&mut spool, 1, 1, control);
    spool[PAYLOAD_OFFSET..spool.len() - 4].to_vec()
}

fn read_back(payload: &str) -> Control {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let raw = Control::Other(payload.to_owned());
    Writer::create(&path).unwrap().control(1, 1, &raw).unwrap();
    match Reader::open(&path)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .payload
    {
        Payload::Control(control) => control,
        output => panic!("it is a control record: {output:?}"),
    }
}

#[test]
fn what_is_said_of_a_limit_is_a_notice_to_the_release_before() {
    for (ends_ms, text, level) in [
        (
            Some(1500),
            r#"{"kind":"notice","level":"warn","msg":"m","limit":"tool_silence","ends_ms":1500}"#,
            "warn",
        ),
        (
            None,
            r#"{"kind":"notice","level":"info","msg":"m","limit":"tool_silence"}"#,
            "info",
        ),
    ] {
        let control = Control::Limit {
            limit: Limited::ToolSilence,
            ends_ms,
            msg: "m".to_owned(),
        };
        let payload = payload(&control);
        assert_eq!(String::from_utf8_lossy(&payload), text);
        let earlier = Earlier::Notice {
            level: level.to_owned(),
            msg: "m".to_owned(),
        };
        assert_eq!(
            serde_json::from_slice::<Earlier>(&payload).unwrap(),
            earlier
        );
        assert_eq!(read_back(text), control);
    }
}

#[test]
fn what_a_later_release_says_of_other_limits_stays_a_notice() {
    let notice = |level| Control::Notice {
        level,
        msg: "m".to_owned(),
    };
    let of_another = r#"{"kind":"notice","level":"warn","msg":"m","limit":"tokens","ends_ms":1}"#;
    assert_eq!(read_back(of_another), notice(Level::Warn));
    let of_another_level = r#"{"kind":"notice","level":"error","msg":"m","limit":"wall"}"#;
    assert_eq!(read_back(of_another_level), notice(Level::Error));
}

#[test]
fn a_control_text_that_is_too_long_is_cut_and_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let msg = "\u{1}ä".repeat(LONGEST_PAYLOAD);
    Writer::create(&path)
        .unwrap()
        .control(1, 1, &Control::Input { msg })
        .unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let record = reader.next().unwrap().unwrap();
    assert!(matches!(
        record.payload,
        Payload::Control(Control::Input { .. })
    ));
}

#[test]
fn a_spool_cut_at_any_byte_gives_the_whole_records_before_and_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let whole = sample();
    fs::write(&path, &whole).unwrap();
    let (all, end, _) = read_all(&path);
    assert_eq!(end, whole.len() as u64);
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let mut count = 0;
        while reader.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(reader.position() as usize, whole_records(&whole[..cut]));
        fs::write(&path, &whole).unwrap();
        while reader.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, all.len());
    }
}

#[test]
fn a_torn_record_that_was_cut_off_and_written_anew_is_read_as_it_is_now() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut first = Vec::new();
    append_output(&mut first, 1, 1, Stream::Stdout, b"first version");
    fs::write(&path, &first[..first.len() - 6]).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.next().unwrap(), None);
    fs::write(&path, sample()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().at.wall_ms, 1);
}

#[test]
fn a_few_bytes_that_begin_no_record_are_damage_wherever_reading_began() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut spool = sample();
    let end = spool.len() as u64;
    spool.extend_from_slice(b"\0\0\0");
    fs::write(&path, &spool).unwrap();
    let (_, stopped, is_damaged) = read_all(&path);
    assert_eq!((stopped, is_damaged), (end, true));
    let mut later = Reader::open_at(&path, end).unwrap();
    for _ in 0..2 {
        assert!(matches!(later.next(), Err(SpoolError::Damaged { .. })));
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_stops_the_reader_at_its_record(at in 0_usize..sample().len(), bit in 0_u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let whole = sample();
        fs::write(&path, &whole).unwrap();
        let (good, _, _) = read_all(&path);
        let mut bad = whole.clone();
        bad[at] ^= 1 << bit;
        fs::write(&path, &bad).unwrap();
        let (read, position, _) = read_all(&path);
        prop_assert!(position as usize <= at);
        prop_assert!(read.len() < good.len());
        prop_assert_eq!(&good[..read.len()], &read[..]);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), head in 0_usize..60) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let mut spool = sample();
        spool.truncate(head);
        spool.extend_from_slice(&bytes);
        fs::write(&path, &spool).unwrap();
        read_all(&path);
    }
}
