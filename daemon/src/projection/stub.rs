//! The log of an invocation that left nothing to project: its first line and its last.

use steroids_provider::activity::{Activity, Mode, Stamp};
use steroids_provider::encode::encode_line;
use steroids_provider::redact::Redactor;
use steroids_shim::exit::ExitRecord;

use super::ending::failure;
use crate::activity_log::{ActivityLogs, LogError};
use crate::domain::Invocation;

/// Writes both lines, unless the log holds something already: then only the last, and not even that
/// where an attempt before this one got so far, or the log is compressed: then it had its last line,
/// whatever its row says, and a plain one would hide it.
pub fn write_stub(
    logs: &ActivityLogs,
    row: &Invocation,
    exit: &ExitRecord,
) -> Result<(), LogError> {
    let held = logs.recover(row.id)?;
    if held.is_none() && logs.is_packed(row.id) {
        return Ok(());
    }
    let tail = held.as_ref().and_then(|held| held.tail);
    if tail.is_some_and(|tail| tail.is_terminal) {
        return Ok(());
    }
    let (error, outcome) = failure(&exit.end);
    // Its specification is gone; what has the shape of a token is hidden all the same.
    let error = Redactor::of_shapes().text(&error).into_owned();
    let mut lines = Vec::new();
    let mut last = Stamp {
        wall_ms: exit.ended_ms,
        ..Stamp::default()
    };
    match held.filter(|held| held.len.get() > 0) {
        Some(_) => last.raw = tail.map_or(0, |tail| tail.raw),
        None => {
            let started = row.started_ms.and_then(|at| u64::try_from(at).ok());
            let first = Stamp {
                wall_ms: started.unwrap_or(exit.ended_ms),
                ..Stamp::default()
            };
            encode_line(&mut lines, first, &start(row));
        }
    }
    let terminal = Activity::Error {
        error: error.into(),
        outcome,
    };
    encode_line(&mut lines, last, &terminal);
    let mut writer = logs.writer(row.id)?;
    writer.append(&lines)?;
    writer.sync()
}

fn start(row: &Invocation) -> Activity<'_> {
    let managed = row.managed.as_ref();
    Activity::Start {
        role: row.role.as_str().into(),
        provider: row.provider.as_str().into(),
        model: row.model.as_str().into(),
        mode: match managed.map(|managed| managed.mode.as_str()) {
            Some("resume") => Mode::Resume,
            _ => Mode::Fresh,
        },
        cwd: managed.map_or("".into(), |managed| managed.cwd.to_string_lossy()),
    }
}
