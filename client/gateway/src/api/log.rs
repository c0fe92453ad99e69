//! What is logged: where the lines of a log are, and some of them. Lines go through byte for byte;
//! where several invocations are mixed, theirs is put in first.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use steroids_client::{Splice, splice, v1};

use super::asked::{Asked, NUMBER, Place, place};
use super::invocations::find;
use crate::Rooms;
use crate::answer::{Answer, in_place_of, of_project};

/// Where the lines are.
pub(super) async fn outline(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = asked.project()?;
    let request = v1::OutlineRequest {
        project: project.to_owned(),
        id: place.id,
        filter: filter(&asked)?,
        after: asked.text("after").unwrap_or_default().to_owned(),
        until: asked.text("until").unwrap_or_default().to_owned(),
        max_places: asked.value("places", NUMBER)?.unwrap_or(0),
    };
    let client = rooms.daemon.client().await?;
    find(&client, project, &place).await?;
    let outline = client.outline(request).await.map_err(of_project(project))?;
    let places: Vec<_> = outline
        .places
        .iter()
        .map(|place| (&place.cursor, place.ts))
        .collect();
    Ok(Answer::good()
        .with("lines", outline.lines)
        .with("stride", outline.stride)
        .with("places", places)
        .with("end", &outline.end))
}

/// Some of the lines.
pub(super) async fn lines(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = asked.project()?;
    let results = asked.yes("results")?.unwrap_or(false);
    let request = v1::ReadRequest {
        project: project.to_owned(),
        id: place.id,
        filter: filter(&asked)?,
        after: asked.text("after").unwrap_or_default().to_owned(),
        limit: asked.value("limit", NUMBER)?.unwrap_or(0),
        results,
    };
    let client = rooms.daemon.client().await?;
    find(&client, project, &place).await?;
    let read = client.read(request).await.map_err(of_project(project))?;
    let mut answer = Answer::good().with_list("events", read.events, write_event);
    if results {
        answer = answer.with_list("results", read.results, write_event);
    }
    Ok(answer.with("next", &read.next).with("more", read.more))
}

/// `["cursor",{the line}]`
fn write_event(event: &v1::Event, out: &mut Vec<u8>) {
    out.push(b'[');
    let cursor = serde_json::Value::from(event.cursor.as_str());
    out.extend_from_slice(cursor.to_string().as_bytes());
    out.push(b',');
    // Another tool's line may be anything; in a list it would spoil the others.
    match in_place_of(&event.line, event.invocation_id) {
        None => splice(event, Splice::Invocation, out),
        Some(shown) => out.extend_from_slice(shown.as_bytes()),
    }
    out.push(b']');
}

/// Which lines are meant; none where all are.
fn filter(asked: &Asked) -> Result<Option<v1::LineFilter>, Answer> {
    let types = asked.text("types").unwrap_or_default();
    let filter = v1::LineFilter {
        types: types
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        text: asked.text("q").unwrap_or_default().to_owned(),
        call_id: asked.text("call").unwrap_or_default().to_owned(),
        ok: asked.yes("ok")?,
    };
    Ok((filter != v1::LineFilter::default()).then_some(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &'static [u8]) -> String {
        let event = v1::Event {
            cursor: "4:a:\"9\"".to_owned(),
            invocation_id: 4,
            line: line.into(),
            ..v1::Event::default()
        };
        let mut out = Vec::new();
        write_event(&event, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_goes_through_byte_for_byte() {
        assert_eq!(
            written(br#"{"ts": 1.50,"msg":"\u003c/script\u003e"}"#),
            r#"["4:a:\"9\"",{"invocationId":4,"ts": 1.50,"msg":"\u003c/script\u003e"}]"#
        );
    }

    #[test]
    fn what_is_no_json_spoils_nothing() {
        for line in [&b"{\"half\": "[..], b"\xff\xfe", b"} ] \"", b""] {
            let event = v1::Event {
                line: line.to_vec().into(),
                ..v1::Event::default()
            };
            let mut out = Vec::new();
            write_event(&event, &mut out);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value[1]["type"], "unknown");
        }
    }
}
