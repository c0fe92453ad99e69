//! `make bench`: how fast it is and what it costs, on release binaries of this machine.
//!
//! ```text
//! bench [NAME…] [--repeats N] [--small] [--json FILE]      `bench names` lists the names
//! ```
//!
//! Each figure is the median of some repeats with its spread. Beside many stands the floor: the
//! least that a server can do ([`floor`]), measured in the same repeat by the same viewers. What
//! counts as good stands beside both; nothing is asserted. docs/benchmarks.md tells each row.
//!
//! TERM or INT end it early, and every process it had started. Four words begin programs that it runs
//! beside it: `@floor`, `@relay`, `@spool` and `@load`; `@train` is what `make profile` calls.

mod figure;
mod floor;
mod live;
mod load;
mod machine;
mod process;
mod rows;
mod scene;
mod train;

use std::future::Future;
use std::path::{Path, PathBuf};

use figure::Figure;
use machine::Machine;
use rows::{Options, ROWS};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// A daemon is told once, a machine that hangs is not waited for: longer than any step takes on a
/// machine that does much else. `STEROIDS_TEST_PATIENCE` gives other seconds.
const PATIENCE: &str = "300";

/// What was asked for.
struct Call {
    names: Vec<String>,
    options: Options,
    json: Option<PathBuf>,
}

fn main() {
    allow_descriptors();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["@floor", folder] => floor::serve(Path::new(folder)),
        ["@floor", folder, socket] => floor::serve_unix(Path::new(folder), Path::new(socket), None),
        ["@floor", folder, socket, logs] => {
            floor::serve_unix(Path::new(folder), Path::new(socket), Some(Path::new(logs)))
        }
        ["@spool", file, ref program @ ..] => floor::spool::serve(Path::new(file), program),
        ["@relay", socket] => floor::relay::serve(Path::new(socket)),
        ["@load"] => load::run(),
        ["names"] => {
            for row in ROWS {
                say(&format!("{:<6}{}", row.name, row.what));
            }
            Ok(())
        }
        _ => {
            if std::env::var_os("STEROIDS_TEST_PATIENCE").is_none() {
                again_with_patience();
            }
            return match words[..] {
                ["@train"] => until_done(train::train()),
                _ => measure(),
            };
        }
    };
    done.expect("what is served and seen here can be");
}

/// Runs the work, unless a signal comes first; with it go all homes, and with these all that was
/// started in them.
fn until_done(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs nothing");
    let is_whole = runtime.block_on(unless_told_to_end(work));
    drop(runtime);
    if !is_whole {
        std::process::exit(1);
    }
}

fn measure() {
    let call = match Call::of(std::env::args().skip(1)) {
        Ok(call) => call,
        Err(wrong) => {
            complain(&format!(
                "bench: {wrong}; `bench names` lists what there is"
            ));
            std::process::exit(2);
        }
    };
    until_done(run(&call));
}

/// The harness takes its patience from the environment, which only a new program can be given.
fn again_with_patience() {
    use std::os::unix::process::CommandExt as _;
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let error = std::process::Command::new(program)
        .args(words)
        .env("STEROIDS_TEST_PATIENCE", PATIENCE)
        .exec();
    panic!("cannot run again with more patience: {error}");
}

/// As many as the system lets, for it and for what it starts: a viewer takes one on each side.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, all).expect("a limit may be raised to its maximum");
}

/// False if a signal came first.
async fn unless_told_to_end(work: impl Future<Output = ()>) -> bool {
    let mut told = [SignalKind::terminate(), SignalKind::interrupt()]
        .map(|kind| signal(kind).expect("signals can be waited for"));
    let [terminate, interrupt] = &mut told;
    tokio::select! {
        () = work => true,
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    }
}

async fn run(call: &Call) {
    let machine = Machine::here();
    say(&machine.line());
    say(&figure::heading());
    let mut figures = Vec::new();
    for row in ROWS {
        if call.names.is_empty() || call.names.iter().any(|name| name == row.name) {
            let measured = (row.measure)(&call.options).await;
            for figure in &measured {
                say(&figure.line());
            }
            figures.extend(measured);
            // After each: who ends it early has what there was.
            if let Some(file) = &call.json {
                write(file, &machine, &figures);
            }
        }
    }
}

fn write(file: &Path, machine: &Machine, figures: &[Figure]) {
    let figures: Vec<_> = figures.iter().map(Figure::summed).collect();
    let value = serde_json::json!({ "machine": machine, "figures": figures });
    let text = format!("{value:#}\n");
    std::fs::write(file, text).expect("the file that was named can be written");
}

// === impl Call ===

impl Call {
    fn of(words: impl Iterator<Item = String>) -> Result<Call, String> {
        let mut call = Call {
            names: Vec::new(),
            options: Options {
                repeats: 3,
                is_small: false,
            },
            json: None,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--small" => call.options.is_small = true,
                "--json" => call.json = Some(words.next().ok_or("--json wants a file")?.into()),
                "--repeats" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let number = number.filter(|number| *number > 0);
                    call.options.repeats = number.ok_or("--repeats wants a number")?;
                }
                name if ROWS.iter().any(|row| row.name == name) => call.names.push(word),
                _ => return Err(format!("`{word}` is nothing to measure")),
            }
        }
        Ok(call)
    }
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "for who called it")]
fn complain(line: &str) {
    eprintln!("{line}");
}
