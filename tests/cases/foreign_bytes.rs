//! Whatever reads foreign bytes, held to its oracle: by what `make fuzz` begins with, and by that
//! changed at random. What this finds in seconds need not wait for somebody who fuzzes for hours.

use std::collections::BTreeSet;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use steroids_tests::binaries::workspace;
use steroids_tests::oracle::{self, Oracle, seeds};

/// Of a seed at most so much: enough to go on behind what is damaged, and quick.
const LONGEST: usize = 1_500;

/// What is done to a seed.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    /// From there on, another seed.
    GoOn(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"\n\r\"{}[],:\\.0_-"[..])
    ];
    prop_oneof![
        4 => (any::<Index>(), byte.clone()).prop_map(|(at, to)| Change::Set(at, to)),
        2 => (any::<Index>(), vec(byte, 1..6)).prop_map(|(at, what)| Change::Insert(at, what)),
        2 => (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        1 => any::<(Index, Index)>().prop_map(|(at, other)| Change::GoOn(at, other)),
    ]
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>, seeds: &[(String, Vec<u8>)]) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        let part = |at: &Index, count: usize| {
            let at = place(at);
            at..(at + count).min(bytes.len())
        };
        match self {
            Change::Set(at, to) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *to;
                }
            }
            Change::Insert(at, what) => {
                let at = place(at);
                bytes.splice(at..at, what.iter().copied());
            }
            Change::Remove(at, count) => {
                bytes.drain(part(at, *count));
            }
            Change::Repeat(at, count) => {
                let part = part(at, *count);
                let repeated = bytes[part.clone()].to_vec();
                bytes.splice(part.end..part.end, repeated);
            }
            Change::GoOn(at, other) => {
                let at = place(at);
                let (_, other) = &seeds[other.index(seeds.len())];
                bytes.truncate(at);
                bytes.extend(other.iter().skip(at).take(LONGEST));
            }
        }
    }
}

/// Gives an oracle its seeds, and so many others made from them.
fn hold(name: &str, cases: u32) {
    let (_, oracle): (_, Oracle) = oracle::ALL.into_iter().find(|it| it.0 == name).unwrap();
    let mut seeds = seeds::of(name).unwrap();
    for (seed, bytes) in &mut seeds {
        let input: &[u8] = bytes;
        let held = std::panic::catch_unwind(|| oracle(input));
        assert!(held.is_ok(), "not with the seed {seed}");
        bytes.truncate(LONGEST);
    }
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let inputs = (any::<Index>(), vec(change(), 0..6));
    let held = runner.run(&inputs, |(seed, changes)| {
        let mut bytes = seeds[seed.index(seeds.len())].1.clone();
        for change in &changes {
            change.make(&mut bytes, &seeds);
        }
        oracle(&bytes);
        Ok(())
    });
    held.unwrap();
}

#[test]
fn what_a_provider_prints_comes_out_whole_however_it_was_cut() {
    hold("provider", 60);
}

#[test]
fn a_spool_is_read_to_its_first_bad_record() {
    hold("spool", 100);
}

#[test]
fn a_log_comes_to_what_its_spool_says_whatever_was_done_to_it() {
    hold("recovery", 60);
}

#[test]
fn two_lines_that_have_become_one_are_of_the_first_ones_type() {
    let lines = [
        r#"{"ts":1700000000001,"type":"usage","raw":31700000000002,"type":"complete","raw":4}"#,
        r#"{"ts":1700000000001,"type":"complete","raw":31700000000002,"type":"usage","raw":4}"#,
        r#"{"ts":1700000000001,"ts":1700000000002,"type":"complete","raw":4}"#,
    ];
    for line in lines {
        oracle::recovery(format!("\0{line}\n").as_bytes());
    }
}

#[test]
fn a_cursor_is_read_as_it_is_written_and_nothing_else_is_read() {
    hold("cursor", 2_000);
}

#[test]
fn a_configuration_is_understood_alike_by_all_who_read_it() {
    hold("config", 200);
}

#[test]
fn what_a_daemon_and_a_shim_tell_each_other_reads_back() {
    hold("protocol", 300);
}

/// Nothing here compiles the fuzz targets: libFuzzer wants C++, and they a lock file and a target
/// folder of their own, in which the workspace would be built once more. So all that they hold is a
/// call of an oracle, whose name and type are known here.
#[test]
fn a_fuzz_target_is_a_call_of_its_oracle_and_no_more() {
    let names: BTreeSet<String> = oracle::ALL.iter().map(|it| it.0.to_owned()).collect();
    let fuzz = workspace().join("tests/fuzz");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(fuzz.join("fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let expected = format!(
            "//! Gives the oracle what libFuzzer comes upon.\n\n#![no_main]\n\n\
             use libfuzzer_sys::fuzz_target;\nuse steroids_tests::oracle;\n\n\
             fuzz_target!(|bytes: &[u8]| oracle::{name}(bytes));\n"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{path:?}");
        files.insert(name);
    }
    assert_eq!(files, names, "the targets' files");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap().iter();
    let bins: BTreeSet<(String, String)> = bins
        .map(|bin| {
            let text = |key: &str| bin[key].as_str().unwrap().to_owned();
            (text("name"), text("path"))
        })
        .collect();
    let expected = names.iter().map(|name| {
        let path = format!("fuzz_targets/{name}.rs");
        (name.clone(), path)
    });
    assert_eq!(bins, expected.collect(), "the targets of the manifest");
    let makefile = fs::read_to_string(workspace().join("Makefile")).unwrap();
    let mut lines = makefile.lines();
    let line = lines.find_map(|line| line.strip_prefix("FUZZ_TARGETS ?="));
    let made = line.unwrap().split_whitespace().map(str::to_owned);
    assert_eq!(made.collect::<BTreeSet<_>>(), names, "those of `make fuzz`");
}
