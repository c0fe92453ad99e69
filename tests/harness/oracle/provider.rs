//! What a provider printed, to activities, whatever it was.

use steroids_provider::activity::{Activity, Stamp, Stream};
use steroids_provider::decoder::{Decoder, Tally};
use steroids_provider::encode::encode_line;
use steroids_provider::kind::{Format, Kind};
use steroids_provider::mapping::Mapping;
use steroids_provider::parser::{EndedBy, Exit, Verdict, Vitals};
use steroids_provider::run::Run;

use super::log_line;
use super::script::{Piece, Script, Sizes};

/// Longest answer that is kept of a run.
const RESPONSE_LIMIT: usize = 64 * 1024;

/// Any bytes give valid lines and one end, the same however the bytes were cut into chunks.
///
/// The script: kind and format; how it ended; how it is cut; then what was printed.
pub fn provider(input: &[u8]) {
    let mut script = Script::new(input);
    let what = script.byte();
    let kind = Kind::ALL[usize::from(what % 0x10 / 2) % Kind::ALL.len()];
    let case = Case {
        kind,
        format: [Format::Json, Format::Text][usize::from(what % 2)],
        run: Run {
            resumed: what & 0x10 != 0,
            cwd: (what & 0x20 != 0).then(|| "/home/dev/app".to_owned()),
            mapping: (kind == Kind::Jsonl).then(mapping),
            zone: (what & 0x40 != 0).then(|| "CET-1CEST,M3.5.0,M10.5.0/3".to_owned()),
        },
        exit: exit(script.byte()),
    };
    let sizes = script.sizes();
    let pieces = script.pieces();
    let whole = case.decode(&pieces);
    case.check(&whole, &pieces);
    let cut = case.decode(&cut(&pieces, sizes));
    assert!(cut == whole, "{case:?} depends on how it was cut");
}

#[derive(Debug)]
struct Case {
    kind: Kind,
    format: Format,
    run: Run,
    exit: Exit,
}

/// All that comes of it.
#[derive(PartialEq)]
struct Decoded {
    log: Vec<u8>,
    tally: Tally,
    vitals: Vitals,
    verdict: Verdict,
}

/// A mapping in which everything occurs, of the keys that recorded lines have.
pub(super) fn mapping() -> Mapping {
    let rules = r#"[
        {"fields": {"session": ["/session_id", "/sessionID"]}},
        {"when": {"/type": ["text", "reasoning"]}, "fields": {"text": ["/part/text"], "thinking": ["/part/text"]}},
        {"when": {"/type": ["assistant"]}, "each": "/message/content",
         "fields": {"text": ["/text"], "tool": ["/name"], "command": ["/input/command"], "input": ["/input"], "call": ["/id"]}},
        {"when": {"/type": ["user"]}, "each": "/message/content",
         "fields": {"call": ["/tool_use_id"], "result": ["/content"]}, "is_error": ["/is_error"]},
        {"when": {"/type": ["message"]}, "fields": {"text": ["/content"]}, "is_delta": true},
        {"when": {"/type": ["step_finish"]}, "fields": {"input_tokens": ["/part/tokens/input"], "cost": ["/part/cost"]}},
        {"when": {"/type": ["error"]}, "fields": {"error": ["/message"], "error_code": ["/error/data/statusCode"]}},
        {"when": {"/type": ["init", "system"]}, "is_ignored": true},
        {"when": {"/type": ["result"]}, "fields": {"answer": ["/result"], "error": ["/error/message"],
         "input_tokens": ["/stats/input_tokens"], "cached_tokens": ["/stats/cached"]},
         "is_error": ["/is_error"], "is_final": true, "is_total": true, "is_input_with_cached": true}
    ]"#;
    Mapping {
        events: serde_json::from_str(rules).expect("the rules are in order"),
        errors: [("auth".to_owned(), vec!["Invalid API key".to_owned()])].into(),
    }
}

fn exit(byte: u8) -> Exit {
    let (code, signal) = match byte % 8 {
        0..4 => (Some(i32::from(byte % 4)), None),
        4 => (Some(143), None),
        5 => (None, Some(9)),
        6 => (None, Some(i32::MAX)),
        _ => (None, None),
    };
    Exit {
        code,
        signal,
        ended_by: match byte / 8 % 8 {
            1 => Some(EndedBy::Stop),
            2 => Some(EndedBy::Wall),
            3 => Some(EndedBy::Silence),
            4 => Some(EndedBy::PostResult),
            5 => Some(EndedBy::Shutdown),
            _ => None,
        },
        duration_ms: 1_234,
        leftovers: u32::from(byte / 64),
        ..Exit::default()
    }
}

fn cut(pieces: &[Piece], mut sizes: Sizes) -> Vec<Piece> {
    let mut smaller = Vec::new();
    for (stream, bytes) in pieces {
        let cut = sizes.cut(bytes, 500).into_iter();
        smaller.extend(cut.map(|piece| (*stream, piece.to_vec())));
    }
    smaller
}

/// Lines of both pipes, those without an end included.
fn lines_printed(pieces: &[Piece]) -> u64 {
    let of_stream = |wanted: Stream| {
        let bytes: Vec<u8> = pieces
            .iter()
            .filter(|(stream, _)| *stream == wanted)
            .flat_map(|(_, bytes)| bytes.iter().copied())
            .collect();
        let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let has_rest = bytes.last().is_some_and(|byte| *byte != b'\n');
        newlines as u64 + u64::from(has_rest)
    };
    of_stream(Stream::Stdout) + of_stream(Stream::Stderr)
}

// === impl Case ===

impl Case {
    fn decode(&self, pieces: &[Piece]) -> Decoded {
        let mut decoder = Decoder::of_run(self.kind, self.format, self.run.clone());
        let mut log = Vec::new();
        let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
        let stamp = |raw| Stamp {
            wall_ms: 1,
            mono_ms: 1,
            raw,
        };
        let mut raw = 0;
        for (stream, bytes) in pieces {
            decoder.feed(*stream, stamp(raw), bytes, &mut sink);
            raw += bytes.len() as u64;
        }
        let vitals = decoder.vitals();
        let verdict = decoder.end(stamp(raw), &self.exit, &mut sink);
        Decoded {
            tally: decoder.tally().clone(),
            log,
            vitals,
            verdict,
        }
    }

    fn check(&self, decoded: &Decoded, pieces: &[Piece]) {
        let Decoded {
            log,
            tally,
            verdict,
            ..
        } = decoded;
        let lines = log_line::lines(log);
        let last = lines.last().map(|line| line.kind.as_str());
        assert_eq!(last, Some("complete"), "{self:?}");
        let end = pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!(lines.last().map(|line| line.raw), Some(end), "{self:?}");

        let unknown = lines.iter().filter(|line| line.kind == "unknown").count();
        assert_eq!(tally.activities, lines.len() as u64, "{self:?}");
        assert_eq!(tally.unknown, unknown as u64, "{self:?}");
        assert_eq!(tally.lines, lines_printed(pieces), "{self:?}");
        let apart: u64 = tally.held.values().chain(tally.ignored.values()).sum();
        assert_eq!(tally.lines, tally.shown + apart, "{self:?}");

        let is_success = verdict.outcome.is_success();
        assert_eq!(is_success, verdict.error.is_none(), "{self:?}: {verdict:?}");
        if let Some(error) = &verdict.error {
            assert!(!error.contains(['\n', '\r']), "{self:?}: {error:?}");
        }
        let answer = verdict.response.as_ref().map_or(0, String::len);
        assert!(answer <= RESPONSE_LIMIT, "{self:?}: {answer} bytes");
    }
}
