//! The catalogue itself: numbers are given once, and a test that it names is there.

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
