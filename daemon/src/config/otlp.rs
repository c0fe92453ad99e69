//! The table `[otlp]`: which collector is told of what.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use steroids_provider::kind::Kind;
use toml::de::DeValue;

use super::hooks::{bounded, headers, url};
use super::section::{Section, path, yes};
use crate::otlp::Settings;
use crate::supervise::ProviderSettings;

/// What a file with some lines may weigh.
const HEADERS_FILE_MAX: u64 = 16 << 10;

/// What is configured; `None` where no endpoint is.
pub(super) fn read(
    root: &Section<'_>,
    providers: &BTreeMap<String, ProviderSettings>,
) -> Option<Settings> {
    let section = root.section("otlp")?;
    let between =
        |low: Duration, high: Duration| move |value: &DeValue<'_>| bounded(value, low, high);
    let interval = section.get(
        "interval",
        between(Duration::from_secs(1), Duration::from_secs(3600)),
    );
    let timeout = section.get(
        "timeout",
        between(Duration::from_millis(100), Duration::from_secs(60)),
    );
    let mut all = section.get("headers", headers).unwrap_or_default();
    let more = section.get("headers_file", |value| headers_of(&path(value)?));
    all.extend(more.unwrap_or_default());
    let sample = section.get("sample", sample).unwrap_or(1000);
    let content = section.get("content", yes).unwrap_or(false);
    // What is set without an endpoint is checked all the same.
    let endpoint = section.get("endpoint", url)?;
    let made = providers.iter().filter_map(|(name, provider)| {
        let maker = maker(provider.settings.kind)?;
        Some((name.clone(), maker))
    });
    Some(Settings {
        endpoint,
        headers: all,
        interval: interval.unwrap_or(Duration::from_secs(60)),
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        sample,
        content,
        makers: made.collect(),
    })
}

/// Who makes the models that a CLI talks to, in the words of the GenAI conventions where they have
/// one; of what may talk to any, its own name. A command talks to none, as far as anybody knows.
fn maker(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Claude => Some("anthropic"),
        Kind::Codex => Some("openai"),
        Kind::Gemini => Some("gcp.gemini"),
        Kind::Opencode => Some("opencode"),
        Kind::Jsonl => Some("jsonl"),
        Kind::Command => None,
    }
}

/// A share from 0 to 1, in thousandths.
fn sample(value: &DeValue<'_>) -> Result<u32, String> {
    let wanted = || "must be a number from 0.0 to 1.0".to_owned();
    let text = match value {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        DeValue::Float(float) => float.as_str(),
        _ => return Err(wanted()),
    };
    let share: f64 = text.parse().map_err(|_| wanted())?;
    if !(0.0..=1.0).contains(&share) {
        return Err(wanted());
    }
    let thousandths = (0..=1000).find(|it| f64::from(*it) >= share * 1000.0 - 0.5);
    Ok(thousandths.unwrap_or(1000))
}

/// A header a line, like `Authorization: Bearer …`.
fn headers_of(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let shown = path.display();
    let refuse = |error: std::io::Error| format!("cannot read {shown}: {error}");
    let found = std::fs::metadata(path).map_err(refuse)?;
    if !found.is_file() || found.len() > HEADERS_FILE_MAX {
        return Err(format!("{shown} is no file with headers, one a line"));
    }
    let text = std::fs::read_to_string(path).map_err(refuse)?;
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Never quoted: it holds a secret.
        let wrong = || format!("{shown}: line {} is no header", number + 1);
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.push((name, value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_from_a_file_and_are_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(
            &file,
            "# key\n\nAuthorization: Bearer abc:def\nx-scope : 7\n",
        )
        .unwrap();
        let headers = headers_of(&file).unwrap();
        let said: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            said,
            [("authorization", "Bearer abc:def"), ("x-scope", "7")]
        );
        std::fs::write(&file, "Authorization Bearer hunter2\n").unwrap();
        let refused = headers_of(&file).unwrap_err();
        assert!(refused.contains("line 1") && !refused.contains("hunter2"));
    }
}
