//! The two ends a person sees: stdout, buffered and perhaps coloured, and notes on stderr.
//!
//! Colour is for terminals (`NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` are honoured). Log lines
//! pass as bytes: nothing here looks into them, but for what a terminal would act on where they go to one.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use anstream::{AutoStream, ColorChoice};

/// A batch of events in one write; a person's command never fills it.
const BUFFER: usize = 64 * 1024;

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// Less than the rest.
    Dim,
    /// More than the rest.
    Bold,
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Look here.
    Warn,
    /// What the agent does.
    Accent,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Dim => "\x1b[2m",
            Style::Bold => "\x1b[1m",
            Style::Good => "\x1b[32m",
            Style::Bad => "\x1b[31m",
            Style::Warn => "\x1b[33m",
            Style::Accent => "\x1b[36m",
        }
    }

    /// The text in this style, where there are colours.
    pub(crate) fn paint(self, colour: bool, text: impl Display) -> String {
        match self {
            Style::Plain => text.to_string(),
            _ if !colour => text.to_string(),
            style => format!("{}{text}\x1b[0m", style.code()),
        }
    }
}

/// Standard output.
pub(crate) struct Out {
    writer: BufWriter<Stdout>,
    /// Whether styles are written.
    pub(crate) colour: bool,
    /// Whether a person reads along.
    pub(crate) is_terminal: bool,
}

impl Out {
    /// Looks at what stdout is.
    pub(crate) fn new(no_color: bool) -> Self {
        let stdout = io::stdout();
        Out {
            colour: !no_color && AutoStream::choice(&stdout) != ColorChoice::Never,
            is_terminal: stdout.is_terminal(),
            writer: BufWriter::with_capacity(BUFFER, stdout),
        }
    }

    /// Columns a table may take; `None` where no terminal sets a bound.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.is_terminal {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then(|| usize::from(size.ws_col))
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.writer, "{text}")
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        self.encoded(&serde_json::to_vec(value)?)?;
        self.writer.write_all(b"\n")
    }

    /// What is JSON already: byte for byte, unless a person reads along, who gets the same values.
    pub(crate) fn encoded(&mut self, json: &[u8]) -> io::Result<()> {
        match self.is_terminal {
            true => self.writer.write_all(&escaped(json)),
            false => self.writer.write_all(json),
        }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// Hands everything on.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// JSON without the control characters that it may hold as they are and a terminal acts on (U+009B begins a sequence as
/// ESC [ does): written as escapes. In what is no JSON, of which a log may have a line, the others as well.
fn escaped(json: &[u8]) -> Cow<'_, [u8]> {
    let mut escaped = Vec::new();
    let (mut at, mut kept) = (0, 0);
    while let Some(&byte) = json.get(at) {
        let (control, length) = match (byte, json.get(at + 1)) {
            (0xc2, Some(&second @ 0x80..=0x9f)) => (second, 2),
            (0..=8 | 11 | 12 | 14..=31 | 0x7f, _) => (byte, 1),
            _ => {
                at += 1;
                continue;
            }
        };
        escaped.extend_from_slice(&json[kept..at]);
        escaped.extend_from_slice(format!("\\u{control:04x}").as_bytes());
        at += length;
        kept = at;
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    escaped.extend_from_slice(&json[kept..]);
    Cow::Owned(escaped)
}

/// Whether notes on stderr are coloured.
pub(crate) fn stderr_colour(no_color: bool) -> bool {
    !no_color && AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Whether a person sees stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Says a line beside the output. Nothing depends on its being read.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Resolves once nobody reads stdout any more; never, where that cannot be told.
///
/// `stream | head` would otherwise stay until the agent prints its next line.
pub(crate) async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, poll};

    let (tell, told) = tokio::sync::oneshot::channel();
    // Ends with the process: there is nothing to tidy up, and no way to interrupt it.
    std::thread::spawn(move || {
        let stdout = io::stdout();
        // Nothing is asked for: an error or a hang-up is told of all the same.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        if poll(&mut watched, None).is_ok() {
            let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
            if watched[0].revents().intersects(gone) {
                let _ = tell.send(());
            }
        }
    });
    if told.await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_written_only_where_there_are_colours() {
        assert_eq!(Style::Bad.paint(false, "x"), "x");
        assert_eq!(Style::Plain.paint(true, "x"), "x");
        assert_eq!(Style::Bad.paint(true, "x"), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn json_on_a_terminal_has_no_controls_and_the_same_values() {
        let text = "a\u{9b}31m\u{80}\u{9f}\u{7f}\u{a0}é\u{2028}\u{202e}\u{1b}[2J\n🌳";
        let json = serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap();
        let shown = escaped(&json);
        let shown = std::str::from_utf8(&shown).unwrap();
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(shown.contains("a\\u009b31m"), "{shown}");
        let value: serde_json::Value = serde_json::from_str(shown).unwrap();
        assert_eq!(value["text"], text);
    }

    #[test]
    fn what_a_terminal_does_not_act_on_is_as_it_was() {
        for line in ["{\"a\":\"häuser\"}\r\n\t", ""] {
            assert!(matches!(escaped(line.as_bytes()), Cow::Borrowed(_)));
        }
        assert_eq!(&*escaped(b"torn \xc2"), b"torn \xc2");
        assert_eq!(&*escaped(b"no JSON \x1b]0;t"), b"no JSON \\u001b]0;t");
    }
}
