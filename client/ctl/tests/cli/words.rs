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
    for flag in [
        "--request-id",
        "--provider",
        "--role",
        "--model",
        "--resume",
    ] {
        let ran = refused(&[&start[..], &[flag, ""]].concat());
        let said = format!("error: invalid value '' for '{flag} <");
        assert!(ran.stderr.starts_with(&said), "{ran:?}");
        assert!(
            ran.stderr.contains("it is empty, as is a variable"),
            "{ran:?}"
        );
    }
    let ran = refused(&["send", "1", "x", "--message-id", ""]);
    assert!(ran.stderr.contains("it is empty"), "{ran:?}");
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

#[test]
fn a_value_that_begins_with_a_dash_is_answered_by_its_own_flag() {
    let start = ["start", "--task", "T1", "--prompt", "x"];
    let wall = refused(&[&start[..], &["--wall", "-5s"]].concat());
    let said = "error: invalid value '-5s' for '--wall <TIME>': a duration is a number with a unit";
    assert!(wall.stderr.starts_with(said), "{wall:?}");
    let tail = refused(&["stream", "1", "--tail", "-1"]);
    let said = "error: invalid value '-1' for '--tail <LINES>': ";
    assert!(tail.stderr.starts_with(said), "{tail:?}");
    // A task may be called so.
    let tip = "if '-x' is a value, use '--task=-x'";
    let task = refused(&["list", "--task", "-x"]);
    assert!(task.stderr.contains(tip), "{task:?}");
    assert!(!task.stderr.contains("use '-- -x'"), "{task:?}");
    let json = refused(&["list", "--task", "-x", "--json"]);
    assert!(
        json.stderr.contains(&format!(r#""hint":"{tip}""#)),
        "{json:?}"
    );
    let none = refused(&["list", "--running", "-x"]);
    assert!(!none.stderr.contains("is a value"), "{none:?}");
}
