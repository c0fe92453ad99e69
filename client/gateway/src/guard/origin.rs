//! For whom a request is meant, and whose page it comes from.

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode};

use super::route::Route;
use super::{Refused, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE, Settings, refused};

const FOREIGN_HOST: Refused = refused(
    "host",
    StatusCode::FORBIDDEN,
    "this name is not served here",
);
const FOREIGN_SITE: Refused = refused(
    "site",
    StatusCode::FORBIDDEN,
    "pages of other origins are not served",
);
const FOREIGN_ORIGIN: Refused = refused(
    "origin",
    StatusCode::FORBIDDEN,
    "pages of other origins are not served",
);

/// There is exactly one `Host`, it is ours, and an absolute target says the same.
pub(super) fn host(head: &Parts, settings: &Settings) -> Result<(), Refused> {
    let Some(host) = only(&head.headers, &HOST) else {
        let status = StatusCode::BAD_REQUEST;
        return Err(refused("host", status, "there must be one Host"));
    };
    if !is_one_of(&settings.hosts, host) {
        return Err(FOREIGN_HOST);
    }
    let scheme = head.uri.scheme_str();
    match head.uri.authority() {
        None => Ok(()),
        Some(named) if named.as_str().eq_ignore_ascii_case(host) && scheme == Some("http") => {
            Ok(())
        }
        Some(_) => Err(FOREIGN_HOST),
    }
}

/// The request comes from a page of ours, or from no page at all.
pub(super) fn site(head: &Parts, settings: &Settings, route: Option<Route>) -> Result<(), Refused> {
    if head.headers.contains_key(SEC_FETCH_SITE) {
        let from = only(&head.headers, &SEC_FETCH_SITE);
        // A link elsewhere may lead to the page: that holds no data, and nobody may frame it.
        let is_ours = matches!(from, Some("same-origin" | "none"));
        if !is_ours && !is_navigation(head, route) {
            return Err(FOREIGN_SITE);
        }
    }
    if head.headers.contains_key(ORIGIN) {
        let origin = only(&head.headers, &ORIGIN).ok_or(FOREIGN_ORIGIN)?;
        if !is_one_of(&settings.origins, origin) {
            return Err(FOREIGN_ORIGIN);
        }
    }
    Ok(())
}

/// Whether a person follows a link to the page.
fn is_navigation(head: &Parts, route: Option<Route>) -> bool {
    route == Some(Route::Shell)
        && head.method == Method::GET
        && only(&head.headers, &SEC_FETCH_MODE) == Some("navigate")
        && only(&head.headers, &SEC_FETCH_DEST) == Some("document")
}

/// The value of a header that stands exactly once, in plain text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Names and origins know no case.
fn is_one_of(ours: &[String], name: &str) -> bool {
    ours.iter().any(|our| our.eq_ignore_ascii_case(name))
}
