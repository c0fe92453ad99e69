//! A task that the query names. Browsers take a segment `.` or `..` for a step in the path, also when
//! it is encoded, and what they then ask for is something else; so where the query has a `task`, the
//! path's segment only holds its place: `/api/tasks/-/stream?task=..`.

use std::fmt::Write as _;

use axum::extract::Query;
use http::Uri;
use http::uri::PathAndQuery;

const TASKS: &str = "/api/tasks/";

#[derive(serde::Deserialize)]
struct Named {
    task: Option<String>,
}

/// The address with the named task in its place; `None` where the path names it, or it makes no sense.
pub(super) fn in_place(uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(TASKS)?;
    let text = uri.query().filter(|query| query.contains("task="))?;
    let Query(named) = Query::<Named>::try_from_uri(uri).ok()?;
    let task = named.task.filter(|task| !task.is_empty())?;
    let behind = rest.find('/').map_or("", |at| &rest[at..]);
    let mut path = TASKS.to_owned();
    for byte in task.bytes() {
        // A String takes all there is.
        let _ = write!(path, "%{byte:02X}");
    }
    let target = format!("{path}{behind}?{text}").parse::<PathAndQuery>();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_the_task_where_it_does() {
        for (asked, meant) in [
            (
                "/api/tasks/-/stream?task=..&project=/a",
                "/api/tasks/%2E%2E/stream?task=..&project=/a",
            ),
            (
                "/api/tasks/-?project=/a&task=.",
                "/api/tasks/%2E?project=/a&task=.",
            ),
            (
                "/api/tasks/-/invocations/7/stop?task=a%2Fb",
                "/api/tasks/%61%2F%62/invocations/7/stop?task=a%2Fb",
            ),
        ] {
            let meant: Uri = meant.parse().unwrap();
            assert_eq!(in_place(&asked.parse().unwrap()), Some(meant), "{asked}");
        }
        for asked in [
            "/api/tasks/T1/stream?project=/a",
            "/api/tasks/T1/stream?project=/a&task=",
            "/api/tasks/T1/stream?project=/task=a",
            "/api/tasks/T1/stream?task=a&task=b",
            "/api/tasks?task=a",
            "/api/usage?task=a",
            "/tasks/-?task=..",
        ] {
            assert_eq!(in_place(&asked.parse().unwrap()), None, "{asked}");
        }
    }
}
