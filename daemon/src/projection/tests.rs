mod live;
mod remake;
mod surplus;
mod waits;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use rustix::thread::CapabilitySet;
use steroids_provider::activity::Stream;
use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{Life, Limits, PROTOCOL, Spec, Turn};
use steroids_shim::spool::Writer;

use super::*;
use crate::domain::Outcome;
use crate::store::Ending;

/// A project folder and a state folder, with one invocation's files in them.
struct Bench {
    _root: tempfile::TempDir,
    spec: Arc<Spec>,
    dir: InvDir,
    logs: ActivityLogs,
    spool: Writer,
    clock: u64,
}

impl Bench {
    fn new(kind: Kind, format: Format) -> Bench {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("project");
        fs::create_dir_all(project.join(".steroids/invocations")).unwrap();
        let dir = InvDir::new(root.path(), "5d0e3c1a-0000-4000-8000-000000000001");
        fs::create_dir_all(dir.path()).unwrap();
        let opened: OwnedFd = fs::File::open(&project).unwrap().into();
        Bench {
            spec: Arc::new(spec(&project, kind, format)),
            logs: ActivityLogs::open(opened, &project),
            spool: Writer::create(&dir.spool()).unwrap(),
            dir,
            clock: 1_000,
            _root: root,
        }
    }

    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        self.clock += 7;
        self.spool
            .output(1_700_000_000_000 + self.clock, self.clock, stream, bytes)
            .unwrap();
    }

    fn exit(&self) -> ExitRecord {
        ExitRecord {
            proto: PROTOCOL,
            end: End::Ran {
                code: Some(0),
                signal: None,
                ended_by: None,
                duration_ms: self.clock,
                leftovers: 0,
            },
            ended_ms: 1_700_000_000_000 + self.clock,
            spool_length: self.spool.length(),
            rusage: None,
        }
    }

    fn projection(&self) -> Projection {
        Projection::open(
            Arc::clone(&self.spec),
            self.spec.redactor(),
            self.dir.clone(),
            self.logs.clone(),
        )
        .unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.logs.path(InvocationId::new(1).unwrap())
    }

    fn log(&self) -> Vec<u8> {
        fs::read(self.log_path()).unwrap_or_default()
    }

    /// Projects to the end, publishing what was rebuilt; the row's ending.
    fn finish(&self, projection: &mut Projection) -> Ending {
        let (ending, step) = projection.finish(&self.exit()).unwrap();
        if step == Step::Rebuilt {
            projection.publish().unwrap();
        }
        ending
    }

    /// What a projection that nobody disturbed makes of the same spool.
    fn undisturbed(&self) -> Vec<u8> {
        let _ = fs::remove_file(self.log_path());
        self.finish(&mut self.projection());
        self.log()
    }
}

fn spec(project: &std::path::Path, kind: Kind, format: Format) -> Spec {
    Spec {
        proto: PROTOCOL,
        uuid: "5d0e3c1a-0000-4000-8000-000000000001".into(),
        invocation: 1,
        project: project.into(),
        project_folder: None,
        task: "t".into(),
        role: "coder".into(),
        provider: kind.as_str().into(),
        kind,
        format,
        model: String::new(),
        resume: None,
        request_id: "r".into(),
        request_hash: String::new(),
        argv: vec!["/bin/true".into()],
        env: Vec::new(),
        cwd: project.into(),
        prompt: String::new(),
        interactive: false,
        leave_background: false,
        limits: Limits {
            silence_ms: None,
            tool_silence_ms: None,
            wall_ms: None,
            post_result_ms: None,
            grace_ms: 1,
            life: Life::default(),
        },
        redaction: None,
        mapping: None,
        budget: None,
        resources: steroids_shim::spec::Resources::default(),
        zone: None,
        created_ms: 1_700_000_000_000,
        boot_id: String::new(),
        socket: "/nowhere".into(),
        turn: Turn::default(),
        requested: None,
    }
}

