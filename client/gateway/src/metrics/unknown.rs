//! What the daemon counts, beside what the gateway does: provider events that no parser knew.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The daemon bounds how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cli {
    provider: String,
    version: String,
}

/// Provider, version of its CLI and number of events, as Prometheus reads them. A daemon that was
/// restarted counts from zero, as any counter may.
pub(crate) fn unknown_events<'a>(counts: impl Iterator<Item = (&'a str, &'a str, u64)>) -> String {
    let family = Family::<Cli, Counter>::default();
    for (provider, version, count) in counts {
        let cli = Cli {
            provider: provider.to_owned(),
            version: version.to_owned(),
        };
        family.get_or_create(&cli).inc_by(count);
    }
    let mut registry = Registry::with_prefix("steroids");
    let help = "Provider events that no parser knew, since the daemon started";
    registry.register("unknown_events", help, family);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_provider_and_version_whatever_a_cli_calls_itself() {
        let counts = [("claude", "2.1", 14), ("codex", "a\"b\nc", 1)];
        let text = unknown_events(counts.into_iter());
        let names = "steroids_unknown_events_total{provider=";
        let claude = format!("{names}\"claude\",version=\"2.1\"}} 14\n");
        let codex = format!("{names}\"codex\",version=\"a\\\"b\\nc\"}} 1\n");
        assert!(text.contains(&claude) && text.contains(&codex), "{text}");
        assert!(text.contains("# TYPE steroids_unknown_events_total counter\n"));
    }
}
