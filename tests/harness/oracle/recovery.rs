//! What a crash, or somebody, left of a log: cut to whole lines, and made again from its spool.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::{End, ExitRecord, Reason};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::spool::{Control, Writer};
use steroidsd::activity_log::{ActivityLogs, MAX_LINE, Recovered, Step as Read, Tail, is_valid};
use steroidsd::domain::{InvocationId, Offset};
use steroidsd::projection::{Projection, Step};

use super::log_line::{self, Object};
use super::scratch;
use super::script::{Piece, Script};
use super::spool::tamper;
use crate::reproject::reprojected;
use crate::spec::plain_spec;

/// Recovery cuts a log to its whole lines and says what the last ones are; a projection makes of
/// any log the one that its spool says, whatever was done to it before and meanwhile, and leaves
/// alone what is whole.
///
/// The script: zero, then a log; or what runs and how it ends, what is done to the log, then what
/// was printed.
pub fn recovery(input: &[u8]) {
    let mut script = Script::new(input);
    let what = script.byte();
    let folder = scratch();
    let bench = Bench::new(folder.path());
    if what == 0 {
        bench.recover(script.rest());
    } else {
        bench.project(what, &mut script);
    }
}

/// A project folder and a state folder, for one invocation.
struct Bench<'a> {
    root: &'a Path,
    dir: InvDir,
    logs: ActivityLogs,
    id: InvocationId,
}

/// What recovery should find, told from the whole file, forwards.
fn expected(log: &[u8]) -> Recovered {
    let len = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines: Vec<&[u8]> = log[..len]
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| &line[..line.len() - 1])
        .collect();
    let last = lines.last().copied().unwrap_or_default();
    let object: Option<Object> = serde_json::from_slice(last).ok();
    let is_whole = last.len() <= MAX_LINE && is_valid(last);
    let tail = raw(last).filter(|_| is_whole).map(|raw_of_last| Tail {
        raw: raw_of_last,
        lines: lines
            .iter()
            .rev()
            .take_while(|line| raw(line) == Some(raw_of_last))
            .count() as u64,
        is_terminal: object.is_some_and(|it| ends_log(&it)),
    });
    Recovered {
        len: Offset::new(len as u64),
        cut: (log.len() - len) as u64,
        tail,
    }
}

/// By its type. Two lines of ours that have become one, for want of what stood between them, are of the
/// first one's; any other that tells its time or type twice is of none.
fn ends_log(line: &Object) -> bool {
    let first: Vec<_> = line.0.iter().take(2).map(|(key, _)| key.as_str()).collect();
    let (times, kinds) = (line.all("ts"), line.all("type"));
    let begins_as_ours = first == ["ts", "type"] && times[0].is_i64();
    let is_plain = kinds.len() == 1
        && times.len() <= 1
        && times.iter().all(|ts| ts.is_number() || ts.is_null());
    let kind = kinds.first().and_then(|kind| kind.as_str());
    (begins_as_ours || is_plain) && matches!(kind, Some("complete" | "error"))
}

