//! Pages over several projects, newest first. Each project counts its invocations for itself, so a
//! page token says where each of them stands: `1,` and then `<project's short hash>-<id>`, comma
//! separated. Opaque to clients.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use crate::domain::{Invocation, InvocationId};

/// Of one message: what a page has beside its rows, and a row that is one too many, have as much room again.
pub(super) const BYTES_MAX: usize = super::MESSAGE_MAX / 2;

/// Takes as many of them as go into one message; one at least.
pub(super) fn fitting(rest: &mut VecDeque<v1::Invocation>) -> Vec<v1::Invocation> {
    let mut bytes = 0;
    let fit = rest.iter().take_while(|it| {
        let is_first = bytes == 0;
        bytes += it.encoded_len();
        is_first || bytes <= BYTES_MAX
    });
    let count = fit.count();
    rest.drain(..count).collect()
}

/// Where each project stands: only ids below are still to come. A project not named is at its top.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Position(BTreeMap<String, i64>);

impl Position {
    /// Reads a token; an empty one is the first page.
    pub(super) fn read(token: &str) -> Result<Position, Status> {
        if token.is_empty() {
            return Ok(Position::default());
        }
        let parse = || {
            let parts = token.strip_prefix("1,")?.split(',');
            parts
                .map(|part| {
                    let (project, id) = part.split_once('-')?;
                    let is_hash =
                        project.len() == 16 && project.bytes().all(|b| b.is_ascii_hexdigit());
                    let id: i64 = id.parse().ok().filter(|id| *id > 0)?;
                    is_hash.then(|| (project.to_owned(), id))
                })
                .collect::<Option<_>>()
        };
        parse().map(Position).ok_or_else(|| {
            invalid(
                "page_token",
                "is none of ours; give next_page_token of the page before",
            )
        })
    }

    /// The ids still to come in a project are below this one.
    pub(super) fn below(&self, project: &Path) -> Option<InvocationId> {
        self.0
            .get(&hash(project))
            .copied()
            .and_then(InvocationId::new)
    }

    /// Notes the last one given out of a project.
    fn given(&mut self, project: &Path, id: InvocationId) {
        self.0.insert(hash(project), id.get());
    }

    fn token(&self) -> String {
        let mut token = "1".to_owned();
        for (project, id) in &self.0 {
            token.push(',');
            token.push_str(project);
            token.push('-');
            token.push_str(&id.to_string());
        }
        token
    }
}

