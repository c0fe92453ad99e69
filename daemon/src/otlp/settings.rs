//! What is configured.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

/// Where to and what.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The collector: `/v1/traces` and `/v1/metrics` are below it.
    pub endpoint: Uri,
    /// Further headers, whose values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Between two tellings of the sums.
    pub interval: Duration,
    /// For one attempt.
    pub timeout: Duration,
    /// Of a thousand invocations, how many are traced.
    pub sample: u32,
    /// Whether to send what tools were called with and what they said, and why invocations failed.
    pub content: bool,
    /// Who makes a provider's models, in the words of the conventions, where it is one that talks to
    /// models; by the provider's name.
    pub makers: BTreeMap<String, &'static str>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not its headers, nor the path of its endpoint.
        f.debug_struct("Settings")
            .field("endpoint", &self.target())
            .field("sample", &self.sample)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Scheme and host: the path may hold a key.
    pub fn target(&self) -> String {
        let scheme = self.endpoint.scheme_str().unwrap_or("http");
        let host = self.endpoint.authority().map_or("", |it| it.as_str());
        format!("{scheme}://{host}")
    }

    /// Values that the log must not show.
    pub fn secrets(&self) -> Vec<String> {
        let values = self.headers.iter().map(|(_, value)| value);
        values
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect()
    }
}
