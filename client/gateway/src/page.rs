//! The page: files that are part of the program, so that there is nothing to find or to mix up.
//! They hold no data and no text of an agent; what they show they ask for.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::IntoResponse as _;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Response, StatusCode};

use crate::Rooms;
use crate::answer::Answer;

include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// A file of the page.
struct File {
    name: &'static str,
    bytes: &'static [u8],
    /// Quoted; changes with the bytes.
    etag: &'static str,
}

/// Its paths.
pub(crate) fn routes() -> Router<Rooms> {
    let shell = || get(|headers: HeaderMap| async move { serve("index.html", &headers) });
    Router::new()
        .route("/", shell())
        .route("/usage", shell())
        .route("/tasks/", shell())
        .route("/tasks/{*rest}", shell())
        .route(
            "/assets/{name}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { serve(&name, &headers) }),
        )
}

fn serve(name: &str, asked: &HeaderMap) -> Response<Body> {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Answer::bad(StatusCode::NOT_FOUND, "there is nothing here").into_response();
    };
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static(file.etag));
    // Who keeps it all the same (a browser may not: see `headers`) asks again each time, since the page and the
    // program are always of one version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let has_it = asked
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == file.etag));
    if has_it {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    let kind = HeaderValue::from_static(kind_of(file.name));
    headers.insert(CONTENT_TYPE, kind);
    *answer.body_mut() = Body::from(file.bytes);
    answer
}

/// What a browser is to take a file for; it is told not to guess.
fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json" | "webmanifest") => "application/json",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

// What the build makes bundles with; a build script's own tests would not run.
#[cfg(test)]
#[path = "../build/bundle.rs"]
mod bundle;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_every_file_has_a_kind() {
        let page = serve("index.html", &HeaderMap::new());
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        for file in FILES {
            assert_ne!(
                kind_of(file.name),
                "application/octet-stream",
                "{}",
                file.name
            );
        }
    }

    #[test]
    fn who_has_a_file_is_told_so() {
        let tag = serve("index.html", &HeaderMap::new()).headers()[ETAG].clone();
        let mut asked = HeaderMap::new();
        asked.insert(IF_NONE_MATCH, tag);
        assert_eq!(serve("index.html", &asked).status(), 304);
        asked.insert(IF_NONE_MATCH, "\"other\"".parse().unwrap());
        assert_eq!(serve("index.html", &asked).status(), 200);
    }

    #[test]
    fn the_script_is_of_the_build_that_is_told() {
        let text = |name: &str| {
            let file = FILES.iter().find(|file| file.name == name).unwrap();
            std::str::from_utf8(file.bytes).unwrap()
        };
        let said = text("build.js").strip_prefix("export ").unwrap();
        assert!(said.len() > "const BUILD = '';".len(), "{said}");
        assert!(text("page.js").contains(said), "{said}");
    }

    #[test]
    fn there_is_nothing_else() {
        for name in ["", "..", "../Cargo.toml", "index.html/", "x.js"] {
            assert_eq!(serve(name, &HeaderMap::new()).status(), 404, "{name}");
        }
    }
}
