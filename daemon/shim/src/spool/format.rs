//! Records as bytes. Appending is infallible and copies the payload once; reading back checks
//! everything before it believes anything.

use steroids_provider::activity::{Stamp, Stream};

use super::{Control, Payload, Record};

/// Bytes of one record's payload at most.
pub const LONGEST_PAYLOAD: usize = 64 * 1024;

/// What a record takes besides its payload.
pub const OVERHEAD: usize = HEADER + CHECKSUM;

/// Where in a record its payload begins.
pub const PAYLOAD_OFFSET: usize = HEADER;

const HEADER: usize = 28;
const CHECKSUM: usize = 4;

const MAGIC: [u8; 2] = *b"sp";
const VERSION: u8 = 1;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const CONTROL: u8 = 3;

/// Set if the payload ends within a line.
const PARTIAL: u8 = 1;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A record, of so many bytes with its frame.
    Record(Record<'a>, usize),
    /// The beginning of one that takes at least so many bytes.
    Beginning(usize),
    /// Something else.
    Damage(&'static str),
}

/// Appends what the provider printed: as many records as it takes, none of them empty.
pub fn append_output(out: &mut Vec<u8>, wall_ms: u64, mono_ms: u64, stream: Stream, bytes: &[u8]) {
    let stream = match stream {
        Stream::Stdout => STDOUT,
        Stream::Stderr => STDERR,
    };
    for payload in bytes.chunks(LONGEST_PAYLOAD) {
        let flags = if payload.ends_with(b"\n") { 0 } else { PARTIAL };
        append(out, wall_ms, mono_ms, stream, flags, payload);
    }
}

/// Appends what was done to the provider. A text that does not fit is cut.
pub fn append_control(out: &mut Vec<u8>, wall_ms: u64, mono_ms: u64, control: &Control) {
    let mut payload = control.encode();
    if payload.len() > LONGEST_PAYLOAD {
        payload = shortened(control).encode();
        payload.truncate(LONGEST_PAYLOAD);
    }
    append(out, wall_ms, mono_ms, CONTROL, 0, &payload);
}

/// How many of these bytes, which begin with a record, are whole records.
pub fn whole_records(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(length) = bytes.get(end..).and_then(payload_length) {
        let next = end + length + OVERHEAD;
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    end
}

fn append(out: &mut Vec<u8>, wall_ms: u64, mono_ms: u64, stream: u8, flags: u8, payload: &[u8]) {
    let start = out.len();
    out.reserve(payload.len() + OVERHEAD);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, stream, flags, 0, 0, 0]);
    // Callers give at most LONGEST_PAYLOAD.
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&wall_ms.to_le_bytes());
    out.extend_from_slice(&mono_ms.to_le_bytes());
    out.extend_from_slice(payload);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// JSON may make six bytes of one.
fn shortened(control: &Control) -> Control {
    let cut = |text: &str| {
        let end = text.floor_char_boundary((LONGEST_PAYLOAD - 256) / 6);
        format!("{}…", &text[..end])
    };
    match control {
        Control::Input { msg } => Control::Input { msg: cut(msg) },
        Control::Notice { level, msg } => Control::Notice {
            level: *level,
            msg: cut(msg),
        },
        Control::Limit {
            limit,
            ends_ms,
            msg,
        } => Control::Limit {
            limit: *limit,
            ends_ms: *ends_ms,
            msg: cut(msg),
        },
        Control::Stop { by, why } => Control::Stop {
            by: *by,
            why: why.as_deref().map(cut),
        },
        Control::Other(raw) => Control::Other(cut(raw)),
    }
}

fn payload_length(bytes: &[u8]) -> Option<usize> {
    let field = bytes.get(8..12)?.first_chunk()?;
    Some(u32::from_le_bytes(*field) as usize)
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Looks at what stands at `position` of a spool.
pub(super) fn parse(bytes: &[u8], position: u64) -> Found<'_> {
    let known = [MAGIC[0], MAGIC[1], VERSION];
    let seen = &bytes[..bytes.len().min(known.len())];
    if !known.starts_with(seen) {
        return Found::Damage("no record begins here");
    }
    let (Some(length), Some(wall_ms), Some(mono_ms)) =
        (payload_length(bytes), number(bytes, 12), number(bytes, 20))
    else {
        return Found::Beginning(OVERHEAD);
    };
    if length > LONGEST_PAYLOAD {
        return Found::Damage("a record longer than there are");
    }
    let size = length + OVERHEAD;
    let Some((framed, checksum)) = bytes
        .get(..size)
        .and_then(|record| record.split_last_chunk::<CHECKSUM>())
    else {
        return Found::Beginning(size);
    };
    if crc32fast::hash(framed) != u32::from_le_bytes(*checksum) {
        return Found::Damage("the checksum does not match");
    }
    let at = Stamp {
        wall_ms,
        mono_ms,
        raw: position + HEADER as u64,
    };
    let payload = payload_of(framed[3], &framed[HEADER..]);
    Found::Record(Record { at, payload }, size)
}

fn payload_of(stream: u8, bytes: &[u8]) -> Payload<'_> {
    let stream = match stream {
        STDOUT => Stream::Stdout,
        STDERR => Stream::Stderr,
        // A stream that a later release adds is handed on as well.
        _ => return Payload::Control(Control::decode(bytes)),
    };
    Payload::Output { stream, bytes }
}