/// Sixteen hex digits: enough to tell a user's projects apart.
fn hash(project: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let digest = Sha256::digest(project.as_os_str().as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Takes the projects' pages together into one, which never holds more than `limit` and one page.
pub(super) struct Merge {
    position: Position,
    limit: usize,
    newest: Vec<(PathBuf, Invocation)>,
    has_more: bool,
}

impl Merge {
    /// A page that goes on from `position`.
    pub(super) fn new(position: Position, limit: u32) -> Merge {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Merge {
            position,
            limit,
            newest: Vec::new(),
            has_more: false,
        }
    }

    /// Where the project's own page is to begin.
    pub(super) fn below(&self, project: &Path) -> Option<InvocationId> {
        self.position.below(project)
    }

    /// Adds a project's page, newest first, and whether it has another.
    ///
    /// Merged head by head and not sorted: within a project the order is that of its ids, whatever
    /// the clock did, for the position is an id.
    pub(super) fn add(&mut self, project: &Path, page: Vec<Invocation>, has_more: bool) {
        let mut merged = Vec::with_capacity(self.limit.min(self.newest.len() + page.len()));
        let mut before = std::mem::take(&mut self.newest).into_iter().peekable();
        let mut page = page.into_iter().peekable();
        while merged.len() < self.limit {
            let is_before = match (before.peek(), page.peek()) {
                (Some((_, old)), Some(new)) => started(old) >= started(new),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if is_before {
                merged.extend(before.next());
            } else {
                merged.extend(page.next().map(|row| (project.to_owned(), row)));
            }
        }
        self.has_more |= has_more || before.peek().is_some() || page.peek().is_some();
        self.newest = merged;
    }

    /// The page as it is shown, as far as it goes into a message, and the token of the next; empty on the last.
    pub(super) fn finish(
        mut self,
        shown: impl Fn(&Path, Invocation) -> Option<v1::Invocation>,
    ) -> (Vec<v1::Invocation>, String) {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (project, row) in std::mem::take(&mut self.newest) {
            let id = row.id;
            let shown = shown(&project, row);
            bytes += shown.as_ref().map_or(0, v1::Invocation::encoded_len);
            if bytes > BYTES_MAX && !page.is_empty() {
                self.has_more = true;
                break;
            }
            page.extend(shown);
            self.position.given(&project, id);
        }
        let token = match self.has_more {
            true => self.position.token(),
            false => String::new(),
        };
        (page, token)
    }
}

/// What is not started yet is the newest.
fn started(invocation: &Invocation) -> i64 {
    invocation.started_ms.unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Phase;
    use crate::service::MESSAGE_MAX;
    use crate::service::convert::invocation;

    fn row(id: i64, started_ms: i64) -> Invocation {
        Invocation {
            id: InvocationId::new(id).unwrap(),
            task: String::new(),
            role: String::new(),
            provider: String::new(),
            model: String::new(),
            answering_model: None,
            phase: Phase::Running,
            error: None,
            started_ms: Some(started_ms),
            completed_ms: None,
            duration_ms: None,
            exit_code: None,
            session_id: None,
            usage: None,
            managed: None,
        }
    }

    /// Pages of `size` over two projects, until there is no next.
    fn pages(projects: &[(&str, Vec<Invocation>)], size: usize) -> Vec<Vec<(String, i64)>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let limit = u32::try_from(size).unwrap();
            let mut merge = Merge::new(Position::read(&token).unwrap(), limit);
            for (project, rows) in projects {
                let below = merge
                    .below(Path::new(project))
                    .map_or(i64::MAX, InvocationId::get);
                let rest: Vec<_> = rows.iter().filter(|row| row.id.get() < below).collect();
                let page = rest.iter().take(size).map(|row| (*row).clone()).collect();
                merge.add(Path::new(project), page, rest.len() > size);
            }
            let (rows, next) = merge.finish(|project, row| Some(invocation(project, row)));
            let short = |row: v1::Invocation| (row.project, row.id);
            pages.push(rows.into_iter().map(short).collect());
            if next.is_empty() {
                return pages;
            }
            token = next;
        }
    }

    #[test]
    fn two_projects_come_as_one_list_newest_first() {
        let a = vec![row(3, 50), row(2, 30), row(1, 10)];
        let b = vec![row(9, 40), row(8, 20)];
        let all = [("/a", 3), ("/b", 9), ("/a", 2), ("/b", 8), ("/a", 1)];
        let all = all.map(|(project, id)| (project.to_owned(), id)).to_vec();
        for size in 1..=6 {
            let pages = pages(&[("/a", a.clone()), ("/b", b.clone())], size);
            assert_eq!(pages.concat(), all, "pages of {size}");
            assert!(pages.iter().all(|page| page.len() <= size));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_loses_nothing_and_doubles_nothing() {
        let a = vec![row(4, 10), row(3, 90), row(2, 20), row(1, 80)];
        let b = vec![row(7, 50), row(6, 60), row(5, 15)];
        for size in 1..=7 {
            let mut given = pages(&[("/a", a.clone()), ("/b", b.clone())], size).concat();
            assert_eq!(given.len(), 7, "pages of {size}");
            given.sort();
            given.dedup();
            assert_eq!(given.len(), 7, "pages of {size}");
        }
    }

    /// All its texts are as long as a program can make them.
    fn giant(id: i64) -> Invocation {
        let text = || "g".repeat(5 << 20);
        Invocation {
            task: text(),
            role: text(),
            provider: text(),
            model: text(),
            session_id: Some(text()),
            error: Some(text()),
            ..row(id, id)
        }
    }

    #[test]
    fn rows_with_giant_texts_fit_into_a_message_and_none_is_left_out() {
        let short = invocation(Path::new("/a"), giant(1));
        let one = short.encoded_len();
        assert!(one < 16 << 10, "{one} bytes");
        let shown = VecDeque::from(vec![short.clone(); 1000]);
        let mut given = 0;
        let mut rest = shown.clone();
        while !rest.is_empty() {
            let running = fitting(&mut rest);
            given += running.len();
            let message = v1::WatchResponse {
                running,
                ..v1::WatchResponse::default()
            };
            assert!(message.encoded_len() < MESSAGE_MAX);
        }
        assert_eq!(given, 1000);

        let rows: Vec<_> = (1..=1000).rev().map(|id| row(id, id)).collect();
        let (mut given, mut token) = (Vec::new(), String::new());
        loop {
            let mut merge = Merge::new(Position::read(&token).unwrap(), 1000);
            let below = merge.below(Path::new("/a"));
            let is_left = |it: &&Invocation| below.is_none_or(|below| it.id < below);
            let rest = rows.iter().filter(is_left).cloned().collect();
            merge.add(Path::new("/a"), rest, false);
            let (invocations, next) = merge.finish(|_, row| {
                let id = row.id.get();
                Some(v1::Invocation {
                    id,
                    ..short.clone()
                })
            });
            given.extend(invocations.iter().map(|it| it.id));
            let page = v1::ListResponse {
                invocations,
                next_page_token: next.clone(),
                ..v1::ListResponse::default()
            };
            assert!(page.encoded_len() < MESSAGE_MAX);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert!(given.into_iter().eq((1..=1000).rev()));
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        for token in [
            "x",
            "1,",
            "1,abc-3",
            "1,0123456789abcdef-0",
            "2,0123456789abcdef-3",
        ] {
            assert!(Position::read(token).is_err(), "{token}");
        }
        let position = Position::read("1,0123456789abcdef-3").unwrap();
        assert_eq!(position.token(), "1,0123456789abcdef-3");
    }
}
