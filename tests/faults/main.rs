//! `faults`: the catalogue with what its tests have seen, as a table. With `forget` it makes the
//! tests' notes of earlier runs go, so that a table tells of one run.
//!
//! Exits with 1 when a test of the catalogue has not shown what must hold: that failed, was not run,
//! or says that it could not be shown here.

#![expect(clippy::print_stdout, reason = "a table is what it is for")]

use std::process::ExitCode;

use steroids_tests::faults::{CATALOGUE, Fault, forget, seen};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("forget") {
        forget();
        return ExitCode::SUCCESS;
    }
    let mut missing = 0;
    for (title, faults) in CATALOGUE {
        println!("\n## {title}\n\n| # | fault | must hold | seen |\n|---|---|---|---|");
        for fault in faults {
            let (text, without) = result(fault);
            missing += without;
            let Fault {
                id,
                fault,
                required,
                ..
            } = fault;
            println!("| {id} | {fault} | {required} | {text} |");
        }
    }
    if missing > 0 {
        println!("\n{missing} tests of the catalogue have shown nothing.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What was seen of a fault, and how many of its tests have shown nothing.
fn result(fault: &Fault) -> (String, usize) {
    let mut words = Vec::new();
    let mut without = 0;
    for test in fault.tests {
        match seen(fault.id, test) {
            Some(text) if !text.starts_with("not shown") => words.push(text),
            Some(text) => {
                without += 1;
                words.push(format!("**{text}**"));
            }
            None => {
                without += 1;
                words.push(format!("**not shown** by `{test}`"));
            }
        }
    }
    if fault.tests.is_empty() {
        words.push("no test".to_owned());
    }
    (words.join("; "), without)
}
