//! What an operator asks first, as numbers on the wire.

use std::time::{Duration, UNIX_EPOCH};

use steroids_proto::v1;

use super::convert;
use super::subscribers::Lag;
use crate::counts::{Counts, Measured};
use crate::hooks::Shown;
use crate::otlp::Standing;
use crate::retention::Stored;
use crate::supervise::Behind;

pub(super) fn projection_lag(behind: Behind) -> v1::ProjectionLag {
    let worst = behind.worst.as_ref();
    v1::ProjectionLag {
        invocations: wire(behind.invocations),
        bytes: wire(behind.bytes),
        worst_bytes: worst.map_or(0, |(_, _, bytes)| wire(*bytes)),
        worst_age_ms: ms(behind.worst_age),
        worst_project: worst.map_or_else(String::new, |(project, ..)| convert::text(project)),
        worst_invocation: worst.map_or(0, |(_, id, _)| id.get()),
    }
}

pub(super) fn subscriber_lag(lag: Lag) -> v1::SubscriberLag {
    v1::SubscriberLag {
        streams: wire(lag.streams),
        bytes: wire(lag.bytes),
        worst_bytes: wire(lag.worst),
    }
}

pub(super) fn stored(stored: &Stored) -> v1::Stored {
    v1::Stored {
        spools: wire(stored.spools),
        spool_bytes: wire(stored.spool_bytes),
        logs: wire(stored.logs),
        log_bytes: wire(stored.log_bytes),
        measured_at_ms: ms(stored.at.duration_since(UNIX_EPOCH).unwrap_or_default()),
    }
}

pub(super) fn commits(measured: &Measured) -> v1::CommitLatency {
    let buckets = measured.buckets.iter().map(|bucket| v1::CommitBucket {
        up_to_us: bucket.up_to.map_or(0, us),
        count: wire(bucket.count),
    });
    v1::CommitLatency {
        count: wire(measured.count()),
        sum_us: us(measured.sum),
        last_us: us(measured.last),
        worst_us: us(measured.worst),
        window_seconds: wire(measured.window.as_secs()),
        buckets: buckets.collect(),
    }
}

pub(super) fn hook_queues(hooks: Vec<Shown>) -> Vec<v1::HookQueue> {
    let queues = hooks.into_iter().map(|hook| v1::HookQueue {
        state: hook.standing.state().to_owned(),
        name: hook.name,
        waiting: wire(hook.standing.waiting),
        delivered: wire(hook.standing.delivered),
        failures: hook.standing.failures.into(),
        skipped: wire(hook.standing.skipped),
    });
    queues.collect()
}

/// What was counted, with the events that streams were given and their bytes.
pub(super) fn counts(counts: Counts, (events, bytes): (u64, u64)) -> v1::Counts {
    let of = |(provider, count)| v1::ProviderCount {
        provider,
        count: wire(count),
    };
    let ended = counts.ended.into_iter().map(|(it, count)| v1::EndedCount {
        provider: it.provider,
        outcome: it.outcome.to_owned(),
        count: wire(count),
    });
    let used = counts.used.into_iter();
    let used = used.map(|((provider, model), used)| v1::UsedCount {
        provider,
        model,
        input_tokens: wire(used.input_tokens),
        output_tokens: wire(used.output_tokens),
        cached_input_tokens: wire(used.cached_input_tokens),
        cache_creation_tokens: wire(used.cache_creation_tokens),
        cost_usd: used.cost_usd,
        estimated_usd: used.estimated_usd,
    });
    let holds = counts.holds.into_iter().map(|(it, count)| v1::HoldCount {
        provider: it.provider,
        reason: it.reason.to_owned(),
        count: wire(count),
    });
    v1::Counts {
        started: counts.started.into_iter().map(of).collect(),
        ended: ended.collect(),
        retried: counts.retried.into_iter().map(of).collect(),
        adopted: wire(counts.adopted),
        used: used.collect(),
        holds: holds.collect(),
        events_sent: wire(events),
        events_sent_bytes: wire(bytes),
    }
}

pub(super) fn export(standing: Standing) -> v1::Export {
    v1::Export {
        endpoint: standing.endpoint,
        spans_sent: wire(standing.sent),
        spans_dropped: wire(standing.dropped),
        failures: standing.failures.into(),
        last_error: standing.last_error.unwrap_or_default(),
    }
}

fn wire(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn us(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
