//! The entries that come from a row, and the invocation's id in those that come from its log.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::{Invocation, InvocationId, Phase, RowStatus};

/// That it started; nothing of one that waits, or never ran.
pub(super) fn started(row: &Invocation) -> Option<Bytes> {
    entry(&Started {
        ts: row.started_ms?,
        kind: "invocation.started",
        invocation_id: row.id.get(),
        role: &row.role,
        provider: &row.provider,
        model: &row.model,
    })
}

/// That it ended, and how.
pub(super) fn completed(row: &Invocation) -> Option<Bytes> {
    let Phase::Ended { status, outcome } = row.phase else {
        return None;
    };
    entry(&Completed {
        ts: row.completed_ms.or(row.started_ms),
        kind: "invocation.completed",
        invocation_id: row.id.get(),
        role: &row.role,
        provider: &row.provider,
        model: &row.model,
        success: status == RowStatus::Completed,
        duration: row.duration_ms,
        exit_code: row.exit_code,
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
    duration: Option<i64>,
    exit_code: Option<i32>,
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
