//! What goes on behind the result of its call.

use super::*;

#[test]
fn background_tasks_hold_until_they_are_said_to_be_over() {
    let mut session = Session::of(&[
        calls(
            "a",
            "Bash",
            json!({"command": "x", "run_in_background": true}),
        ),
        json!({"type": "system", "subtype": "task_started", "task_id": "t", "tool_use_id": "a"}),
        answers("a", json!("running"), false),
        good("waiting"),
    ]);
    let vitals = session.decoder.vitals();
    assert_eq!(
        (vitals.open_tools, vitals.background, vitals.result_seen),
        (0, 1, true)
    );
    let update = json!({"type": "system", "subtype": "task_updated", "task_id": "t", "patch": {"status": "running"}});
    session.line(&update.to_string());
    assert_eq!(session.decoder.vitals().background, 1);
    let over = json!({"type": "system", "subtype": "task_notification", "task_id": "t", "tool_use_id": "a",
        "status": "failed", "summary": "it failed"});
    session.line(&over.to_string());
    let vitals = session.decoder.vitals();
    assert_eq!((vitals.background, vitals.result_seen), (0, true));
    let lines = session.lines();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["level"], &last["msg"]),
        (&json!("notice"), &json!("warn"), &json!("it failed"))
    );
}

#[test]
fn what_a_result_says_to_have_begun_goes_on_behind_it() {
    let result = |details| {
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "a", "content": "started"}]},
            "tool_use_result": details})
    };
    let of = |details| {
        let session = Session::of(&[
            calls("a", "Monitor", json!({"command": "x"})),
            json!({"type": "system", "subtype": "task_started", "task_id": "t", "tool_use_id": "a"}),
            result(details),
            good("waiting"),
        ]);
        session.decoder.vitals().background
    };
    // Monitor of 2.1.260; a task that runs elsewhere.
    assert_eq!(
        of(json!({"taskId": "t", "timeoutMs": 1000, "persistent": false})),
        1
    );
    assert_eq!(of(json!({"status": "remote_launched"})), 1);
    // As long as the session: nobody waits for its end.
    assert_eq!(of(json!({"taskId": "t", "persistent": true})), 0);
    // Another's, as a change of the plan has it; and a subagent that has ended.
    assert_eq!(of(json!({"taskId": "1", "success": true})), 0);
    assert_eq!(of(json!({"status": "completed", "agentId": "t"})), 0);
}
