use super::*;
use crate::command::top::app::tests::{NOW, queued, running};

#[test]
fn what_it_does_is_on_one_line_and_acts_on_no_terminal() {
    let mut it = running("app", 1, "T1");
    assert_eq!(doing(&it, NOW), "tool 4s · cargo test --workspace");
    let live = it.live.as_mut().unwrap();
    live.last_text = "\u{1b}]0;owned\u{7}a\nb\u{202e}".to_owned();
    it.alarm = "shim does not answer".to_owned();
    assert_eq!(
        doing(&it, NOW),
        "(!) shim does not answer · tool 4s · a b\\u{202e}"
    );
    assert_eq!(
        doing(&queued(2, 1, "claude"), NOW),
        "1 of 2: daemon.max_running = 2 is reached"
    );
}

#[test]
fn who_prints_nothing_is_quiet_and_waits_for_nothing() {
    let mut it = running("app", 1, "T1");
    let live = it.live.as_mut().unwrap();
    (live.waits_for, live.last_text) = (String::new(), String::new());
    live.waits_since_ms = NOW - 59_999;
    assert_eq!(doing(&it, NOW), "");
    assert_eq!(doing(&it, NOW + 1), "quiet 1m");
    it.live.as_mut().unwrap().last_text = "the last word".to_owned();
    assert_eq!(doing(&it, NOW + 540_000), "quiet 9m · the last word");
}

#[test]
fn a_row_of_the_older_tool_says_so() {
    let mut it = running("app", 1, "T1");
    it.managed = false;
    it.live = None;
    assert_eq!(doing(&it, NOW), "run by the older tool");
    assert_eq!(last_activity(&it), None);
    assert_eq!(standing(&it, &[], false), Standing::Running);
}

#[test]
fn who_should_end_is_ending() {
    let mut it = running("app", 1, "T1");
    for word in ["ending", "result_sent"] {
        it.live.as_mut().unwrap().waits_for = word.to_owned();
        assert_eq!(standing(&it, &[], false), Standing::Ending);
    }
}

#[test]
fn who_waits_for_a_message_is_not_ending() {
    let mut it = running("app", 1, "T1");
    it.live.as_mut().unwrap().waits_for = "message".to_owned();
    assert_eq!(standing(&it, &[], false), Standing::Asking);
    assert_eq!(standing(&it, &[], true), Standing::Ending);
}

#[test]
fn who_waits_for_an_answer_is_asking_unless_that_is_to_end() {
    let mut it = running("app", 1, "T1");
    let live = it.live.as_mut().unwrap();
    live.waits_for = "unfinished_line".to_owned();
    assert_eq!(standing(&it, &[], false), Standing::Running);
    it.live.as_mut().unwrap().waits_for_person = true;
    assert_eq!(standing(&it, &[], false), Standing::Asking);
    it.live.as_mut().unwrap().limit = "silence".to_owned();
    assert_eq!(standing(&it, &[], false), Standing::Stalled);
    it.live.as_mut().unwrap().waits_for = "ending".to_owned();
    assert_eq!(standing(&it, &[], false), Standing::Ending);
}

#[test]
fn those_that_wait_stand_as_they_will_be_started() {
    let (first, second, new) = (queued(9, 1, "x"), queued(1, 2, "x"), queued(3, 0, "x"));
    let mut all = [&new, &second, &first];
    all.sort_by(|one, other| queue_order(one, other));
    let ids: Vec<_> = all.iter().map(|it| it.id).collect();
    assert_eq!(ids, [9, 1, 3]);
}