fn lines(log: &[u8]) -> Vec<serde_json::Value> {
    log.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// A run with everything that makes resuming hard: lines split over chunks, joined deltas, an open
/// tool call, stderr between two halves of a line.
fn print_hard_run(bench: &mut Bench) {
    let events = concat!(
        r#"{"type":"init","session_id":"s-1","model":"m"}"#,
        "\n",
        r#"{"type":"message","role":"assistant","content":"Zwölf Bo","delta":true}"#,
        "\n",
        r#"{"type":"message","role":"assistant","content":"xkämpfer jagen","delta":true}"#,
        "\n",
        r#"{"type":"tool_use","tool_name":"run_shell_command","tool_id":"t1","parameters":{"command":"make"}}"#,
        "\n",
        r#"{"type":"tool_result","tool_id":"t1","status":"success","output":"ok"}"#,
        "\n",
        r#"{"type":"message","role":"assistant","content":"Done.","delta":true}"#,
        "\n",
        r#"{"type":"result","status":"success","stats":{"input_tokens":3,"output_tokens":4,"cached":0,"input":3}}"#,
        "\n",
    );
    for (i, chunk) in events.as_bytes().chunks(23).enumerate() {
        bench.print(Stream::Stdout, chunk);
        if i % 3 == 1 {
            bench.print(Stream::Stderr, b"noise ");
        }
        if i % 5 == 4 {
            bench.print(Stream::Stderr, "größer\n".as_bytes());
        }
    }
}

#[test]
fn a_log_begins_with_start_and_ends_with_one_terminal_line() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\ntwo");
    let mut projection = bench.projection();
    let ending = bench.finish(&mut projection);
    let lines = lines(&bench.log());
    let types: Vec<_> = lines.iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["start", "output", "output", "complete"]);
    assert_eq!(lines[0]["ts"], 1_700_000_000_000_u64);
    assert_eq!(lines[1]["ts"], 1_700_000_001_007_u64);
    assert!(lines[1]["raw"].as_u64() <= lines[2]["raw"].as_u64());
    assert_eq!((ending.outcome, ending.exit_code), (Outcome::Success, 0));
}

#[test]
fn a_projection_cut_at_every_byte_of_its_log_makes_the_same_log() {
    let mut bench = Bench::new(Kind::Gemini, Format::Json);
    print_hard_run(&mut bench);
    let whole = bench.undisturbed();
    assert!(lines(&whole).len() > 6);
    // Every byte of the last lines, and every place in a line further up: each cut costs a sync.
    let last = whole.len() - 400;
    for cut in (0..last).step_by(13).chain(last..=whole.len()) {
        fs::write(bench.log_path(), &whole[..cut]).unwrap();
        let mut projection = bench.projection();
        let (_, step) = projection.finish(&bench.exit()).unwrap();
        assert_ne!(step, Step::Rebuilt, "cut at {cut}");
        assert!(bench.log() == whole, "cut at {cut}");
    }
}

#[test]
fn a_log_that_is_not_what_the_spool_says_is_written_anew() {
    let mut bench = Bench::new(Kind::Gemini, Format::Json);
    print_hard_run(&mut bench);
    let whole = bench.undisturbed();
    let mut other = whole.clone();
    let at = other.len() / 2;
    other[at] ^= 1;
    fs::write(bench.log_path(), &other).unwrap();
    let mut projection = bench.projection();
    let (_, step) = projection.finish(&bench.exit()).unwrap();
    assert_eq!(step, Step::Rebuilt);
    assert_eq!(
        bench.log(),
        other,
        "nothing is seen of it before it is published"
    );
    projection.publish().unwrap();
    assert_eq!(bench.log(), whole);
}

#[test]
fn what_somebody_put_after_the_terminal_line_goes() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    let whole = bench.undisturbed();
    let last = whole.split_inclusive(|byte| *byte == b'\n').next_back();
    for more in [&b"more\n"[..], last.unwrap()] {
        fs::write(bench.log_path(), [&whole, more].concat()).unwrap();
        bench.finish(&mut bench.projection());
        assert_eq!(bench.log(), whole);
    }
}

#[test]
fn a_log_deleted_in_the_middle_comes_back_whole() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    let mut projection = bench.projection();
    assert_eq!(
        projection.advance().unwrap(),
        Step::UpToDate { appended: true }
    );
    fs::remove_file(bench.log_path()).unwrap();
    bench.print(Stream::Stdout, b"two\n");
    assert_eq!(projection.advance().unwrap(), Step::Rebuilt);
    projection.publish().unwrap();
    bench.print(Stream::Stdout, b"three\n");
    bench.finish(&mut projection);
    let log = bench.log();
    assert_eq!(lines(&log).len(), 5);
    assert_eq!(log, bench.undisturbed());
}

#[test]
fn what_a_lost_provider_printed_is_kept_and_the_last_line_says_lost() {
    let mut bench = Bench::new(Kind::Gemini, Format::Json);
    bench.print(
        Stream::Stdout,
        br#"{"type":"message","role":"assistant","content":"half a sen","delta":true}"#,
    );
    bench.print(Stream::Stdout, b"\n{\"type\":\"resu");
    let exit = ExitRecord {
        end: End::Lost {
            error: "shim lost".into(),
        },
        ..bench.exit()
    };
    let mut projection = bench.projection();
    let (ending, _) = projection.finish(&exit).unwrap();
    let lines = lines(&bench.log());
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "error");
    assert_eq!(last["outcome"], "lost");
    assert!(lines.iter().any(|line| line["msg"] == "half a sen"));
    assert!(lines.iter().any(|line| line["type"] == "unknown"));
    assert!(lines.iter().all(|line| line["type"] != "complete"));
    assert_eq!((ending.outcome, ending.exit_code), (Outcome::Lost, -1));
}

