//! What is logged: a task's story, where the lines of a log are, and some of them. Lines go through
//! byte for byte; where several invocations are mixed, theirs is put in first.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use steroids_client::{Splice, splice, v1};
use tokio::sync::Semaphore;

use super::asked::{Asked, Place, of_project, place};
use super::invocations::find;
use crate::Rooms;
use crate::answer::{Answer, bad_request, in_place_of};

/// A story that is longer is sampled too finely to be read, and would have to be held here.
const LONGEST_STORY: usize = 64 * 1024 * 1024;

/// Told at a time: each is held twice, as it came and as it goes.
const STORIES: usize = 2;

/// The longest story takes a second or two; a daemon that stops in the middle is not waited for.
const STORY_WITHIN: Duration = Duration::from_secs(60);

/// Turns at telling a story. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Stories(Arc<Semaphore>);

impl Default for Stories {
    fn default() -> Self {
        Stories(Arc::new(Semaphore::new(STORIES)))
    }
}

/// A task's story over all its invocations.
pub(super) async fn timeline(
    State(rooms): State<Rooms>,
    Path(task): Path<String>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let project = asked.project()?;
    let sample: i32 = asked.value("sample")?.unwrap_or(10);
    if sample < 1 {
        return Err(bad_request("Invalid query parameter: sample"));
    }
    let request = v1::TimelineRequest {
        project: project.to_owned(),
        task_id: task,
        sample,
    };
    let told = async {
        // Never closed, so there is always a turn to wait for.
        let _turn = rooms.stories.0.acquire().await;
        tell(&rooms, request).await
    };
    let late = "the timeline was not told in time; ask with a larger sample";
    tokio::time::timeout(STORY_WITHIN, told)
        .await
        .unwrap_or_else(|_| Err(Answer::bad(StatusCode::GATEWAY_TIMEOUT, late)))
}

async fn tell(rooms: &Rooms, request: v1::TimelineRequest) -> Result<Answer, Answer> {
    let project = request.project.clone();
    let client = rooms.daemon.client().await?;
    let mut entries = Vec::new();
    let mut size = 0;
    let mut chunks = match client.timeline(request).await {
        // A task nobody knows has no story; that is no error.
        Err(status) if is_no_task(&status) => {
            return Ok(story(entries));
        }
        chunks => chunks.map_err(of_project(&project))?,
    };
    while let Some(chunk) = chunks.message().await.map_err(of_project(&project))? {
        size += chunk.entries.iter().map(|it| it.len()).sum::<usize>();
        if size > LONGEST_STORY {
            let error = "the timeline is too long; ask with a larger sample";
            return Err(bad_request(error));
        }
        entries.extend(chunk.entries);
    }
    Ok(story(entries))
}

fn story(entries: Vec<bytes::Bytes>) -> Answer {
    Answer::good().with_list("timeline", entries, |entry, out| {
        out.extend_from_slice(entry);
    })
}

fn is_no_task(status: &tonic::Status) -> bool {
    let refusal = steroids_client::Refusal::of(status);
    refusal.reason.as_deref() == Some("NO_TASK")
}

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
        max_places: asked.value("places")?.unwrap_or(0),
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
        limit: asked.value("limit")?.unwrap_or(0),
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
