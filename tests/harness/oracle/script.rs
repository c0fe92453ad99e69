//! Bytes as a script: some at the front decide what is done, the rest is what it is done with. What
//! is missing is zero, so that every input means something, and a short one is a plain case.

use steroids_provider::activity::Stream;

/// Goes on with the other pipe. A control byte that no CLI prints and no seed has.
pub(super) const OTHER_PIPE: u8 = 0x1e;

/// Followed by two bytes, how much and how often: repeats what came before, so that some bytes reach
/// the bounds of texts.
pub(super) const REPEAT: u8 = 0x1d;

/// What repeating comes to at most: beyond the longest text. More would only take long.
const LONGEST: usize = 300_000;

/// Reads a script from its front.
pub(super) struct Script<'a> {
    rest: &'a [u8],
}

/// Sizes of pieces, as good as random, and the same for the same seed.
#[derive(Clone)]
pub(super) struct Sizes {
    state: u32,
    most: u32,
}

/// What a provider printed on one of its pipes in one go.
pub(super) type Piece = (Stream, Vec<u8>);

// === impl Script ===

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Script<'a> {
        Script { rest: bytes }
    }

    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    pub(super) fn number(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// At most so many bytes.
    pub(super) fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn sizes(&mut self) -> Sizes {
        let seed = self.number();
        // Many small pieces, or few large ones.
        let most = if seed.is_multiple_of(3) { 4 } else { 700 };
        Sizes {
            state: u32::from(seed) | 0x1_0000,
            most,
        }
    }

    /// The rest as what a provider printed, pipe after pipe.
    pub(super) fn pieces(&mut self) -> Vec<Piece> {
        let mut pieces = vec![(Stream::Stdout, Vec::new())];
        let mut length = 0;
        while !self.is_empty() {
            let byte = self.byte();
            let (stream, piece) = pieces.last_mut().expect("it begins with one");
            match byte {
                OTHER_PIPE => {
                    let other = match stream {
                        Stream::Stdout => Stream::Stderr,
                        Stream::Stderr => Stream::Stdout,
                    };
                    pieces.push((other, Vec::new()));
                }
                REPEAT => {
                    let from = piece.len().saturating_sub(usize::from(self.byte()) + 1);
                    let block = piece[from..].to_vec();
                    let times = usize::from(self.byte());
                    let room = (LONGEST - length) / block.len().max(1);
                    let repeated = block.repeat(times.min(room));
                    length += repeated.len();
                    piece.extend_from_slice(&repeated);
                }
                byte => piece.push(byte),
            }
        }
        pieces.retain(|(_, bytes)| !bytes.is_empty());
        pieces
    }
}

// === impl Sizes ===

impl Sizes {
    pub(super) fn next(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        (self.state % self.most) as usize + 1
    }

    /// Cuts bytes into pieces, of which none is empty; what is left after so many is the last one.
    pub(super) fn cut<'b>(&mut self, mut bytes: &'b [u8], most: usize) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while pieces.len() < most && !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.next().min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        if !bytes.is_empty() {
            pieces.push(bytes);
        }
        pieces
    }
}
