//! The catalogue itself: numbers are given once, a test that it names is there, and
//! `docs/faults.md` is made from it (written anew with `STEROIDS_BLESS=1`).

use std::collections::BTreeSet;
use std::fs;

use steroids_tests::binaries::workspace;
use steroids_tests::faults;

#[test]
fn every_number_is_given_once() {
    let mut given = BTreeSet::new();
    for fault in faults::all() {
        assert!(given.insert(fault.id), "{} is given twice", fault.id);
    }
}

#[test]
fn every_test_it_names_is_there_and_says_what_it_saw() {
    let mut wrong = Vec::new();
    for fault in faults::all() {
        for test in fault.tests {
            let Some(source) = source(test) else {
                wrong.push(format!("{}: no file of {test}", fault.id));
                continue;
            };
            let name = test.rsplit("::").next().unwrap();
            if !source.contains(&format!("fn {name}(")) {
                wrong.push(format!("{}: no test {test}", fault.id));
            }
            if !source.contains(&format!("held({},", fault.id)) {
                wrong.push(format!("{}: its file never says that it held", fault.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_documentation_lists_it() {
    let mut text = String::from(
        "# Faults, and what must hold\n\n\
         What can happen to a daemon on somebody's machine, and the tests that show what holds then; how that is brought\n\
         about is told in [reliability.md](reliability.md). `make test-faults` runs them in their long forms and prints this\n\
         list with what was seen. Numbers are names: they have gaps.\n\n\
         Generated from `tests/harness/faults/`; `STEROIDS_BLESS=1 cargo test -p steroids-tests faults::catalogue` writes it anew.\n",
    );
    for (title, faults) in faults::CATALOGUE {
        text.push_str(&format!(
            "\n## {title}\n\n| # | fault | must hold | shown by |\n|---|---|---|---|\n"
        ));
        for fault in faults {
            let tests: Vec<_> = fault.tests.iter().map(|test| format!("`{test}`")).collect();
            let (id, what, required) = (fault.id, fault.fault, fault.required);
            let tests = tests.join("<br>");
            text.push_str(&format!("| {id} | {what} | {required} | {tests} |\n"));
        }
    }
    let path = workspace().join("docs/faults.md");
    if std::env::var_os("STEROIDS_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/faults.md is out of date; write it anew with STEROIDS_BLESS=1"
    );
}

/// The file of a test, by its path.
fn source(test: &str) -> Option<String> {
    let (module, _) = test.rsplit_once("::")?;
    let path = workspace()
        .join("tests/cases")
        .join(module.replace("::", "/"));
    let beside = fs::read_to_string(path.with_extension("rs"));
    beside
        .or_else(|_| fs::read_to_string(path.join("mod.rs")))
        .ok()
}
