//! What an operator asks first, as `status --json` has it.

use serde_json::{Value, json};

use crate::v1;

/// Adds what the daemon measures to its status; of one that is too old for it, nothing.
pub(super) fn add(shape: &mut Value, it: &v1::StatusResponse) {
    shape["held"] = it.held.into();
    shape["stalled"] = it.stalled.into();
    shape["alarmed"] = it.alarmed.into();
    shape["asking"] = it.asking.into();
    if let Some(lag) = &it.projection_lag {
        shape["projectionLag"] = projection_lag(lag);
    }
    if let Some(lag) = &it.subscriber_lag {
        shape["subscriberLag"] = json!({
            "streams": lag.streams,
            "bytes": lag.bytes,
            "worstBytes": lag.worst_bytes,
        });
    }
    if let Some(stored) = &it.stored {
        shape["stored"] = json!({
            "spools": stored.spools,
            "spoolBytes": stored.spool_bytes,
            "logs": stored.logs,
            "logBytes": stored.log_bytes,
            "measuredAtMs": stored.measured_at_ms,
        });
    }
    if let Some(commits) = &it.commits {
        shape["commits"] = json!({
            "count": commits.count,
            "sumUs": commits.sum_us,
            "lastUs": commits.last_us,
            "worstUs": commits.worst_us,
            "windowSeconds": commits.window_seconds,
        });
    }
    if !it.hook_queues.is_empty() {
        shape["hookQueues"] = it.hook_queues.iter().map(hook_queue).collect();
    }
    if let Some(export) = &it.export {
        shape["export"] = self::export(export);
    }
    if let Some(counts) = &it.counts {
        shape["counts"] = self::counts(counts);
    }
}

fn projection_lag(lag: &v1::ProjectionLag) -> Value {
    let mut shape = json!({
        "invocations": lag.invocations,
        "bytes": lag.bytes,
        "worstBytes": lag.worst_bytes,
        "worstAgeMs": lag.worst_age_ms,
    });
    if lag.worst_invocation > 0 {
        shape["worstProject"] = lag.worst_project.as_str().into();
        shape["worstInvocationId"] = lag.worst_invocation.into();
    }
    shape
}

fn hook_queue(it: &v1::HookQueue) -> Value {
    json!({
        "name": it.name,
        "state": it.state,
        "waiting": it.waiting,
        "delivered": it.delivered,
        "failures": it.failures,
        "skipped": it.skipped,
    })
}

fn export(it: &v1::Export) -> Value {
    let mut shape = json!({
        "endpoint": it.endpoint,
        "spansSent": it.spans_sent,
        "spansDropped": it.spans_dropped,
        "failures": it.failures,
    });
    if !it.last_error.is_empty() {
        shape["lastError"] = it.last_error.as_str().into();
    }
    shape
}

fn counts(it: &v1::Counts) -> Value {
    let by_provider = |all: &[v1::ProviderCount]| -> Value {
        let of = |it: &v1::ProviderCount| json!({"provider": it.provider, "count": it.count});
        all.iter().map(of).collect()
    };
    let ended = |it: &v1::EndedCount| json!({"provider": it.provider, "outcome": it.outcome, "count": it.count});
    let held = |it: &v1::HoldCount| json!({"provider": it.provider, "reason": it.reason, "count": it.count});
    json!({
        "started": by_provider(&it.started),
        "ended": it.ended.iter().map(ended).collect::<Vec<_>>(),
        "retried": by_provider(&it.retried),
        "adopted": it.adopted,
        "used": it.used.iter().map(used).collect::<Vec<_>>(),
        "holds": it.holds.iter().map(held).collect::<Vec<_>>(),
        "eventsSent": it.events_sent,
        "eventsSentBytes": it.events_sent_bytes,
    })
}

fn used(it: &v1::UsedCount) -> Value {
    json!({
        "provider": it.provider,
        "model": it.model,
        "inputTokens": it.input_tokens,
        "outputTokens": it.output_tokens,
        "cachedInputTokens": it.cached_input_tokens,
        "cacheCreationTokens": it.cache_creation_tokens,
        "costUsd": it.cost_usd,
        "estimatedUsd": it.estimated_usd,
    })
}
