//! What a client resumes from: which lines it has, in a short text it need not understand.
//!
//! ```text
//! one invocation   <invocation>:<generation>:<offset of the next line>             12:0:4096
//! task, project    w1.<scope>.<reach>                                     w1.4z8k….c.b:0:35s
//! all projects     a1_<scope>.<reach>_<scope>.<reach>…
//! reach            <high>[.<invocation>:<generation>:<offset>]…[.<first>[-<last>]]…
//! ```
//!
//! A reach says: of every invocation up to id `high` all lines, but of those listed only the lines
//! before the offset, and of those in a range none. Scopes are short hashes of a project's path (and the task), so that a cursor
//! of something else is recognised. Numbers of the wide forms are in base 36. What is read is
//! exactly what would be written, anything else is refused; nothing in a text can make this panic.
//! Cursors stay within [`MAX_CURSOR`] because followers keep to [`MAX_OPEN`] and [`MAX_SCOPES`].

mod read;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

pub use template::Template;

use super::{InvocationId, Offset};

/// The longest cursor, in bytes.
pub const MAX_CURSOR: usize = 4096;
/// How many invocations and ranges of them a cursor can list, in all its scopes.
pub const MAX_OPEN: usize = 24;
/// How many projects a cursor can speak of.
pub const MAX_SCOPES: usize = 100;

/// Which of the files that had the log's name a position is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Of our own logs: how often it was rebuilt.
    Rebuilt(u32),
    /// Of the older tool's: the file, and a hash of how it begins.
    File {
        /// Inode number.
        inode: u64,
        /// See [`head_hash`].
        head: u64,
    },
}

/// Where the next line of an invocation's log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// In which file.
    pub generation: Generation,
    /// And where in it.
    pub offset: Offset,
}

/// Resumes one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvocationCursor {
    /// Which one; ids are per project.
    pub invocation: InvocationId,
    /// What is next.
    pub position: Position,
}

/// A project, or a task of one, by a hash that fits into a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(u64);

/// How much of a scope a subscriber has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Invocations up to this id were taken up; 0: none.
    pub high: i64,
    /// Those of them that are not at their end.
    pub open: BTreeMap<InvocationId, Position>,
    /// Those of which nothing was given, as they were queued; ascending, none next to another.
    pub queued: Vec<Span>,
}

/// A range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The lowest.
    pub first: InvocationId,
    /// The highest.
    pub last: InvocationId,
}

/// Resumes a task or a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeCursor {
    /// Of what.
    pub scope: Scope,
    /// How much of it.
    pub reach: Reach,
}

/// Resumes everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllCursor {
    /// How much of each project; a project that is not there has given nothing yet.
    pub reaches: BTreeMap<Scope, Reach>,
}

/// Why a cursor cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Longer than any we gave.
    #[error("cursor of {len} bytes; the longest has {MAX_CURSOR}")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Not a text we gave for a stream of this kind.
    #[error("not a cursor of this kind of stream")]
    Malformed,
    /// Of another invocation.
    #[error("cursor of invocation {found}, not of {wanted}")]
    OtherInvocation {
        /// The one in the cursor.
        found: InvocationId,
        /// The one followed.
        wanted: InvocationId,
    },
    /// Of another task or project.
    #[error("cursor of another task or project")]
    OtherScope,
    /// No line begins where it points.
    #[error("no line of invocation {invocation} begins at offset {offset}")]
    InsideLine {
        /// The invocation.
        invocation: InvocationId,
        /// The offset.
        offset: Offset,
    },
}

/// Hash of a log's first line (or as much of it as is looked at), for [`Generation::File`].
pub fn head_hash(head: &[u8]) -> u64 {
    first_u64(Sha256::digest(head).as_slice())
}

// === impl Reach ===

impl Reach {
    /// How many of [`MAX_OPEN`] places it takes.
    pub fn places(&self) -> usize {
        self.open.len() + self.queued.len()
    }
}

// === impl Span ===

impl Span {
    /// Whether an id is in it.
    pub fn contains(&self, id: InvocationId) -> bool {
        (self.first..=self.last).contains(&id)
    }
}

// === impl Scope ===

impl Scope {
    /// The scope of a project, by its path.
    pub fn of_project(path: &Path) -> Scope {
        Scope::hash(path, None)
    }

    /// The scope of a task in a project.
    pub fn of_task(path: &Path, task: &str) -> Scope {
        Scope::hash(path, Some(task))
    }

    // 48 bits: short in a cursor, and a mix-up of two is only ever one user's own mistake.
    fn hash(path: &Path, task: Option<&str>) -> Scope {
        use std::os::unix::ffi::OsStrExt as _;
        let mut hash = Sha256::new();
        hash.update(path.as_os_str().as_bytes());
        if let Some(task) = task {
            hash.update([0]);
            hash.update(task.as_bytes());
        }
        Scope(first_u64(hash.finalize().as_slice()) >> 16)
    }
}

fn first_u64(digest: &[u8]) -> u64 {
    digest
        .iter()
        .take(8)
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Generation::Rebuilt(times) => times.fmt(f),
            Generation::File { inode, head } => write!(f, "{}-{}", Base36(inode), Base36(head)),
        }
    }
}

impl fmt::Display for InvocationCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { generation, offset } = self.position;
        write!(f, "{}:{generation}:{offset}", self.invocation)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base36(self.high.unsigned_abs()).fmt(f)?;
        for (&invocation, position) in &self.open {
            write!(f, ".{}", OpenEntry(invocation, *position))?;
        }
        self.queued.iter().try_for_each(|span| write!(f, ".{span}"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] = [self.first, self.last].map(|id| Base36(id.get().unsigned_abs()));
        first.fmt(f)?;
        match self.first == self.last {
            true => Ok(()),
            false => write!(f, "-{last}"),
        }
    }
}

impl fmt::Display for ScopeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w1.{}.{}", Base36(self.scope.0), self.reach)
    }
}

impl fmt::Display for AllCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a1")?;
        for (scope, reach) in &self.reaches {
            write!(f, "_{}.{reach}", Base36(scope.0))?;
        }
        Ok(())
    }
}

struct OpenEntry(InvocationId, Position);

impl fmt::Display for OpenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { generation, offset } = self.1;
        let id = Base36(self.0.get().unsigned_abs());
        write!(f, "{id}:{generation}:{}", Base36(offset.get()))
    }
}

struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 13];
        let mut rest = self.0;
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        f.write_str(str::from_utf8(&digits[at..]).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
