//! What the daemon says of itself, as Prometheus reads it. It is asked at each scrape and nothing of it
//! is kept here: a daemon that was restarted counts from zero, as any counter may. Labels are words of
//! which the daemon bounds how many there are.

mod write;

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::registry::Registry;
use steroids_client::v1;

use write::Writer;

/// One answer of a daemon, or that there was none.
#[derive(Debug)]
struct Told(Option<v1::StatusResponse>);

/// All that a daemon says; of one that does not answer, that.
pub(crate) fn daemon(status: Option<v1::StatusResponse>) -> String {
    let mut registry = Registry::with_prefix("steroids");
    registry.register_collector(Box::new(Told(status)));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

impl Collector for Told {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut to = Writer::new(encoder);
        let up = i64::from(self.0.is_some());
        to.gauge("daemon_up", "Whether the daemon answers", up)?;
        let Some(status) = &self.0 else {
            return Ok(());
        };
        process(&mut to, status)?;
        standing(&mut to, status)?;
        lags(&mut to, status)?;
        storage(&mut to, status)?;
        hooks(&mut to, &status.hook_queues)?;
        unknown(&mut to, &status.unknown)?;
        export(&mut to, status.export.as_ref())?;
        match &status.counts {
            Some(counts) => counted(&mut to, counts),
            None => Ok(()),
        }
    }
}

fn process(to: &mut Writer<'_>, status: &v1::StatusResponse) -> Result<(), Error> {
    let labels = [
        ("version", status.version.as_str()),
        ("launcher", status.launcher.as_str()),
    ];
    let mut info = to.gauges("daemon_info", "The daemon's version and launcher; always 1")?;
    info.one(&labels, 1_i64)?;
    let help = "When the daemon was started, in seconds since 1970";
    to.gauge(
        "daemon_start_time_seconds",
        help,
        seconds(status.started_at_ms),
    )?;
    let help = "Resident memory of the daemon";
    to.gauge("daemon_resident_memory_bytes", help, status.rss_bytes)?;
    let is_draining = i64::from(status.state == "draining");
    let help = "Whether new starts are refused";
    to.gauge("daemon_draining", help, is_draining)?;
    let help = "Things that do not work as they should; `steroidsctl status` says which";
    to.gauge("degraded_reasons", help, count(status.degraded.len()))?;
    let help = "When the last maintenance pass ended, in seconds since 1970; 0: none yet";
    let last = seconds(status.last_wakeup_at_ms);
    to.gauge("last_maintenance_time_seconds", help, last)
}

fn standing(to: &mut Writer<'_>, status: &v1::StatusResponse) -> Result<(), Error> {
    to.gauge("projects", "Projects that are served", status.projects)?;
    let help = "Invocations that run";
    to.gauge("running_invocations", help, status.running)?;
    let help = "Invocations that may run at once";
    to.gauge("running_invocations_max", help, status.max_running)?;
    let help = "Invocations that wait to be started";
    to.gauge("queued_invocations", help, status.queued)?;
    let help = "Invocations that may wait";
    to.gauge("queued_invocations_max", help, status.max_queued)?;
    let help = "Invocations that wait because their provider is held";
    to.gauge("held_invocations", help, status.held)?;
    let help = "Running invocations that a limit is about to end";
    to.gauge("stalled_invocations", help, status.stalled)?;
    let help = "Running invocations with which something is wrong";
    to.gauge("alarmed_invocations", help, status.alarmed)?;
    let help = "Running invocations that wait for a person";
    to.gauge("asking_invocations", help, status.asking)?;
    let help = "Until when nothing of a provider is started, in seconds since 1970";
    let mut until = to.gauges("provider_hold_until_seconds", help)?;
    for hold in &status.holds {
        until.one(&[("provider", &hold.provider)], seconds(hold.until_ms))?;
    }
    Ok(())
}

fn lags(to: &mut Writer<'_>, status: &v1::StatusResponse) -> Result<(), Error> {
    if let Some(lag) = &status.projection_lag {
        let help = "Running invocations whose logs are behind what their agents have printed";
        to.gauge("projection_lagging_invocations", help, lag.invocations)?;
        let help = "Bytes printed that are in no log yet";
        to.gauge("projection_lag_bytes", help, lag.bytes)?;
        let help = "The same of the invocation that is furthest behind";
        to.gauge("projection_lag_worst_bytes", help, lag.worst_bytes)?;
        let help = "For how long the oldest of these bytes have waited";
        to.gauge("projection_lag_seconds", help, seconds(lag.worst_age_ms))?;
    }
    let help = "Streams that are open at the daemon";
    to.gauge("subscribers", help, status.subscribers)?;
    if let Some(lag) = &status.subscriber_lag {
        let help = "Streams whose readers are behind the logs";
        to.gauge("subscribers_lagging", help, lag.streams)?;
        let help = "Bytes of logs that readers have not asked for yet";
        to.gauge("subscriber_lag_bytes", help, lag.bytes)?;
        let help = "The same of the stream that is furthest behind";
        to.gauge("subscriber_lag_worst_bytes", help, lag.worst_bytes)?;
    }
    Ok(())
}

