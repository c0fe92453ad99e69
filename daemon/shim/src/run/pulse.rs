//! The provider's parser, run for what the limits need to know of it, and for what people want to:
//! what it waits for.

use steroids_provider::activity::{Activity, Stamp, Stream};
use steroids_provider::decoder::Decoder;
use steroids_provider::kind::Kind;
use steroids_provider::parser::{Sink, Vitals};
use steroids_provider::waits::{Wait, Waits};
use steroids_shim::spec::Spec;

/// What a provider is at, as far as it tells.
pub(crate) struct Pulse(Option<Beat>);

struct Beat {
    decoder: Decoder,
    waits: Waits,
}

impl Pulse {
    /// Reads along only where a limit depends on what the provider says, or is to be explained by it.
    pub(crate) fn of(spec: &Spec) -> Pulse {
        let limits = &spec.limits;
        let asked = [
            limits.silence_ms,
            limits.tool_silence_ms,
            limits.wall_ms,
            limits.post_result_ms,
        ];
        let tells = spec.kind != Kind::Command;
        let is_asked = tells && asked.iter().any(Option::is_some);
        Pulse(is_asked.then(|| Beat {
            decoder: Decoder::of_run(spec.kind, spec.format, spec.run()),
            waits: Waits::of_run(spec.kind, spec.format, &spec.run()),
        }))
    }

    /// Takes what the provider printed.
    pub(crate) fn feed(&mut self, stream: Stream, at: Stamp, bytes: &[u8]) {
        if let Some(Beat { decoder, waits }) = &mut self.0 {
            decoder.feed(stream, at, bytes, &mut Noting(waits));
        }
    }

    /// A message was handed to the provider: its result is not the last one.
    pub(crate) fn asked(&mut self) {
        if let Some(beat) = &mut self.0 {
            beat.decoder.asked();
        }
    }

    /// What is known now.
    pub(crate) fn vitals(&self) -> Vitals {
        let beat = self.0.as_ref();
        beat.map(|beat| beat.decoder.vitals()).unwrap_or_default()
    }

    /// What it waits for.
    pub(crate) fn waits_for(&self) -> Wait {
        match &self.0 {
            Some(Beat { decoder, waits }) => {
                let wait = waits.now(decoder.vitals()).what;
                match decoder.unfinished() {
                    Some(_) => wait.within_line(),
                    None => wait,
                }
            }
            None => Wait::Output,
        }
    }
}

/// Notes what came; making lines of it is the daemon's.
struct Noting<'a>(&'a mut Waits);

impl Sink for Noting<'_> {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        self.0.note(at, activity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"{"proto":1,"uuid":"u","invocation":1,"project":"/p","task":"t","role":"r","provider":"claude","kind":"claude","format":"json","model":"","resume":null,"request_id":"","request_hash":"","argv":["/x"],"env":[],"cwd":"/","prompt":"","interactive":true,"leave_background":false,"limits":{"silence_ms":null,"tool_silence_ms":null,"wall_ms":null,"post_result_ms":50,"grace_ms":1},"created_ms":1,"boot_id":"","socket":"/s"}"#;

    #[test]
    fn one_that_was_sent_a_message_has_no_result_until_it_gives_another() {
        let spec: Spec = serde_json::from_str(SPEC).unwrap();
        let mut pulse = Pulse::of(&spec);
        let prints = |pulse: &mut Pulse, line: &str| {
            let bytes = format!("{line}\n");
            pulse.feed(Stream::Stdout, Stamp::default(), bytes.as_bytes());
            pulse.vitals().result_seen
        };
        let result = r#"{"type":"result","subtype":"success","is_error":false,"result":"ok"}"#;
        assert!(prints(&mut pulse, result));
        pulse.asked();
        assert!(!pulse.vitals().result_seen);
        // What is printed on the way to an answer is none.
        let begins = r#"{"type":"system","subtype":"init","session_id":"s"}"#;
        assert!(!prints(&mut pulse, begins));
        assert!(prints(&mut pulse, result));
    }

    #[test]
    fn one_that_has_begun_a_line_is_not_said_to_wait_for_the_model() {
        let spec: Spec = serde_json::from_str(SPEC).unwrap();
        let mut pulse = Pulse::of(&spec);
        pulse.feed(Stream::Stdout, Stamp::default(), br#"{"type":"#);
        assert_eq!(pulse.waits_for(), Wait::Model);
        pulse.feed(Stream::Stderr, Stamp::default(), b"Continue? [y/N] ");
        assert_eq!(pulse.waits_for(), Wait::Line);
        pulse.feed(Stream::Stderr, Stamp::default(), b"n\n");
        assert_eq!(pulse.waits_for(), Wait::Model);
    }
}