#[test]
fn a_damaged_spool_is_projected_up_to_the_damage_and_says_so() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"good\n");
    let good = usize::try_from(bench.spool.length()).unwrap();
    bench.print(Stream::Stdout, b"bad\n");
    bench.print(Stream::Stdout, b"unreachable\n");
    let mut bytes = fs::read(bench.dir.spool()).unwrap();
    for byte in &mut bytes[good..good + 4] {
        *byte ^= 0xff;
    }
    fs::write(bench.dir.spool(), bytes).unwrap();
    let mut projection = bench.projection();
    bench.finish(&mut projection);
    let lines = lines(&bench.log());
    let types: Vec<_> = lines.iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["start", "output", "notice", "complete"]);
    assert!(
        lines[2]["msg"]
            .as_str()
            .unwrap()
            .contains("damaged at byte")
    );
}

#[test]
fn a_spool_shorter_than_its_record_says_so() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"good\n");
    let good = bench.spool.length();
    bench.print(Stream::Stdout, b"gone\n");
    let spool = fs::OpenOptions::new().write(true).open(bench.dir.spool());
    spool.unwrap().set_len(good + 9).unwrap();
    bench.finish(&mut bench.projection());
    let lines = lines(&bench.log());
    let types: Vec<_> = lines.iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["start", "output", "notice", "complete"]);
}

#[test]
fn neither_raw_nor_time_falls_where_more_was_printed_than_the_record_of_the_end_says() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    let short = bench.exit();
    bench.print(Stream::Stdout, b"two\n");
    let exit = ExitRecord {
        end: End::Lost {
            error: "shim lost".into(),
        },
        ..short
    };
    bench.projection().finish(&exit).unwrap();
    let lines = lines(&bench.log());
    assert_eq!(lines.len(), 4);
    assert!(lines.is_sorted_by_key(|line| line["raw"].as_u64()));
    assert!(lines.is_sorted_by_key(|line| line["ts"].as_u64()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the daemon dies while the provider prints, the log is the undisturbed one.
    #[test]
    fn dying_between_any_two_steps_changes_nothing(
        pieces in prop::collection::vec((any::<bool>(), "[a-zäß\\n{}\"]{0,40}", 0..4_u8), 1..40),
        tear in prop::collection::vec(0..64_usize, 8),
    ) {
        let mut bench = Bench::new(Kind::Command, Format::Text);
        let mut projection = bench.projection();
        let mut deaths = tear.iter();
        for (stdout, text, then) in &pieces {
            let stream = if *stdout { Stream::Stdout } else { Stream::Stderr };
            bench.print(stream, text.as_bytes());
            match then {
                0 => {}
                1 | 2 => { projection.advance().unwrap(); }
                _ => {
                    projection.advance().unwrap();
                    drop(projection);
                    // A crash leaves a log that ends anywhere.
                    let log = bench.log();
                    let torn = log.len().saturating_sub(*deaths.next().unwrap_or(&0));
                    fs::write(bench.log_path(), &log[..torn]).unwrap();
                    projection = bench.projection();
                }
            }
        }
        bench.finish(&mut projection);
        let disturbed = bench.log();
        prop_assert_eq!(disturbed, bench.undisturbed());
    }
}

#[test]
fn whatever_stands_in_the_logs_place_is_replaced_and_left_as_it_is() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    let precious = bench.dir.path().join("precious");
    fs::write(&precious, "kept").unwrap();
    let path = bench.log_path();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    bench.finish(&mut bench.projection());
    let linked = String::from_utf8(bench.log()).unwrap();
    assert_eq!(linked.lines().count(), 3, "{linked}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "kept");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    bench.finish(&mut bench.projection());
    assert_eq!(bench.log(), linked.as_bytes());
}

/// Runs without the privilege that lets root open whatever it wants. It is a matter of the thread.
fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let mut sets = rustix::thread::capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::DAC_OVERRIDE);
            rustix::thread::set_capabilities(None, sets).unwrap();
            work()
        });
        working.join().unwrap()
    })
}

#[test]
fn a_log_that_may_not_be_written_is_made_anew() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    let path = bench.log_path();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    bench.projection().advance().unwrap();
    mode(0o400);
    unprivileged(|| {
        let mut projection = bench.projection();
        let why = projection.take_rebuilt_for();
        assert_eq!(why.as_deref(), Some("its mode was changed"));
        bench.finish(&mut projection);
    });
    assert_eq!(bench.log(), bench.undisturbed());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}