fn storage(to: &mut Writer<'_>, status: &v1::StatusResponse) -> Result<(), Error> {
    if let Some(stored) = &status.stored {
        let help = "What transcripts and the rest of the state folders take on the disk";
        to.gauge("spool_bytes", help, stored.spool_bytes)?;
        to.gauge("spools", "State folders", stored.spools)?;
        to.gauge("log_bytes", "Bytes in activity logs", stored.log_bytes)?;
        to.gauge("logs", "Activity logs", stored.logs)?;
        let help = "When room was measured, in seconds since 1970";
        let at = seconds(stored.measured_at_ms);
        to.gauge("stored_measured_time_seconds", help, at)?;
    }
    let Some(commits) = &status.commits else {
        return Ok(());
    };
    let buckets = commits.buckets.iter().map(|bucket| {
        let bound = match bucket.up_to_us {
            0 => f64::INFINITY,
            us => micros(us),
        };
        (bound, unsigned(bucket.count))
    });
    let buckets: Vec<_> = buckets.collect();
    let help = "How long a transaction takes, waits for other programs included";
    let name = "database_commit_duration_seconds";
    to.histogram(
        name,
        help,
        micros(commits.sum_us),
        unsigned(commits.count),
        &buckets,
    )?;
    let help = "How long the last one took";
    let last = micros(commits.last_us);
    to.gauge("database_commit_last_seconds", help, last)?;
    let help = "How long the longest of the last five minutes took";
    let worst = micros(commits.worst_us);
    to.gauge("database_commit_worst_seconds", help, worst)
}

fn hooks(to: &mut Writer<'_>, all: &[v1::HookQueue]) -> Result<(), Error> {
    let help = "Events that wait to be delivered by a hook, as far as they were read";
    let mut waiting = to.gauges("hook_waiting_events", help)?;
    for hook in all {
        waiting.one(&[("hook", &hook.name)], hook.waiting)?;
    }
    let help = "Attempts of a hook that failed since one went well";
    let mut failures = to.gauges("hook_failures", help)?;
    for hook in all {
        failures.one(&[("hook", &hook.name)], hook.failures)?;
    }
    let mut delivered = to.counters("hook_deliveries", "Events that a hook delivered")?;
    for hook in all {
        delivered.one(&[("hook", &hook.name)], unsigned(hook.delivered))?;
    }
    let help = "Events that a hook passed over: too old, too many, or not wanted any more";
    let mut skipped = to.counters("hook_skipped_events", help)?;
    for hook in all {
        skipped.one(&[("hook", &hook.name)], unsigned(hook.skipped))?;
    }
    Ok(())
}

fn unknown(to: &mut Writer<'_>, all: &[v1::UnknownEvents]) -> Result<(), Error> {
    let help = "Provider events that no parser knew, since the daemon started";
    let mut unknown = to.counters("unknown_events", help)?;
    for it in all {
        let labels = [("provider", &*it.provider), ("version", &*it.version)];
        unknown.one(&labels, unsigned(it.count))?;
    }
    Ok(())
}

fn export(to: &mut Writer<'_>, it: Option<&v1::Export>) -> Result<(), Error> {
    let Some(it) = it else {
        return Ok(());
    };
    let help = "Spans that an OpenTelemetry collector took";
    to.counter("otlp_spans_sent", help, unsigned(it.spans_sent))?;
    let help = "Spans that could not be sent, or were too many";
    to.counter("otlp_spans_dropped", help, unsigned(it.spans_dropped))?;
    let help = "Attempts to reach the collector that failed since one went well";
    to.gauge("otlp_failures", help, it.failures)
}

fn counted(to: &mut Writer<'_>, counts: &v1::Counts) -> Result<(), Error> {
    let mut started = to.counters("invocations_started", "Invocations that were started")?;
    for it in &counts.started {
        started.one(&[("provider", &it.provider)], unsigned(it.count))?;
    }
    let help = "Invocations that have ended, by how";
    let mut ended = to.counters("invocations_ended", help)?;
    for it in &counts.ended {
        let labels = [("provider", &*it.provider), ("outcome", &*it.outcome)];
        ended.one(&labels, unsigned(it.count))?;
    }
    let help = "Further attempts that were made of invocations that failed";
    let mut retried = to.counters("invocations_retried", help)?;
    for it in &counts.retried {
        retried.one(&[("provider", &it.provider)], unsigned(it.count))?;
    }
    let help = "Invocations taken over from a daemon before";
    to.counter("invocations_adopted", help, unsigned(counts.adopted))?;
    used(to, &counts.used)?;
    let help = "Holds of a provider that were set or made longer, by why";
    let mut holds = to.counters("provider_holds", help)?;
    for it in &counts.holds {
        let labels = [("provider", &*it.provider), ("reason", &*it.reason)];
        holds.one(&labels, unsigned(it.count))?;
    }
    let help = "Events given to streams";
    to.counter("events_sent", help, unsigned(counts.events_sent))?;
    let help = "Bytes of events given to streams";
    let bytes = unsigned(counts.events_sent_bytes);
    to.counter("events_sent_bytes", help, bytes)
}

fn used(to: &mut Writer<'_>, all: &[v1::UsedCount]) -> Result<(), Error> {
    let help = "Tokens that ended invocations used";
    let mut tokens = to.counters("tokens", help)?;
    for it in all {
        let types = [
            ("input", it.input_tokens),
            ("output", it.output_tokens),
            ("cached_input", it.cached_input_tokens),
            ("cache_creation", it.cache_creation_tokens),
        ];
        for (kind, count) in types {
            let model = ("model", &*it.model);
            let labels = [("provider", &*it.provider), model, ("type", kind)];
            tokens.one(&labels, unsigned(count))?;
        }
    }
    let help = "What ended invocations cost; estimated: by configured prices";
    let mut cost = to.counters("cost_dollars", help)?;
    for it in all {
        for (estimated, usd) in [("false", it.cost_usd), ("true", it.estimated_usd)] {
            let model = ("model", &*it.model);
            let labels = [("provider", &*it.provider), model, ("estimated", estimated)];
            cost.one(&labels, usd)?;
        }
    }
    Ok(())
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

fn micros(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
pub(crate) mod tests;
