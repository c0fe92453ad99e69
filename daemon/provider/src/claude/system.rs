//! Events of the CLI itself: who it is, retries, background tasks, usage limits.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::activity::{Activity, Level, Stamp, Text};
use crate::bounds::short_id;
use crate::json::Object;
use crate::parser::Sink;
use crate::text::whole;

use super::fault::{Limit, reset_text};
use super::{Json, ignore, notice, other, servers, unknown};

impl Json {
    pub(super) fn system(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        raw: &RawValue,
        out: &mut dyn Sink,
    ) {
        let subtype = event.str("subtype");
        match subtype.as_deref().unwrap_or_default() {
            "init" => return self.init(at, event, out),
            "api_retry" => return retry(at, event, out),
            "compact_boundary" => return notice(at, Level::Info, compacted(event), out),
            "task_notification" => return self.task_notification(at, event, raw, out),
            "task_started" => {
                if let Some(task) = event.str("task_id") {
                    let call = event.str("tool_use_id");
                    self.calls.begin_task(&task, call.as_deref());
                }
            }
            "task_updated" => {
                let patch = event.object("patch").unwrap_or_default();
                if patch.str("status").is_some_and(|status| is_over(&status)) {
                    self.end_task(event);
                }
            }
            _ => {}
        }
        other(at, "system", subtype.as_deref(), event.is_lossy(), raw, out);
    }

    /// Comes again with every turn; only another session is news.
    fn init(&mut self, at: Stamp, event: &Object<'_>, out: &mut dyn Sink) {
        self.ending.take_back();
        if let Some(cwd) = event.str("cwd") {
            self.run.cwd = Some(cwd.into_owned());
        }
        if let Some(model) = event.str("model") {
            self.model = Some(short_id(&model).to_owned());
        }
        let session_id = event.session("session_id").unwrap_or_default();
        if self.session.as_deref() == Some(&*session_id) {
            return out.ignored(&ignore::INIT_AGAIN);
        }
        self.session = Some(session_id.clone().into_owned()).filter(|id| !id.is_empty());
        let provider_version = event.str("claude_code_version");
        out.activity(
            at,
            &Activity::Session {
                session_id,
                provider_version,
            },
        );
        if let Some(missing) = servers::missing(event) {
            notice(at, Level::Warn, missing, out);
        }
    }

    /// Shown where nothing else tells of the end: the call has had its result long ago.
    fn task_notification(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        raw: &RawValue,
        out: &mut dyn Sink,
    ) {
        let status = event.str("status").unwrap_or_default();
        if is_over(&status) {
            self.end_task(event);
        }
        let call = event.str("tool_use_id");
        if call.is_some_and(|call| self.calls.is_open(&call)) {
            return out.ignored(&ignore::NOTIFICATION_OF_OPEN_CALL);
        }
        let level = match &*status {
            "completed" => Level::Info,
            _ => Level::Warn,
        };
        match event.text("summary") {
            Some(summary) => notice(at, level, summary, out),
            None => unknown(at, "system/task_notification", raw, event.is_lossy(), out),
        }
    }

    fn end_task(&mut self, event: &Object<'_>) {
        if let Some(task) = event.str("task_id") {
            self.calls.end_task(&task);
        }
    }

    /// A usage limit: near, or reached.
    pub(super) fn rate_limit(
        &mut self,
        at: Stamp,
        event: &Object<'_>,
        raw: &RawValue,
        out: &mut dyn Sink,
    ) {
        let details = event.object("rate_limit_info").unwrap_or_default();
        let status = details.str("status").unwrap_or_default();
        let resets_at = details.i64("resetsAt");
        // Where more than the subscription is paid for, it goes on with that.
        let is_kept = status == "rejected" && details.bool("isUsingOverage") != Some(true);
        match (is_kept, &*status) {
            (true, _) => self.ending.limit(Limit { resets_at }),
            (false, "allowed" | "allowed_warning" | "rejected") => self.ending.is_let_through(),
            _ => {}
        }
        let level = match &*status {
            "rejected" if is_kept => Level::Error,
            "allowed_warning" | "rejected" => Level::Warn,
            _ => {
                return other(
                    at,
                    "rate_limit_event",
                    Some(&status),
                    event.is_lossy(),
                    raw,
                    out,
                );
            }
        };
        let kind = details.str("rateLimitType").unwrap_or("usage".into());
        let mut msg = match (&*status, details.f64("utilization")) {
            ("rejected", _) => format!("{kind} limit reached"),
            (_, Some(used)) => format!("{:.0}% of the {kind} limit used", used * 100.0),
            (_, None) => format!("near the {kind} limit"),
        };
        if let Some(reset) = reset_text(resets_at) {
            msg = format!("{msg}; {reset}");
        }
        notice(at, level, whole(msg), out);
    }
}

/// Words for a task that has ended. A word nobody knows leaves it running: the silence limit ends
/// a run that is taken for busy too long, while one ended too early is lost.
fn is_over(status: &str) -> bool {
    matches!(
        status,
        "completed" | "failed" | "killed" | "stopped" | "cancelled" | "canceled" | "error"
    )
}

fn retry(at: Stamp, event: &Object<'_>, out: &mut dyn Sink) {
    let reason = event.str("error").unwrap_or("unknown".into());
    let attempt = event.u64("attempt");
    let mut msg = reason.to_string();
    if let Some(status) = event.u64("error_status") {
        msg = format!("{msg} (HTTP {status})");
    }
    if let (Some(attempt), Some(most)) = (attempt, event.u64("max_retries")) {
        msg = format!("{msg}, retry {attempt} of {most}");
    }
    out.activity(
        at,
        &Activity::Retry {
            reason,
            attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
            delay_ms: event.u64("retry_delay_ms"),
            msg: whole(msg),
        },
    );
}

fn compacted(event: &Object<'_>) -> Text<'static> {
    let details = event.object("compact_metadata").unwrap_or_default();
    let before = match details.u64("pre_tokens") {
        Some(tokens) => Cow::Owned(format!(" ({tokens} tokens before)")),
        None => Cow::Borrowed(""),
    };
    whole(format!("conversation compacted{before}"))
}