/// The number with which a line of ours ends.
fn raw(line: &[u8]) -> Option<u64> {
    let text = line.strip_suffix(b"}")?;
    let digits = text.rsplit(|byte| !byte.is_ascii_digit()).next()?;
    let before = &text[..text.len() - digits.len()];
    // Only the last bytes of a line are looked at, and no number of ours is longer.
    let is_ours = before.ends_with(b",\"raw\":") && digits.len() <= 24;
    is_ours.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

// === impl Bench ===

impl Bench<'_> {
    fn new(root: &Path) -> Bench<'_> {
        let project = root.join("project");
        let dir = InvDir::new(root, "5d0e3c1a-0000-4000-8000-000000000001");
        for folder in [&project.join(".steroids/invocations"), dir.path()] {
            fs::create_dir_all(folder).expect("a folder can be made");
        }
        let opened: OwnedFd = File::open(&project).expect("it was just made").into();
        Bench {
            root,
            dir,
            logs: ActivityLogs::open(opened, &project),
            id: InvocationId::new(1).expect("one is positive"),
        }
    }

    fn log(&self) -> Vec<u8> {
        fs::read(self.logs.path(self.id)).unwrap_or_default()
    }

    fn put(&self, log: &[u8]) {
        fs::write(self.logs.path(self.id), log).expect("the log can be written");
    }

    fn recover(&self, log: &[u8]) {
        self.put(log);
        let expected = expected(log);
        let whole = &log[..expected.len.get() as usize];
        let found = self.logs.recover(self.id).expect("it can be read");
        assert_eq!(found, Some(expected));
        assert_eq!(self.log(), whole);
        let again = Recovered { cut: 0, ..expected };
        let found = self.logs.recover(self.id).expect("it can be read");
        assert_eq!(found, Some(again), "it is no longer as it was left");
        self.read(whole);
    }

    /// What a reader gives is what stands there, but for lines that are too long.
    fn read(&self, whole: &[u8]) {
        let reader = self.logs.reader(self.id, Offset::START);
        let mut reader = reader.expect("it can be opened");
        let mut at = 0;
        loop {
            match reader.next_batch(64).expect("it can be read") {
                Read::Batch(batch) => {
                    assert_eq!(batch.first.get(), at as u64);
                    assert_eq!(batch.bytes, &whole[at..at + batch.bytes.len()]);
                    assert!(batch.bytes.ends_with(b"\n"));
                    at += batch.bytes.len();
                }
                Read::TooLong { first, next } => {
                    assert_eq!(first.get(), at as u64);
                    assert!(next.get() - first.get() > MAX_LINE as u64);
                    at = next.get() as usize;
                }
                Read::End => break,
                Read::Broken(why) => panic!("nobody changed it: {why:?}"),
            }
        }
        assert_eq!(at, whole.len());
    }

    fn project(&self, what: u8, script: &mut Script<'_>) {
        let how = script.byte();
        let edits: Vec<_> = (0..how % 4)
            .map(|_| (script.byte(), script.number(), script.byte()))
            .collect();
        let damage = (how & 0x40 != 0).then(|| (script.byte(), script.number(), script.byte()));
        let pieces = script.pieces();
        let spec = Arc::new(self.spec(what));
        spec.store(&self.dir).expect("the spec can be written");
        let mut spool = Writer::create(&self.dir.spool()).expect("it is the first");

        // It dies in the middle, and somebody changes its log.
        let middle = pieces.len() / 2;
        print(&mut spool, &pieces[..middle], 0);
        let mut projection = self.open(&spec);
        let advanced = projection.advance().expect("it can be written");
        assert!(matches!(advanced, Step::UpToDate { .. } | Step::More));
        drop(projection);
        let mut log = self.log();
        for edit in &edits {
            tamper(&mut log, *edit);
        }
        self.put(&log);
        print(&mut spool, &pieces[middle..], middle);
        let exit = exit(what, spool.length());
        exit.store(&self.dir).expect("the record can be written");
        if let Some(edit) = damage {
            let mut bytes = fs::read(self.dir.spool()).expect("it is there");
            tamper(&mut bytes, edit);
            fs::write(self.dir.spool(), bytes).expect("it can be changed");
        }

        self.finish(&spec, &exit);
        let made = self.log();
        let lines = log_line::lines(&made);
        let last = lines.last().expect("there is an end").kind.as_str();
        assert_eq!(
            last,
            if exit.facts().is_some() {
                "complete"
            } else {
                "error"
            }
        );
        if damage.is_none() {
            assert!(
                made == reprojected(self.dir.path()),
                "not what the spool says"
            );
        }
        self.again(&spec, &exit, &made, &edits);
    }

    /// A log that is whole is left alone, and a torn one comes to the same.
    fn again(&self, spec: &Arc<Spec>, exit: &ExitRecord, made: &[u8], edits: &[(u8, u16, u8)]) {
        assert_ne!(self.finish(spec, exit), Step::Rebuilt);
        assert!(self.log() == made, "the second time it is another");
        let tail = self.logs.recover(self.id).expect("it can be read");
        let tail = tail.and_then(|found| found.tail).expect("it has an end");
        assert!(tail.is_terminal);
        let mut log = made.to_vec();
        for edit in edits {
            tamper(&mut log, *edit);
        }
        self.put(&log);
        let is_torn = made.starts_with(&log);
        let step = self.finish(spec, exit);
        assert!(
            !is_torn || step != Step::Rebuilt,
            "a torn log is gone on with"
        );
        assert!(self.log() == made, "the changed one comes to another");
    }

    fn open(&self, spec: &Arc<Spec>) -> Projection {
        Projection::open(
            Arc::clone(spec),
            spec.redactor(),
            self.dir.clone(),
            self.logs.clone(),
        )
        .expect("nothing stands in its way")
    }

    fn finish(&self, spec: &Arc<Spec>, exit: &ExitRecord) -> Step {
        let mut projection = self.open(spec);
        let (_, step) = projection.finish(exit).expect("it can be written");
        if step == Step::Rebuilt {
            projection.publish().expect("it can be published");
        }
        assert!(projection.is_published());
        step
    }

    fn spec(&self, what: u8) -> Spec {
        let kind = Kind::ALL[usize::from(what) % Kind::ALL.len()];
        let mapping = (kind == Kind::Jsonl).then(super::provider::mapping);
        let format = if what & 4 == 0 {
            Format::Json
        } else {
            Format::Text
        };
        Spec {
            mapping,
            invocation: self.id.get(),
            ..plain_spec(&self.root.join("project"), kind, format)
        }
    }
}

fn print(spool: &mut Writer, pieces: &[Piece], before: usize) {
    for (n, (stream, bytes)) in pieces.iter().enumerate() {
        let mono_ms = ((before + n) * 7) as u64;
        let wall_ms = 1_700_000_000_000 + mono_ms;
        if (before + n) % 5 == 4 {
            let msg = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let said = spool.control(wall_ms, mono_ms, &Control::Input { msg });
            said.expect("it can be written");
        }
        let printed = spool.output(wall_ms, mono_ms, *stream, bytes);
        printed.expect("it can be written");
    }
}

fn exit(what: u8, spool_length: u64) -> ExitRecord {
    let ran = |code, signal, ended_by| End::Ran {
        code,
        signal,
        ended_by,
        duration_ms: 4_321,
        leftovers: 0,
    };
    ExitRecord {
        proto: PROTOCOL,
        end: match what / 8 % 8 {
            0 | 1 => ran(Some(0), None, None),
            2 => ran(Some(1), None, None),
            3 => ran(None, Some(15), Some(Reason::Stop)),
            4 => ran(None, Some(9), Some(Reason::PostResult)),
            5 => ran(None, Some(9), Some(Reason::Silence)),
            6 => End::never_started("claude: No such file or directory"),
            _ => End::Lost {
                error: "shim lost".into(),
            },
        },
        ended_ms: 1_700_000_009_000,
        spool_length,
        rusage: None,
    }
}
