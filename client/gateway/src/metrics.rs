//! What the gateway counts, in the text that Prometheus reads. Counting takes no lock that is held
//! for long, and every label has few values, but for the lag of a stream, which has one per stream
//! that is open.

mod daemon;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::{self, encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub(crate) use daemon::daemon;

/// Counters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    all: Arc<All>,
}

#[derive(Debug)]
struct All {
    registry: Registry,
    next_stream: AtomicU64,
    connections: Gauge,
    streams: Family<Kind, Gauge>,
    streams_opened: Family<Kind, Counter>,
    lag: Family<Stream, Gauge>,
    events: Counter,
    bytes: Counter,
    replay: Histogram,
    latency: Histogram,
    reconnects: Counter,
    refused: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stream {
    kind: &'static str,
    stream: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let all = All {
            registry: Registry::with_prefix("steroids_gateway"),
            next_stream: AtomicU64::new(1),
            connections: Gauge::default(),
            streams: Family::default(),
            streams_opened: Family::default(),
            lag: Family::default(),
            events: Counter::default(),
            bytes: Counter::default(),
            // A millisecond to four minutes: a long log over a slow line is replayed in minutes.
            replay: Histogram::new(exponential_buckets(0.001, 4.0, 10)),
            // A quarter of a millisecond to two seconds.
            latency: Histogram::new(exponential_buckets(0.00025, 2.0, 14)),
            reconnects: Counter::default(),
            refused: Family::default(),
        };
        Metrics {
            all: Arc::new(all.registered()),
        }
    }

    /// A connection is open until this is dropped.
    pub(crate) fn connection_opened(&self) -> ConnectionGuard {
        self.all.connections.inc();
        ConnectionGuard(self.clone())
    }

    /// A stream of this kind (`task`, `project`, `overview`, `poll`) is open until this is dropped.
    pub(crate) fn stream_opened(&self, kind: &'static str) -> StreamGuard {
        let stream = Stream {
            kind,
            stream: self.all.next_stream.fetch_add(1, Ordering::Relaxed),
        };
        self.all.streams.get_or_create(&Kind { kind }).inc();
        self.all.streams_opened.get_or_create(&Kind { kind }).inc();
        StreamGuard {
            metrics: self.clone(),
            lag: self.all.lag.get_or_create_owned(&stream),
            stream,
        }
    }

    /// Events were written to a client.
    pub(crate) fn sent(&self, events: u64, bytes: u64) {
        self.all.events.inc_by(events);
        self.all.bytes.inc_by(bytes);
    }

    /// A stream has caught up with what was logged before it came.
    pub(crate) fn replayed(&self, took: Duration) {
        self.all.replay.observe(took.as_secs_f64());
    }

    /// From a line's own time to its being written to a client that was caught up.
    pub(crate) fn live_latency(&self, latency: Duration) {
        self.all.latency.observe(latency.as_secs_f64());
    }

    /// A client came back with a cursor.
    pub(crate) fn reconnected(&self) {
        self.all.reconnects.inc();
    }

    /// A request, connection or stream was turned away or cut off.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.all.refused.get_or_create(&Reason { reason }).inc();
    }

    /// What the text of [`Metrics::text`] is called.
    pub(crate) const TEXT: &str = prometheus_text::CONTENT_TYPE;

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.all.registry);
        text
    }
}

impl All {
    fn registered(mut self) -> All {
        let registry = &mut self.registry;
        let open = "Connections that are open";
        registry.register("connections_open", open, self.connections.clone());
        let open = "Streams that are open";
        registry.register("streams_open", open, self.streams.clone());
        let opened = "Streams that were opened";
        registry.register("streams_opened", opened, self.streams_opened.clone());
        let lag = "Events that an open stream is behind the end of what is logged";
        registry.register("stream_lag_events", lag, self.lag.clone());
        registry.register("events_sent", "Events sent to clients", self.events.clone());
        let bytes = "Bytes of events sent to clients";
        registry.register("events_sent_bytes", bytes, self.bytes.clone());
        let replay = "Time a stream took to catch up";
        registry.register("replay_duration_seconds", replay, self.replay.clone());
        let latency = "Time from a line's being logged to its being sent";
        registry.register("live_latency_seconds", latency, self.latency.clone());
        let reconnects = "Clients that came back with a cursor";
        registry.register("reconnects", reconnects, self.reconnects.clone());
        let refused = "Requests, connections and streams turned away or cut off";
        registry.register("refused", refused, self.refused.clone());
        self
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct ConnectionGuard(Metrics);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.all.connections.dec();
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    metrics: Metrics,
    stream: Stream,
    lag: Gauge,
}

impl StreamGuard {
    /// How many events it is behind now.
    pub(crate) fn lag(&self, events: u64) {
        self.lag.set(i64::try_from(events).unwrap_or(i64::MAX));
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let kind = Kind {
            kind: self.stream.kind,
        };
        self.metrics.all.streams.get_or_create(&kind).dec();
        self.metrics.all.lag.remove(&self.stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_while_they_are_open_and_their_lag_goes_with_them() {
        let metrics = Metrics::new();
        let one = metrics.stream_opened("task");
        let two = metrics.stream_opened("task");
        two.lag(7);
        let text = metrics.text();
        assert!(text.contains("steroids_gateway_streams_open{kind=\"task\"} 2\n"));
        assert!(
            text.contains("steroids_gateway_stream_lag_events{kind=\"task\",stream=\"2\"} 7\n")
        );
        drop((one, two));
        let text = metrics.text();
        assert!(text.contains("steroids_gateway_streams_open{kind=\"task\"} 0\n"));
        assert!(text.contains("steroids_gateway_streams_opened_total{kind=\"task\"} 2\n"));
        assert!(!text.contains("stream=\""));
    }

    #[test]
    fn what_is_counted_is_documented_and_nothing_else_is() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gateway.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, table) = page.split_once("## Metrics").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let rows = table.lines().skip_while(|line| *line != "|---|---|");
        let names = rows.filter_map(|row| row.strip_prefix("| `"));
        let mut documented: Vec<&str> = names
            .flat_map(|row| row.split_once(" |").unwrap().0.split(", "))
            .map(|name| name.trim_matches('`'))
            .collect();
        // A family is shown with its first member.
        let metrics = Metrics::new();
        let _stream = metrics.stream_opened("task");
        metrics.refused("host");
        let text = metrics.text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names = types.map(|line| line.split(' ').next().unwrap());
        let mut counted: Vec<&str> = names
            .map(|name| name.strip_prefix("steroids_gateway_").unwrap())
            .collect();
        documented.sort_unstable();
        counted.sort_unstable();
        assert_eq!(documented, counted);
    }

    #[test]
    fn everything_the_gateway_counts_is_shown() {
        let metrics = Metrics::new();
        metrics.sent(3, 120);
        metrics.replayed(Duration::from_millis(20));
        metrics.live_latency(Duration::from_micros(700));
        metrics.reconnected();
        metrics.refused("host");
        let _open = metrics.connection_opened();
        let text = metrics.text();
        for line in [
            "steroids_gateway_connections_open 1",
            "steroids_gateway_events_sent_total 3",
            "steroids_gateway_events_sent_bytes_total 120",
            "steroids_gateway_replay_duration_seconds_count 1",
            "steroids_gateway_live_latency_seconds_bucket{le=\"0.001\"} 1",
            "steroids_gateway_reconnects_total 1",
            "steroids_gateway_refused_total{reason=\"host\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        }
    }
}
