//! Which ones a command means: several at once, and what there is not.

use crate::harness::run;
use crate::reading::three;

#[test]
fn several_are_shown_in_their_order_and_what_is_missing_is_told() {
    let fake = three();
    let one = |id: &str, more: &[&str]| run(&fake, &[&["show", id][..], more].concat()).stdout;
    let ran = run(&fake, &["show", "2", "1"]);
    let both = format!("{}\n{}", one("2", &[]), one("1", &[]));
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (0, both, ""));

    let ran = run(&fake, &["show", "2", "9", "1", "--json"]);
    let json = one("2", &["--json"]) + &one("1", &["--json"]);
    assert_eq!((ran.code, ran.stdout), (3, json), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("there is no invocation 9"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_list_of_a_task_that_there_is_not_fails() {
    let fake = three();
    for more in [&[][..], &["-q"], &["--json"]] {
        fake.world(|world| {
            let no = tonic::Status::not_found("there is no task NOPE");
            world.refuse = Some(("follow", no));
        });
        let ran = run(&fake, &[&["list", "--task", "NOPE"], more].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
        assert!(ran.stderr.contains("there is no task NOPE"), "{ran:?}");
    }
    // Of one that there is nothing was meant by the other words.
    let ran = run(&fake, &["list", "--task", "T1", "--status", "timeout"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (0, "no such invocations\n")
    );
}
