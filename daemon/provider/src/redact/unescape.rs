//! A text with its JSON escapes undone, and the way back: which part of the text a part of the
//! undone one came from.

/// Undoes one level of escapes; `None` if there are none. What is no escape of JSON stays.
pub(super) fn unescape(source: &str) -> Option<String> {
    let mut escapes = Escapes::of(source).peekable();
    escapes.peek()?;
    let mut undone = String::with_capacity(source.len());
    let mut kept = 0;
    for escape in escapes {
        undone.push_str(&source[kept..escape.at]);
        undone.push(escape.character);
        kept = escape.at + escape.length;
    }
    undone.push_str(&source[kept..]);
    Some(undone)
}

/// Makes places of the undone text, in order, those of its source.
pub(super) fn lead_back<'p>(source: &str, places: impl Iterator<Item = &'p mut usize>) {
    let mut escapes = Escapes::of(source).peekable();
    // The same place, here and there.
    let (mut here, mut there) = (0, 0);
    for place in places {
        while let Some(escape) = escapes.next_if(|next| there + (next.at - here) < *place) {
            there += escape.at - here + escape.character.len_utf8();
            here = escape.at + escape.length;
        }
        *place = here + place.saturating_sub(there);
    }
}

/// What stands for another character.
struct Escape {
    at: usize,
    length: usize,
    character: char,
}

/// The escapes of a text, in order.
struct Escapes<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Escapes<'t> {
    fn of(text: &'t str) -> Escapes<'t> {
        Escapes {
            bytes: text.as_bytes(),
            at: 0,
        }
    }
}

impl Iterator for Escapes<'_> {
    type Item = Escape;

    fn next(&mut self) -> Option<Escape> {
        loop {
            let at = self.at + memchr::memchr(b'\\', self.bytes.get(self.at..)?)?;
            match escape(&self.bytes[at..]) {
                Some((character, length)) => {
                    self.at = at + length;
                    return Some(Escape {
                        at,
                        length,
                        character,
                    });
                }
                None => self.at = at + 1,
            }
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
        assert_eq!(undone, "a-b/😀\\q\n");
        let back = |at: usize| {
            let mut places = [at];
            lead_back(source, places.iter_mut());
            places[0]
        };
        for part in ["a", "b", "\\q"] {
            let (there, here) = (undone.find(part), source.find(part));
            assert_eq!(there.map(back), here, "{part}");
        }
        let dash = undone.find('-').unwrap();
        assert_eq!(&source[back(dash)..back(dash + 1)], "\\u002d");
        assert_eq!(back(undone.len()), source.len());
        let mut places = [dash, dash, dash + 1, undone.len()];
        lead_back(source, places.iter_mut());
        assert_eq!(places, [1, 1, 7, source.len()]);
        assert!(unescape(r"C:\dir\q").is_none());
    }
}
