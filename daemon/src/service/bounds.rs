//! How much of a text goes into a message. What a program says of itself, and what the older tool wrote down, may be of any
//! length, and a message that is too long takes all other rows with it.

use std::path::Path;

use super::MESSAGE_MAX;

/// Ours have fewer; the older tool's may have any number, and a page of them must fit a message.
const LINE_MAX: usize = 2048;
/// The same of names, of which some are what a program said of itself. One that is longer is told short, and is no
/// key any more by which a client could ask for it: no start takes such a name either.
const SHOWN_MAX: usize = 512;
/// As long as a path can be.
const PATH_MAX: usize = 4096;
/// What a message has room for beside all else.
const TEXTS_MAX: usize = MESSAGE_MAX - (256 << 10);

/// Prompt and response, of which both together fit into a message: where they do not, each is cut
/// that takes more than its half, and says so.
pub(super) fn texts(prompt: String, response: String) -> (String, String) {
    let half = TEXTS_MAX / 2;
    let room = |other: &str| TEXTS_MAX - other.len().min(half);
    let (for_prompt, for_response) = (room(&response), room(&prompt));
    (bounded(prompt, for_prompt), bounded(response, for_response))
}

/// A name as it is told.
pub(super) fn word(text: String) -> String {
    bounded(text, SHOWN_MAX)
}

/// Where those go on that come behind a name in their order. Behind one that is told short, what begins as it does is
/// passed over.
pub(super) fn behind(mut name: String) -> String {
    if name.len() > SHOWN_MAX {
        name.truncate(name.floor_char_boundary(SHOWN_MAX));
        name.push(char::MAX);
    }
    name
}

/// What is said in a line, as it is told.
pub(super) fn line(text: String) -> String {
    bounded(text, LINE_MAX)
}

/// A path as it is told; no longer one can be opened.
pub(super) fn path(path: &Path) -> String {
    bounded(path.to_string_lossy().into_owned(), PATH_MAX)
}

/// A text of at most so many bytes, but for the words that say how much is missing.
fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        let kept = text.floor_char_boundary(most);
        let missing = text.len() - kept;
        text.truncate(kept);
        text.push_str(&format!("… [{missing} more bytes]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_and_a_response_fit_into_a_message_and_say_what_is_missing() {
        let text = |length: usize| "é".repeat(length / 2);
        let most = MESSAGE_MAX;
        for (prompt, response) in [
            (10, 10),
            (3 << 20, 100 << 10),
            (100, 8 << 20),
            (8 << 20, 8 << 20),
        ] {
            let fits = prompt + response <= TEXTS_MAX;
            let (cut_prompt, cut_response) = texts(text(prompt), text(response));
            assert!(cut_prompt.len() + cut_response.len() < most - (128 << 10));
            if fits {
                assert_eq!((cut_prompt.len(), cut_response.len()), (prompt, response));
            } else {
                assert!(cut_prompt.len() + cut_response.len() >= TEXTS_MAX - 2);
                assert!(cut_response.ends_with(" more bytes]"));
            }
        }
        let missing = bounded(text(100), 9);
        assert_eq!(missing, format!("{}… [92 more bytes]", text(8)));
    }

    #[test]
    fn what_comes_behind_a_giant_name_is_behind_it() {
        assert_eq!(behind("T1".to_owned()), "T1");
        let giant = "é".repeat(1 << 20);
        let behind = behind(giant.clone());
        assert!(behind > giant && behind.len() < 520);
        assert!(behind.as_str() < "ê");
    }
}
