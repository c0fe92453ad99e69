//! `Outline` and `Read`: requests into queries, and what was found onto the wire.

use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use super::{Service, convert, missing};
use crate::browse::{self, Filter, Line, OutlineQuery, Passage, ReadQuery};
use crate::domain::InvocationId;
use crate::domain::cursor::MAX_CURSOR;

const PLACES_DEFAULT: usize = 2048;
const PLACES_MAX: usize = 4096;
const LINES_DEFAULT: usize = 200;
const LINES_MAX: usize = 1000;
/// There are some twenty types.
const TYPES_MAX: usize = 64;
const TEXT_MAX: usize = 1024;
/// Providers' own ids have under 80 bytes.
const CALL_MAX: usize = 4096;

pub(super) async fn outline(
    service: &Service,
    request: v1::OutlineRequest,
) -> Result<v1::OutlineResponse, Status> {
    let id = convert::id(request.id)?;
    let query = OutlineQuery {
        filter: filter(request.filter)?,
        after: cursor(request.after, "after")?,
        until: cursor(request.until, "until")?,
        max_places: most(request.max_places, "max_places", PLACES_DEFAULT, PLACES_MAX)?,
    };
    let root = convert::project(&request.project, "project")?;
    let cared = service.supervisor.cared(&root);
    let project = service.project(&root).await?;
    let outline = browse::outline(&project, id, query).await;
    let outline = outline.map_err(|error| missing::refusal(&cared, error))?;
    let places = outline.places.into_iter().map(|place| v1::Place {
        cursor: place.cursor,
        ts: place.ts,
    });
    Ok(v1::OutlineResponse {
        lines: count(outline.lines),
        stride: count(outline.stride),
        places: places.collect(),
        end: outline.end,
    })
}

pub(super) async fn read(
    service: &Service,
    request: v1::ReadRequest,
) -> Result<v1::ReadResponse, Status> {
    let id = convert::id(request.id)?;
    let query = ReadQuery {
        filter: filter(request.filter)?,
        after: cursor(request.after, "after")?,
        limit: most(request.limit, "limit", LINES_DEFAULT, LINES_MAX)?,
        with_results: request.results,
    };
    let root = convert::project(&request.project, "project")?;
    let cared = service.supervisor.cared(&root);
    let project = service.project(&root).await?;
    let passage = browse::read(&project, id, query).await;
    let Passage {
        lines,
        results,
        next,
        more,
        no_log,
    } = passage.map_err(|error| missing::refusal(&cared, error))?;
    Ok(v1::ReadResponse {
        events: events(id, lines),
        results: events(id, results),
        next,
        more,
        no_log,
    })
}

fn events(id: InvocationId, lines: Vec<Line>) -> Vec<v1::Event> {
    let event = |line: Line| v1::Event {
        cursor: line.cursor,
        invocation_id: id.get(),
        ts: line.ts,
        r#type: line.kind,
        line: line.bytes,
        project: String::new(),
    };
    lines.into_iter().map(event).collect()
}

fn filter(filter: Option<v1::LineFilter>) -> Result<Filter, Status> {
    let filter = filter.unwrap_or_default();
    if filter.types.len() > TYPES_MAX {
        let most = format!("must not be over {TYPES_MAX}");
        return Err(invalid("filter.types", most));
    }
    Ok(Filter {
        types: filter.types,
        text: short(filter.text, "filter.text", TEXT_MAX)?,
        call: short(filter.call_id, "filter.call_id", CALL_MAX)?,
        ok: filter.ok,
    })
}

fn short(text: String, field: &'static str, most: usize) -> Result<String, Status> {
    if text.len() > most {
        return Err(invalid(field, format!("must not be over {most} bytes")));
    }
    Ok(text)
}

fn cursor(cursor: String, field: &'static str) -> Result<String, Status> {
    if cursor.len() > MAX_CURSOR {
        return Err(invalid(field, "is longer than any cursor"));
    }
    Ok(cursor)
}

/// How many are asked for: the default where that is zero, and no more than there may be.
fn most(asked: i32, field: &'static str, default: usize, most: usize) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) => Ok(asked.min(most)),
        Err(_) => Err(invalid(field, "must not be negative")),
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
