//! The objects in a stream that are no lines of a log, as text: what the older tool's viewers know,
//! and what is wrong. They have no id, so a reader's place stays where it was.

use serde_json::Value;
use steroids_client::Refusal;
use tonic::Status;

use crate::answer::{NO_PROJECT, is_no_project};

/// Nothing of the task runs.
pub(super) fn no_active_invocation(task: &str) -> String {
    let task = Value::from(task);
    format!(r#"{{"type":"no_active_invocation","taskId":{task}}}"#)
}

/// It runs, and has no log yet.
pub(super) fn waiting_for_log(task: &str, id: i64) -> String {
    let task = Value::from(task);
    format!(r#"{{"type":"waiting_for_log","taskId":{task},"invocationId":{id}}}"#)
}

/// It runs, and no log came.
pub(super) fn log_not_found(task: &str, id: i64) -> String {
    let task = Value::from(task);
    format!(r#"{{"type":"log_not_found","taskId":{task},"invocationId":{id}}}"#)
}

/// The place a reader was at is gone, and what follows begins at the log's start.
pub(super) fn lost_place(id: i64, cursor: &str) -> String {
    let lost = Value::from(cursor);
    format!(
        r#"{{"invocationId":{id},"type":"gap","reason":"cursor","lost":{lost},"resumesAt":0,"msg":"the log has no such place any more; it follows from its start"}}"#
    )
}

/// The place a reader was at among a project's lifecycle events is gone.
pub(super) fn lost_lifecycle(number: i64) -> String {
    format!(
        r#"{{"type":"gap","reason":"lifecycle","lost":"{number}","msg":"there are no lifecycle events of then any more; what comes from now on follows"}}"#
    )
}

/// As [`lost_place`], of a whole project.
pub(super) fn lost_project_place(cursor: &str) -> String {
    let lost = Value::from(cursor);
    format!(
        r#"{{"type":"gap","reason":"cursor","lost":{lost},"msg":"there is no such place any more; what runs follows from its start"}}"#
    )
}

/// The daemon says no.
pub(super) fn refused(status: &Status, project: &str) -> String {
    let refusal = Refusal::of(status);
    if is_no_project(&refusal) {
        return error(NO_PROJECT, "", project);
    }
    error(&refusal.what(), &hint_of(&refusal), project)
}

fn hint_of(refusal: &Refusal) -> String {
    match &refusal.hint {
        Some(hint) => format!(r#","hint":{}"#, Value::from(hint.as_str())),
        None => String::new(),
    }
}

/// The project's folder is gone, and something runs there: it is waited for.
pub(super) fn project_gone(status: &Status, project: &str) -> String {
    let refusal = Refusal::of(status);
    told("project_gone", &refusal.what(), &hint_of(&refusal), project)
}

/// What is asked for cannot be.
pub(super) fn impossible(what: &str, project: &str) -> String {
    error(what, "", project)
}

fn error(what: &str, hint: &str, project: &str) -> String {
    told("error", what, hint, project)
}

fn told(kind: &str, what: &str, hint: &str, project: &str) -> String {
    let (what, project) = (Value::from(what), Value::from(project));
    format!(r#"{{"type":"{kind}","error":{what}{hint},"project":{project}}}"#)
}
