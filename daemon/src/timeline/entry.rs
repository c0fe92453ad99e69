//! The entries that come from a row, and the invocation's id in those that come from its log.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::{Invocation, InvocationId, Phase, RowStatus};

/// That it started; nothing of one that waits, or was never started.
pub(super) fn started(row: &Invocation) -> Option<Bytes> {
    entry(&Started {
        ts: row.began_ms().filter(|_| row.was_started())?,
        kind: "invocation.started",
        invocation_id: row.id.get(),
        role: &row.role,
        provider: &row.provider,
        model: &row.model,
    })
}

/// That it ended, and how. One that was never started has neither run for a time nor an exit code; the story says so, and
/// when it was asked for.
pub(super) fn completed(row: &Invocation) -> Option<Bytes> {
    let Phase::Ended { status, outcome } = row.phase else {
        return None;
    };
    let was_started = row.was_started();
    entry(&Completed {
        ts: row.completed_ms.or(row.started_ms),
        kind: "invocation.completed",
        invocation_id: row.id.get(),
        role: &row.role,
        provider: &row.provider,
        model: &row.model,
        success: status == RowStatus::Completed,
        started: (!was_started).then_some(false),
        queued_at_ms: row.queued_ms().filter(|_| !was_started),
        duration: was_started.then_some(row.duration_ms),
        exit_code: was_started.then_some(row.exit_code),
        outcome: outcome.map(|outcome| outcome.as_str()),
        error: row.error.as_deref(),
    })
}

/// A log's line with the invocation's id in front; its other bytes stay as they are. The line is
/// one whole JSON object.
pub(super) fn spliced(line: &[u8], id: InvocationId) -> Option<Bytes> {
    let rest = line.strip_prefix(b"{")?;
    let is_empty = rest.trim_ascii_start().starts_with(b"}");
    let mut entry = format!("{{\"invocationId\":{id}").into_bytes();
    entry.reserve_exact(rest.len() + 1);
    if !is_empty {
        entry.push(b',');
    }
    entry.extend_from_slice(rest);
    Some(entry.into())
}

// Texts and numbers: nothing in them can fail to be written.
fn entry(entry: &impl Serialize) -> Option<Bytes> {
    serde_json::to_vec(entry).ok().map(Bytes::from)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    ts: i64,
    #[serde(rename = "type")]
    kind: &'a str,
    invocation_id: i64,
    role: &'a str,
    provider: &'a str,
    model: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Completed<'a> {
    ts: Option<i64>,
    #[serde(rename = "type")]
    kind: &'a str,
    invocation_id: i64,
    role: &'a str,
    provider: &'a str,
    model: &'a str,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at_ms: Option<i64>,
    // The older tool's rows may lack these two, which then are null.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<Option<i32>>,
    // The older tool's rows tell none.
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gets_its_invocation_first_and_keeps_every_other_byte() {
        let id = InvocationId::new(7).unwrap();
        let of = |line: &str| String::from_utf8(spliced(line.as_bytes(), id).unwrap().to_vec());
        assert_eq!(
            of(r#"{ "a" : 1}"#).unwrap(),
            r#"{"invocationId":7, "a" : 1}"#
        );
        assert_eq!(of("{ }").unwrap(), r#"{"invocationId":7 }"#);
        assert_eq!(spliced(b"[]", id), None);
    }
}
