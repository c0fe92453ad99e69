//! The token and its file: `<state>/gateway/token`, which nobody but its owner may read. A file
//! that others can read, or that is somebody else's, is refused rather than put right: its token
//! may be known already.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags};
use subtle::ConstantTimeEq as _;

const NAME: &str = "token";
/// Hexadecimal digits of 256 bits.
const LENGTH: usize = 64;

/// Why there is no token that could be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// It may be known to others.
    #[error("{} {fault}; {todo}", path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
        /// What to do.
        todo: &'static str,
    },
    /// Another gateway has it.
    #[error(
        "another gateway is running here: {holder} has the token of {}; `steroidsctl web` opens its page, and one beside it needs a state folder of its own (--state-dir)",
        folder.display()
    )]
    Held {
        /// The gateway's folder.
        folder: PathBuf,
        /// What that one says of itself.
        holder: String,
    },
    /// The system says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        #[source]
        source: io::Error,
    },
}

/// A bearer token. It is compared, written to its file and given for a code; never logged.
pub(super) struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

impl Token {
    /// A new one, of the operating system's randomness.
    pub(super) fn random() -> Token {
        let [high, low]: [u128; 2] = rand::random();
        Token(format!("{high:032x}{low:032x}"))
    }

    /// Whether it is this one; takes as long wherever they differ.
    pub(super) fn is(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The token itself, for whoever has shown that it is theirs.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Token> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == LENGTH && text.bytes().all(is_hex)).then(|| Token(text.to_owned()))
    }
}

/// Makes the folder, and refuses one that others may look into.
pub(super) fn prepare(folder: &Path) -> Result<(), TokenError> {
    let io = |source| TokenError::Io {
        path: folder.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io)?;
    let metadata = std::fs::symlink_metadata(folder).map_err(io)?;
    let fault = if !metadata.is_dir() {
        "is no folder"
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        "belongs to somebody else"
    } else if metadata.mode() & 0o077 != 0 {
        "can be read or changed by others"
    } else {
        return Ok(());
    };
    Err(TokenError::Unsafe {
        path: folder.to_owned(),
        fault,
        todo: "make it yours alone with chmod 700, or remove it",
    })
}

/// The token that is kept, or a new one that is kept from now on.
pub(super) fn read_or_make(folder: &Path) -> Result<Token, TokenError> {
    let path = folder.join(NAME);
    loop {
        match read(&path) {
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            answer => return answer,
        }
        let token = Token::random();
        // Another gateway may be making one at this moment; then that is the one.
        match write(folder, &token, RenameFlags::NOREPLACE) {
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            }
            answer => return answer.map(|()| token),
        }
    }
}

/// Keeps this token in the place of the other, whenever the power may fail.
pub(super) fn replace(folder: &Path, token: &Token) -> Result<(), TokenError> {
    write(folder, token, RenameFlags::empty())
}

fn read(path: &Path) -> Result<Token, TokenError> {
    let io = |source| TokenError::Io {
        path: path.to_owned(),
        source,
    };
    let refuse = |fault| TokenError::Unsafe {
        path: path.to_owned(),
        fault,
        todo: "remove it; a new token is made at the next start",
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match file {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(refuse("is a symbolic link"));
        }
        file => file.map_err(io)?,
    };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(refuse("is no file"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse("belongs to somebody else"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refuse("can be read or changed by others"));
    }
    let mut text = String::new();
    // One byte more than there may be, to see that there is no more.
    let most = u64::try_from(LENGTH + 2).unwrap_or(u64::MAX);
    file.take(most).read_to_string(&mut text).map_err(io)?;
    Token::parse(&text).ok_or_else(|| refuse("holds no token"))
}

/// Writes a file beside it and renames that, so that there is a whole token at any moment.
fn write(folder: &Path, token: &Token, how: RenameFlags) -> Result<(), TokenError> {
    let path = folder.join(NAME);
    let fresh = folder.join(format!(".{NAME}.{:016x}", rand::random::<u64>()));
    let io = |source| TokenError::Io {
        path: path.clone(),
        source,
    };
    let written = create(&fresh, token)
        .and_then(|()| Ok(rustix::fs::renameat_with(CWD, &fresh, CWD, &path, how)?))
        .and_then(|()| std::fs::File::open(folder)?.sync_all());
    if written.is_err() {
        // It was renamed, or never was; either way there is nothing to keep.
        let _ = std::fs::remove_file(&fresh);
    }
    written.map_err(io)
}

fn create(path: &Path, token: &Token) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", token.0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("state/gateway");
        prepare(&folder).unwrap();
        (outer, folder)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_kept_where_only_its_owner_reads() {
        let (_outer, folder) = folder();
        let made = read_or_make(&folder).unwrap();
        assert_eq!(made.reveal().len(), LENGTH);
        assert_eq!(mode(&folder.join(NAME)), 0o600);
        assert_eq!(mode(&folder), 0o700);
        assert!(made.is(read_or_make(&folder).unwrap().reveal()));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn two_that_start_at_once_have_the_same() {
        let (_outer, folder) = folder();
        let start = std::sync::Barrier::new(8);
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                read_or_make(&folder).unwrap().reveal().to_owned()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    fn complaint(folder: &Path) -> String {
        read_or_make(folder).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_others_read_is_refused() {
        let (_outer, folder) = folder();
        let path = folder.join(NAME);
        read_or_make(&folder).unwrap();
        for open in [0o640, 0o604, 0o620, 0o602] {
            std::fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            assert!(complaint(&folder).contains("by others"), "{open:o}");
        }
    }

    #[test]
    fn what_is_no_token_file_is_refused() {
        let (_outer, folder) = folder();
        let path = folder.join(NAME);
        for bad in [String::new(), "short\n".to_owned(), "f".repeat(65)] {
            create(&path, &Token(bad)).unwrap();
            assert!(complaint(&folder).contains("holds no token"));
            std::fs::remove_file(&path).unwrap();
        }
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(complaint(&folder).contains("symbolic link"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(complaint(&folder).contains("is no file"));
    }

    #[test]
    fn a_folder_that_others_look_into_is_refused() {
        let (_outer, folder) = folder();
        for open in [0o750, 0o701, 0o777] {
            std::fs::set_permissions(&folder, Permissions::from_mode(open)).unwrap();
            let said = prepare(&folder).unwrap_err().to_string();
            assert!(said.contains("chmod 700"), "{said}");
        }
    }

    #[test]
    fn it_is_not_shown() {
        let token = Token::random();
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
