//! A text with its JSON escapes undone, and the way back: which part of the text a part of the
//! undone one came from.

/// The undone text.
#[derive(Debug)]
pub(super) struct Unescaped {
    pub(super) text: String,
    /// From a place in `text` on, up to the next: where that place is in the source.
    places: Vec<(usize, usize)>,
}

/// Undoes one level of escapes; `None` if there are none. What is no escape of JSON stays.
pub(super) fn unescape(source: &str) -> Option<Unescaped> {
    let bytes = source.as_bytes();
    let mut undone = Unescaped {
        text: String::new(),
        places: vec![(0, 0)],
    };
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        at += found;
        match escape(&bytes[at..]) {
            Some((character, length)) => {
                undone.text.push_str(&source[kept..at]);
                undone.places.push((undone.text.len(), at));
                undone.text.push(character);
                at += length;
                kept = at;
                undone.places.push((undone.text.len(), at));
            }
            None => at += 1,
        }
    }
    if kept == 0 {
        return None;
    }
    undone.text.push_str(&source[kept..]);
    Some(undone)
}

impl Unescaped {
    /// Where a place of the undone text is in its source.
    pub(super) fn source(&self, place: usize) -> usize {
        let after = self.places.partition_point(|(undone, _)| *undone <= place);
        match after.checked_sub(1).and_then(|last| self.places.get(last)) {
            Some((undone, source)) => source + (place - undone),
            None => place,
        }
    }
}

/// The character that an escape stands for, and the escape's length.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    Some(match bytes.get(1)? {
        b'"' => ('"', 2),
        b'\\' => ('\\', 2),
        b'/' => ('/', 2),
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => {
            let first = unit(bytes)?;
            let low = bytes.get(6..).and_then(unit);
            let pair = match (first, low) {
                (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                    Some(0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00))
                }
                _ => None,
            };
            match pair {
                Some(code) => (char::from_u32(code)?, 12),
                None => (char::from_u32(first).unwrap_or('\u{FFFD}'), 6),
            }
        }
        _ => return None,
    })
}

fn unit(bytes: &[u8]) -> Option<u32> {
    let hex = bytes.strip_prefix(b"\\u")?.get(..4)?;
    if !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_places_lead_back() {
        let source = r#"a\u002db\/\ud83d\ude00\q\n"#;
        let undone = unescape(source).unwrap();
        assert_eq!(undone.text, "a-b/😀\\q\n");
        for part in ["a", "b", "\\q"] {
            let (there, here) = (undone.text.find(part), source.find(part));
            assert_eq!(there.map(|at| undone.source(at)), here, "{part}");
        }
        let dash = undone.text.find('-').unwrap();
        let dash = undone.source(dash)..undone.source(dash + 1);
        assert_eq!(&source[dash], "\\u002d");
        assert_eq!(undone.source(undone.text.len()), source.len());
        assert!(unescape(r"C:\dir\q").is_none());
    }
}
