//! Values that make no sense: each is refused before anything is asked of a daemon, and says what is wrong.

use crate::fake::Fake;
use crate::harness::{Ran, run};

/// Refused by the command line itself: no daemon is there.
fn refused(arguments: &[&str]) -> Ran {
    let ran = run(&Fake::absent(), arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    ran
}

#[test]
fn an_empty_word_is_none_and_not_the_lack_of_one() {
    let start = ["start", "--task", "T1", "--prompt", "x"];
    for flag in ["--request-id", "--provider", "--role"] {
        let ran = refused(&[&start[..], &[flag, ""]].concat());
        let said = format!("error: invalid value '' for '{flag} <");
        assert!(ran.stderr.starts_with(&said), "{ran:?}");
        assert!(
            ran.stderr.contains("it is empty, as is a variable"),
            "{ran:?}"
        );
    }
    for command in ["list", "stop", "wait", "stream", "timeline", "usage"] {
        let ran = refused(&[command, "--task", ""]);
        assert!(ran.stderr.contains("it is empty"), "{ran:?}");
        let ran = refused(&[command, "--task", " "]);
        assert!(
            ran.stderr.contains("'--task <TASK>': it is blank"),
            "{ran:?}"
        );
    }
}
