//! `make bench-check`: how many instructions a line costs the parsers and the projection, held
//! against `expected.json`. Times are noisy on machines that do other things as well; these counts
//! are the same within some tenths of a per cent.
//!
//! ```text
//! instructions [--bless]        counts, and compares; with --bless writes what was counted
//! instructions @SUBJECT ROUNDS  what callgrind runs: so many rounds of one subject
//! ```
//!
//! Each subject is run twice under callgrind, with few rounds and with more; the difference is what
//! the rounds cost, whatever the start-up was. What callgrind wrote stays in `target/instructions/`:
//! `callgrind_annotate` tells where a difference comes from.

mod subject;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use steroids_tests::binaries;

use subject::SUBJECTS;

/// Counts may be off by so much, in either direction: who made something faster says so.
const TOLERANCE: f64 = 0.03;
const FEW: u64 = 1;
const MANY: u64 = 3;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => check(false),
        ["--bless"] => check(true),
        [subject, rounds] if subject.starts_with('@') => {
            subject::run(&subject[1..], rounds.parse()?)
        }
        _ => bail!("instructions takes nothing or --bless"),
    }
}

fn check(is_blessed: bool) -> anyhow::Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    ensure!(
        valgrind.is_ok_and(|output| output.status.success()),
        "valgrind is wanted: apt install valgrind (Debian, Ubuntu), dnf install valgrind (Fedora)"
    );
    let file = binaries::workspace().join("tests/instructions/expected.json");
    let mut counted = BTreeMap::new();
    for subject in SUBJECTS {
        let more = instructions(subject, MANY)?;
        let fewer = instructions(subject, FEW)?;
        let lines = subject::lines(subject)? * (MANY - FEW);
        let per_line = (more.saturating_sub(fewer) + lines / 2) / lines;
        counted.insert((*subject).to_owned(), per_line);
    }
    if is_blessed {
        let text = serde_json::to_string_pretty(&counted)? + "\n";
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        say(&format!("{} is written", file.display()));
        return Ok(());
    }
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    compare(&serde_json::from_str(&text)?, &counted)
}

fn compare(
    expected: &BTreeMap<String, u64>,
    counted: &BTreeMap<String, u64>,
) -> anyhow::Result<()> {
    say(&format!(
        "{:<24}{:>10}{:>10}{:>9}   instructions per line",
        "", "expected", "counted", "change"
    ));
    let mut off = Vec::new();
    for (subject, counted) in counted {
        let expected = expected.get(subject).copied().unwrap_or(0);
        // What nothing is known of is off by infinitely much.
        let change = *counted as f64 / expected as f64 - 1.0;
        say(&format!(
            "{subject:<24}{expected:>10}{counted:>10}{:>8.1} %",
            change * 100.0
        ));
        if change.abs() > TOLERANCE {
            off.push(subject.as_str());
        }
    }
    ensure!(
        off.is_empty(),
        "{} differ by more than {} %: see target/instructions/ with callgrind_annotate; \
         `make bench-bless` takes the counts as they are now",
        off.join(", "),
        TOLERANCE * 100.0
    );
    Ok(())
}

/// Instructions of a whole run.
fn instructions(subject: &str, rounds: u64) -> anyhow::Result<u64> {
    let own = std::env::current_exe()?;
    let out = kept(subject, rounds)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(own)
        .arg(format!("@{subject}"))
        .arg(rounds.to_string())
        .output()?;
    ensure!(
        output.status.success(),
        "{subject}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    total(&out)
}

fn kept(subject: &str, rounds: u64) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("no target folder")?;
    let folder = target.join("instructions");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}.{rounds}.out", subject.replace(' ', "-"))))
}

/// The line `totals: N` or `summary: N` of what callgrind wrote.
fn total(out: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(out)?;
    let number = text.lines().rev().find_map(|line| {
        let rest = line.strip_prefix("totals:");
        let rest = rest.or_else(|| line.strip_prefix("summary:"))?;
        rest.trim().parse().ok()
    });
    number.with_context(|| format!("no total in {}", out.display()))
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn say(line: &str) {
    println!("{line}");
}
