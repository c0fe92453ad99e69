//! Whether a log holds what it should, byte for byte, without holding either in memory.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::LogError;
use super::packed::Stored;
use super::paths::{Place, failed};
use crate::domain::{InvocationId, Offset};

const BLOCK: usize = 64 * 1024;

/// Compares the beginning of a log with bytes that are fed to it.
#[derive(Debug)]
pub struct LogComparer {
    stored: Stored,
    path: PathBuf,
    at: u64,
    len: u64,
    block: Vec<u8>,
    differs: Option<u64>,
}

/// What feeding came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The log holds all these bytes.
    Same,
    /// The log ended among them: it holds so many of them, and the others are new.
    Past {
        /// How many of the bytes fed the log holds.
        held: usize,
    },
    /// The log holds something else.
    Differs {
        /// The first byte that is not as fed.
        at: Offset,
    },
}

impl LogComparer {
    pub(super) fn open(
        place: &Arc<Place>,
        id: InvocationId,
        len: u64,
    ) -> Result<LogComparer, LogError> {
        let stored = Stored::open(&place.open()?, id)?;
        Ok(LogComparer {
            stored,
            path: place.log_path(id),
            at: 0,
            len,
            block: vec![0; BLOCK],
            differs: None,
        })
    }

    /// Compares the next bytes. Once they differ they differ for good.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Compared, LogError> {
        if let Some(at) = self.differs {
            return Ok(Compared::Differs {
                at: Offset::new(at),
            });
        }
        let held = usize::try_from(self.len - self.at)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        for piece in bytes[..held].chunks(BLOCK) {
            let here = &mut self.block[..piece.len()];
            match &self.stored {
                Stored::Plain(file) => match file.read_exact_at(here, self.at) {
                    Ok(()) => {}
                    // Somebody has truncated it since.
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => here.fill(0),
                    Err(error) => return Err(failed("read", &self.path, error)),
                },
                Stored::Packed(packed) => match packed.read_at(self.at, here.len()) {
                    Ok(bytes) => {
                        here.fill(0);
                        here[..bytes.len()].copy_from_slice(&bytes);
                    }
                    // A damaged frame holds nothing that could be the same.
                    Err(LogError::Damaged { .. }) => {
                        self.differs = Some(self.at);
                        return Ok(Compared::Differs {
                            at: Offset::new(self.at),
                        });
                    }
                    Err(error) => return Err(error),
                },
            }
            if let Some(i) = here.iter().zip(piece).position(|(a, b)| a != b) {
                self.differs = Some(self.at + i as u64);
                return Ok(Compared::Differs {
                    at: Offset::new(self.at + i as u64),
                });
            }
            self.at += piece.len() as u64;
        }
        Ok(if held == bytes.len() {
            Compared::Same
        } else {
            Compared::Past { held }
        })
    }

    /// True once every byte of the log was fed, and was the same.
    pub fn is_at_end(&self) -> bool {
        self.differs.is_none() && self.at == self.len
    }
}
