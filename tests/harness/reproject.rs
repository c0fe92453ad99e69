//! The log as it would have come out had nothing disturbed it: one pass over an invocation's spool,
//! with the same decoder and encoder but none of the daemon's projection.

use std::fs;
use std::path::Path;

use steroids_proto::v1;
use steroids_provider::activity::{Activity, Level, Mode, Stamp, Text};
use steroids_provider::decoder::Decoder;
use steroids_provider::encode::encode_line;
use steroids_provider::outcome::Outcome;
use steroids_provider::run::Run;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use steroids_shim::spool::{Control, Payload, Reader};

use crate::{Ctl, log};

/// Panics unless the log of an ended invocation is whole, and what its spool says, byte for byte.
pub fn assert_undisturbed(ctl: &Ctl, invocation: &v1::Invocation) {
    let path = ctl.log_path(invocation.id);
    log::assert_whole(&log::lines(&path));
    let on_disk = fs::read(path).expect("it could be read before");
    let undisturbed = reprojected(&ctl.home().invocation_dir(&invocation.uuid));
    if on_disk == undisturbed {
        return;
    }
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (on_disk, undisturbed) = (text(&on_disk), text(&undisturbed));
    let mut both = on_disk.lines().zip(undisturbed.lines()).enumerate();
    if let Some((line, (left, right))) = both.find(|(_, (left, right))| left != right) {
        let id = invocation.id;
        panic!("line {line} of invocation {id}:\n{left}\nfrom its spool:\n{right}");
    }
    let (left, right) = (on_disk.lines().count(), undisturbed.lines().count());
    panic!("{left} lines in the log, {right} from the spool");
}

/// The bytes of the log of the ended invocation whose state is in `folder`.
pub fn reprojected(folder: &Path) -> Vec<u8> {
    let folder = InvDir::at(folder);
    let spec = Spec::load(&folder).expect("a started invocation has a spec");
    let exit = ExitRecord::load(&folder).expect("an exit record can be read");
    let exit = exit.expect("an ended invocation has an exit record");
    let mut log = Vec::new();
    let mut redactor = spec.redactor();
    let mut encode = |log: &mut Vec<u8>, at: Stamp, activity: &Activity<'_>| {
        let redacted = redactor.activity(activity);
        encode_line(log, at, redacted.as_ref().unwrap_or(activity));
    };
    let start = Stamp {
        wall_ms: spec.created_ms,
        ..Stamp::default()
    };
    encode(&mut log, start, &start_of(&spec));

    let run = Run {
        resumed: spec.resume.is_some(),
        cwd: Some(spec.cwd.to_string_lossy().into_owned()),
        mapping: spec.mapping.clone(),
        zone: spec.zone.clone(),
    };
    let mut decoder = Decoder::of_run(spec.kind, spec.format, run);
    let mut spool = Reader::open(&folder.spool()).expect("an ended invocation has a spool");
    let mut last_ms = 0;
    while let Some(record) = spool.next().expect("its spool is whole") {
        let mut write = |at: Stamp, activity: &Activity<'_>| {
            last_ms = at.wall_ms;
            encode(&mut log, at, activity);
        };
        match record.payload {
            Payload::Output { stream, bytes } => decoder.feed(stream, record.at, bytes, &mut write),
            Payload::Control(control) => {
                if matches!(control, Control::Input { .. }) {
                    decoder.asked();
                }
                control_line(record.at, &control, &mut write);
            }
        }
    }
    let end = Stamp {
        wall_ms: exit.ended_ms.max(last_ms),
        mono_ms: 0,
        raw: exit.spool_length,
    };
    let why = match &exit.end {
        End::Ran { .. } => None,
        End::NeverStarted { error, .. } => Some((error, Outcome::NeverStarted)),
        End::Cancelled { error } => Some((error, Outcome::Cancelled)),
        End::Lost { error } => Some((error, Outcome::Lost)),
    };
    let mut write = |at: Stamp, activity: &Activity<'_>| match activity {
        // Of one that never ran, or was lost, the last line is another.
        Activity::Complete(_) if why.is_some() => {}
        _ => encode(&mut log, at, activity),
    };
    decoder.end(end, &exit.facts().unwrap_or_default(), &mut write);
    if let Some((error, outcome)) = why {
        let error = error.as_str().into();
        encode(&mut log, end, &Activity::Error { error, outcome });
    }
    log
}

fn start_of(spec: &Spec) -> Activity<'_> {
    let mode = match spec.resume {
        Some(_) => Mode::Resume,
        None => Mode::Fresh,
    };
    Activity::Start {
        role: spec.role.as_str().into(),
        provider: spec.provider.as_str().into(),
        model: spec.model.as_str().into(),
        mode,
        cwd: spec.cwd.to_string_lossy(),
    }
}

fn control_line(at: Stamp, control: &Control, write: &mut dyn FnMut(Stamp, &Activity<'_>)) {
    let text = |msg: &str| Text {
        text: msg.to_owned().into(),
        ..Text::default()
    };
    match control {
        Control::Input { msg } => write(at, &Activity::Input { msg: text(msg) }),
        Control::Notice { level, msg } => {
            // Nothing that a run survives is an error to its reader.
            let level = match level {
                Level::Info => Level::Info,
                Level::Warn | Level::Error => Level::Warn,
            };
            let msg = text(msg);
            write(at, &Activity::Notice { level, msg });
        }
        Control::Limit { ends_ms, msg, .. } => {
            let level = match ends_ms {
                Some(_) => Level::Warn,
                None => Level::Info,
            };
            let msg = text(msg);
            write(at, &Activity::Notice { level, msg });
        }
        // Told by the terminal line.
        Control::Stop { .. } | Control::Other(_) => {}
    }
}
