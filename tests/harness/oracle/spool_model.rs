//! A spool by its documentation, a second time and as plainly as can be, for comparison.

use steroids_shim::spool::{LONGEST_PAYLOAD, OVERHEAD, PAYLOAD_OFFSET};

/// A record as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model<'a> {
    pub(super) wall_ms: u64,
    pub(super) mono_ms: u64,
    /// 1 and 2 are the pipes.
    pub(super) stream: u8,
    /// Where the payload begins.
    pub(super) raw: u64,
    pub(super) payload: &'a [u8],
}

/// How the records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The next record is not there, or not all of it.
    Waiting,
    /// What stands there is none.
    Damaged,
}

/// The good records, where they end, and why there.
pub(super) fn records(bytes: &[u8]) -> (Vec<Model<'_>>, u64, Stop) {
    let mut records = Vec::new();
    let mut at = 0;
    loop {
        match record(&bytes[at..], at) {
            Ok((record, size)) => {
                records.push(record);
                at += size;
            }
            Err(stop) => return (records, at as u64, stop),
        }
    }
}

fn record(bytes: &[u8], at: usize) -> Result<(Model<'_>, usize), Stop> {
    let magic = bytes.iter().zip(b"sp\x01");
    if magic.clone().any(|(found, wanted)| found != wanted) {
        return Err(Stop::Damaged);
    }
    let header = bytes.get(..PAYLOAD_OFFSET).ok_or(Stop::Waiting)?;
    let number = |range: std::ops::Range<usize>| {
        let field = header[range].iter().rev();
        field.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let length = number(8..12) as usize;
    if length > LONGEST_PAYLOAD {
        return Err(Stop::Damaged);
    }
    let size = length + OVERHEAD;
    let record = bytes.get(..size).ok_or(Stop::Waiting)?;
    let (framed, checksum) = record.split_at(size - 4);
    if crc32(framed).to_le_bytes() != checksum {
        return Err(Stop::Damaged);
    }
    let model = Model {
        wall_ms: number(12..20),
        mono_ms: number(20..28),
        stream: header[3],
        raw: (at + PAYLOAD_OFFSET) as u64,
        payload: &framed[PAYLOAD_OFFSET..],
    };
    Ok((model, size))
}

/// A record with any header and payload, and the checksum that belongs to them.
pub(super) fn append(out: &mut Vec<u8>, header: &[u8; PAYLOAD_OFFSET], payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(header);
    out.extend_from_slice(payload);
    let checksum = crc32(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// The checksum of Ethernet and zip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let polynomial = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            (crc >> 1) ^ polynomial
        })
    })
}
