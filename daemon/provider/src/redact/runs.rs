//! How far the characters of a kind go, in one text. What was gone through is remembered, so that
//! many questions about one text cost no more than its length.

use std::ops::Range;

/// Characters that stand in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LetterOrDigit,
    LetterDigitOrDash,
    CapitalOrDigit,
    Word,
    WordOrDash,
    /// As before, but asked for at other places.
    Claims,
    Signature,
    Base64,
    /// Base64 in lines, or in a string that has some.
    KeyBody,
    Bearer,
}

/// Of the last variant, and one.
const KINDS: usize = Kind::Bearer as usize + 1;

impl Kind {
    /// Whether a character is of that kind.
    pub(super) fn has(self, byte: u8) -> bool {
        let is_base64 = || byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        match self {
            Kind::LetterOrDigit => byte.is_ascii_alphanumeric(),
            Kind::LetterDigitOrDash => byte.is_ascii_alphanumeric() || byte == b'-',
            Kind::CapitalOrDigit => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Kind::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Kind::WordOrDash | Kind::Claims | Kind::Signature => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
            }
            Kind::Base64 => is_base64(),
            Kind::KeyBody => is_base64() || byte.is_ascii_whitespace() || byte == b'\\',
            Kind::Bearer => is_base64() || matches!(byte, b'-' | b'.' | b'_' | b'~'),
        }
    }
}

/// The runs of one text.
pub(super) struct Runs<'t> {
    bytes: &'t [u8],
    /// Of each kind the run that goes furthest of those that were asked for.
    known: [Option<Range<usize>>; KINDS],
    #[cfg(test)]
    looked_at: usize,
}

impl<'t> Runs<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Runs<'t> {
        Runs {
            bytes,
            known: [const { None }; KINDS],
            #[cfg(test)]
            looked_at: 0,
        }
    }

    /// Where the run of that kind ends that begins at `from`.
    pub(super) fn end(&mut self, kind: Kind, from: usize) -> usize {
        let known = self.known[kind as usize].clone();
        if let Some(known) = &known
            && (known.start..=known.end).contains(&from)
        {
            return known.end;
        }
        let mut at = from;
        while self.bytes.get(at).is_some_and(|&byte| kind.has(byte)) {
            if let Some(known) = known.as_ref().filter(|known| known.start == at) {
                at = known.end;
                break;
            }
            at += 1;
            #[cfg(test)]
            {
                self.looked_at += 1;
            }
        }
        // One that ends before the known one was asked for late, and is short.
        if known.is_none_or(|known| at >= known.end) {
            self.known[kind as usize] = Some(from..at);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_looked_at_once_however_many_runs_have_it() {
        let text = format!("{} {}", "ab-".repeat(1000), "x".repeat(1000));
        let mut runs = Runs::new(text.as_bytes());
        for from in 0..text.len() {
            let end = runs.end(Kind::WordOrDash, from);
            let (first, second) = (3000, text.len());
            assert_eq!(end, if from <= first { first } else { second });
        }
        assert_eq!(runs.looked_at, 4000);
        // Asked for from behind, as a longer beginning is before a shorter one.
        assert_eq!(runs.end(Kind::LetterOrDigit, 3005), 4001);
        assert_eq!(runs.end(Kind::LetterOrDigit, 3001), 4001);
        assert_eq!(runs.end(Kind::LetterOrDigit, 0), 2);
        assert_eq!(runs.looked_at, 4000 + 996 + 4 + 2);
    }
}
