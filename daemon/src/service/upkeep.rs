//! Logs made anew, and what no parser knew: on the wire.

use steroids_proto::v1;
use tonic::Status;

use super::{Service, convert, missing};
use crate::supervise::{Reproject, Reprojected, UnknownEvents};

/// Bytes of a column's value that are told.
const VALUE: usize = 200;

/// Columns that only say again what others do.
const IMPLIED: [&str; 4] = ["success", "timed_out", "token_usage_json", "ended_ms"];

pub(super) async fn reproject(
    service: &Service,
    request: v1::ReprojectRequest,
) -> Result<v1::ReprojectResponse, Status> {
    let id = convert::id(request.id)?;
    let path = convert::project(&request.project, "project")?;
    let what = Reproject {
        dry_run: request.dry_run,
        restore: request.restore,
    };
    let cared = service.supervisor.cared(&path);
    let done = service.supervisor.reproject(&path, id, what).await;
    done.map(told)
        .map_err(|error| missing::refusal(&cared, error))
}

fn told(done: Reprojected) -> v1::ReprojectResponse {
    let before = done.log.before.clone().unwrap_or_default();
    let after = &done.log.after;
    let types = before.differing(after).into_iter();
    let row = done.row.into_iter();
    v1::ReprojectResponse {
        result: done.did.as_str().to_owned(),
        lines_before: count(before.lines()),
        lines_after: count(after.lines()),
        types: types
            .map(|(kind, before, after)| v1::TypeCount {
                r#type: kind,
                before: count(before),
                after: count(after),
            })
            .collect(),
        unknown_before: count(before.of("unknown")),
        unknown_after: count(after.of("unknown")),
        row: row
            .filter(|change| !IMPLIED.contains(&change.column.as_str()))
            .map(|change| v1::RowChange {
                field: change.column,
                before: value(change.before),
                after: value(change.after),
            })
            .collect(),
    }
}

/// On one line, and of a long one the beginning.
fn value(value: Option<String>) -> String {
    let value = value.unwrap_or_default();
    let cut = value.floor_char_boundary(VALUE - '…'.len_utf8());
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    if value.len() <= VALUE {
        return value.chars().map(plain).collect();
    }
    value[..cut].chars().map(plain).chain(['…']).collect()
}

/// What no parser knew, the most frequent names first.
pub(super) fn unknown(all: Vec<UnknownEvents>) -> Vec<v1::UnknownEvents> {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let shown = |events: UnknownEvents| {
        let total = count(events.count());
        let mut names: Vec<_> = events.names.into_iter().collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let names = names.into_iter().map(|(name, number)| v1::UnknownName {
            name,
            count: count(number),
        });
        v1::UnknownEvents {
            provider: events.provider,
            version: events.version,
            count: total,
            names: names.collect(),
            first_at_ms: ms(events.at_ms.0),
            last_at_ms: ms(events.at_ms.1),
        }
    };
    all.into_iter().map(shown).collect()
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters_and_stays_on_one_line() {
        assert_eq!(value(Some("a\nb".to_owned())), "a b");
        let long = value(Some("ä".repeat(5000)));
        assert!(long.len() <= VALUE && long.ends_with('…'), "{long}");
        assert_eq!(value(None), "");
    }
}
