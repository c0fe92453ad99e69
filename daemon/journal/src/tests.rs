//! What arrives at a socket in the journal's place.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;

use tempfile::TempDir;
use tracing::{error, info, info_span, warn};
use tracing_subscriber::prelude::*;

use super::*;

/// A socket where the journal would be.
struct Fake {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Fake {
    fn new() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("socket")).unwrap();
        // Only ends a test that waits for what does not come.
        let patience = std::time::Duration::from_secs(60);
        socket.set_read_timeout(Some(patience)).unwrap();
        Fake { folder, socket }
    }

    fn journal(&self) -> Journal {
        let hide: Hide = |text| text.replace("hunter2", "[hidden]").into();
        Journal::open(&self.folder.path().join("socket"), "steroidsd", hide).unwrap()
    }

    /// Runs something with its events going here.
    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let layers = tracing_subscriber::registry().with(self.journal());
        tracing::subscriber::with_default(layers, work)
    }

    /// Takes all that is there now, and tells how much that was.
    fn drain(&self) -> usize {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 20];
        let taken = std::iter::from_fn(|| self.socket.recv(&mut buffer).ok()).count();
        self.socket.set_nonblocking(false).unwrap();
        taken
    }

    /// The next entry, taken apart as the journal does.
    fn entry(&self) -> BTreeMap<String, String> {
        let mut buffer = vec![0; 1 << 20];
        let length = self.socket.recv(&mut buffer).unwrap();
        let mut rest = &buffer[..length];
        let mut fields = BTreeMap::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'=' || *b == b'\n').unwrap();
            let name = String::from_utf8(rest[..end].to_vec()).unwrap();
            let (value, after) = if rest[end] == b'=' {
                let value = &rest[end + 1..];
                let end = value.iter().position(|b| *b == b'\n').unwrap();
                (&value[..end], &value[end..])
            } else {
                let (length, value) = rest[end + 1..].split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap());
                value.split_at(usize::try_from(length).unwrap())
            };
            assert_eq!(after[0], b'\n', "a value ends with a newline");
            rest = &after[1..];
            let value = String::from_utf8(value.to_vec()).unwrap();
            let before = fields.insert(name.clone(), value);
            assert_eq!(before, None, "{name} is there twice");
        }
        fields
    }
}

#[test]
fn an_event_has_its_fields_and_those_of_what_it_happened_in() {
    let fake = Fake::new();
    fake.with(|| {
        let span = info_span!(
            "invocation",
            invocation.id = 7,
            invocation.uuid = "u-u",
            task = "T1"
        );
        let _in = span.enter();
        warn!(pid = 12, task = "T2", "two\nlines");
    });
    let entry = fake.entry();
    let expected = [
        ("MESSAGE", "two\nlines pid=12 task=T2"),
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "steroidsd"),
        ("STEROIDS_INVOCATION", "7"),
        ("STEROIDS_INVOCATION_UUID", "u-u"),
        ("STEROIDS_PID", "12"),
        ("STEROIDS_TARGET", "steroids_journal::tests"),
        ("STEROIDS_TASK", "T2"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(entry, BTreeMap::from(expected));
}

#[test]
fn secrets_are_hidden_in_each_field_also_of_spans() {
    let fake = Fake::new();
    fake.with(|| {
        let span = info_span!("invocation", project = "/home/hunter2");
        let _in = span.enter();
        error!(error = "got hunter2", "cannot use hunter2");
    });
    let entry = fake.entry();
    assert_eq!(entry["PRIORITY"], "3");
    assert_eq!(entry["STEROIDS_PROJECT"], "/home/[hidden]");
    assert_eq!(entry["MESSAGE"], "cannot use [hidden] error=got [hidden]");
    assert!(entry.values().all(|value| !value.contains("hunter2")));
}

#[test]
fn a_journal_without_room_holds_nobody_up_and_what_was_lost_is_said() {
    let fake = Fake::new();
    fake.with(|| {
        // More than a socket's queue has places for.
        for number in 0..2_000 {
            info!(number, "said");
        }
        let taken = fake.drain();
        assert!((1..2_000).contains(&taken), "{taken}");
        info!("there is room again");
        let lost = 2_000 - taken;
        let said = format!("{lost} log events were lost, the journal had no room");
        assert_eq!(fake.entry()["MESSAGE"], said);
        assert_eq!(fake.entry()["MESSAGE"], "there is room again");
    });
}

#[test]
fn long_values_are_cut_and_an_entry_fits() {
    let fake = Fake::new();
    let long = "ö".repeat(1 << 20);
    fake.with(|| info!(long, "{long}"));
    let entry = fake.entry();
    assert!(entry.values().all(|value| value.len() <= 8 << 10));
    assert!(entry["MESSAGE"].starts_with("öö"));
}

#[test]
fn the_variable_is_two_numbers() {
    assert_eq!(stream("12:34".as_ref()), Some((12, 34)));
    for wrong in ["", "12", "12:", ":34", "a:b", "12:34:56"] {
        assert_eq!(stream(wrong.as_ref()), None, "{wrong}");
    }
}
