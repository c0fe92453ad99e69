//! The table `[retention]`: what is deleted, and what is compressed.

use super::file::limit;
use super::section::{Section, number, text};
use super::units;
use crate::retention::Settings;

pub(super) fn read(root: &Section<'_>) -> Settings {
    let mut retention = Settings {
        log_days: Some(7),
        spool_days: Some(7),
        max_bytes: Some(10 << 30),
        max_log_bytes: None,
        max_logs: None,
        project_max_log_bytes: None,
        project_max_logs: None,
        compress_after: None,
    };
    let Some(section) = root.section("retention") else {
        return retention;
    };
    // A hundred years: beyond it, say 0.
    let days = || number(0, 36_500);
    if let Some(days) = section.get("log_days", days()) {
        retention.log_days = (days > 0).then_some(days);
    }
    if let Some(days) = section.get("spool_days", days()) {
        retention.spool_days = (days > 0).then_some(days);
    }
    if let Some(bytes) = section.get("max_bytes", |value| units::bytes(&text(value)?)) {
        retention.max_bytes = bytes;
    }
    let bytes = |key| {
        section
            .get(key, |value| units::bytes(&text(value)?))
            .flatten()
    };
    let count = |key| section.get(key, number(0, 10_000_000)).map(u64::from);
    let count = |key| count(key).filter(|count| *count > 0);
    retention.max_log_bytes = bytes("max_log_bytes");
    retention.max_logs = count("max_logs");
    retention.project_max_log_bytes = bytes("project_max_log_bytes");
    retention.project_max_logs = count("project_max_logs");
    retention.compress_after = section.get("compress_after", limit).flatten();
    retention
}
