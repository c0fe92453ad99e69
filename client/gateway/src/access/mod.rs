//! Who holds the token. One 256-bit token opens everything until it is replaced; it is kept in a
//! file, so that a page survives the gateway's restart. A person gets it into a browser by a code
//! that works once: the token itself never stands in a URL.
//!
//! Replacing the token ends what came with the old one: every [`Grant`] is then over. No other
//! gateway knows the old one: [`TokenLock`].

mod codes;
mod lock;
mod token;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use codes::Codes;
pub(crate) use lock::TokenLock;
use token::Token;
pub(crate) use token::TokenError;

/// How long a one-time code is good for: the time it takes to open a browser.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(60);

/// That a request may have what it asks for, until [`Grant::ended`].
#[derive(Debug, Clone)]
pub(crate) struct Grant(CancellationToken);

impl Grant {
    /// Resolves when the token that the request came with is no longer good.
    pub(crate) fn ended(self) -> WaitForCancellationFutureOwned {
        self.0.cancelled_owned()
    }
}

/// The door's keeper. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// Held while the token's file is replaced, so that file and memory change in one order.
    rotating: Mutex<()>,
    /// Held for a look or a change, never across a wait.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` where none is asked for.
    token: Option<Token>,
    /// Cancelled when the token is replaced.
    generation: CancellationToken,
    codes: Codes,
}

impl Access {
    /// Takes the token of `<state>/gateway/`, making one where there is none; it is good for as long
    /// as the lock is held, which keeps others from it. Blocks.
    pub(crate) fn open(folder: &Path) -> Result<(Access, TokenLock), TokenError> {
        token::prepare(folder)?;
        let lock = TokenLock::take(folder)?;
        let token = token::read_or_make(folder)?;
        Ok((Access::with(folder, Some(token)), lock))
    }

    /// For a gateway that asks for no token.
    pub(crate) fn without_token(folder: &Path) -> Result<Access, TokenError> {
        token::prepare(folder)?;
        Ok(Access::with(folder, None))
    }

    fn with(folder: &Path, token: Option<Token>) -> Access {
        let state = State {
            token,
            generation: CancellationToken::new(),
            codes: Codes::default(),
        };
        Access {
            shared: Arc::new(Shared {
                folder: folder.to_owned(),
                rotating: Mutex::new(()),
                state: Mutex::new(state),
            }),
        }
    }

    /// The grant of a request with these headers, if its token is the one.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Option<Grant> {
        let presented = bearer(headers)?;
        let state = self.state();
        let token = state.token.as_ref()?;
        token.is(presented).then(|| Grant(state.generation.clone()))
    }

    /// A code that can be traded for the token, once.
    pub(crate) fn new_code(&self) -> String {
        self.state().codes.make(Instant::now())
    }

    /// Trades a code for the token.
    pub(crate) fn trade(&self, code: &str) -> Option<String> {
        let mut state = self.state();
        let good = state.codes.take(code, Instant::now());
        let token = state.token.as_ref()?;
        good.then(|| token.reveal().to_owned())
    }

    /// Replaces the token, in the file first; what came with the old one ends, and codes with it.
    /// Blocks.
    pub(crate) fn rotate(&self) -> Result<String, TokenError> {
        let rotating = self.shared.rotating.lock();
        let _alone = rotating.unwrap_or_else(PoisonError::into_inner);
        let token = Token::random();
        token::replace(&self.shared.folder, &token)?;
        let revealed = token.reveal().to_owned();
        let mut state = self.state();
        state.token = Some(token);
        state.codes = Codes::default();
        let over = std::mem::take(&mut state.generation);
        drop(state);
        over.cancel();
        Ok(revealed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands behind `Authorization: Bearer`, in a header that stands once.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    fn opened() -> (tempfile::TempDir, Access) {
        let folder = tempfile::tempdir().unwrap();
        let (access, _lock) = Access::open(&folder.path().join("gateway")).unwrap();
        (folder, access)
    }

    fn traded(access: &Access) -> String {
        access.trade(&access.new_code()).unwrap()
    }

    #[test]
    fn only_the_token_itself_is_admitted() {
        let (_folder, access) = opened();
        let token = traded(&access);
        assert!(access.admit(&with(&format!("Bearer {token}"))).is_some());
        assert!(access.admit(&with(&format!("bearer  {token} "))).is_some());
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            &token,
            &format!("Basic {token}"),
            &format!("Bearer {}", &token[1..]),
            &format!("Bearer {token}0"),
            &format!(
                "Bearer {}",
                token.to_uppercase().replace(char::is_numeric, "A")
            ),
        ] {
            assert!(access.admit(&with(wrong)).is_none(), "{wrong}");
        }
        let mut twice = with(&format!("Bearer {token}"));
        twice.append(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert!(access.admit(&twice).is_none());
    }

    #[test]
    fn a_code_is_good_once_and_no_other_is() {
        let (_folder, access) = opened();
        let code = access.new_code();
        assert!(access.trade("").is_none());
        assert!(access.trade(&code[1..]).is_none());
        assert!(access.trade(&code).is_some());
        assert!(access.trade(&code).is_none());
    }

    #[tokio::test]
    async fn a_new_token_ends_what_came_with_the_old_one() {
        let (folder, access) = opened();
        let old = with(&format!("Bearer {}", traded(&access)));
        let grant = access.admit(&old).unwrap();
        let code = access.new_code();
        let new = access.rotate().unwrap();
        grant.ended().await;
        assert!(access.admit(&old).is_none());
        assert!(access.trade(&code).is_none());
        let kept = access.admit(&with(&format!("Bearer {new}"))).unwrap();
        assert!(!kept.0.is_cancelled());

        let (again, _lock) = Access::open(&folder.path().join("gateway")).unwrap();
        assert_eq!(traded(&again), new);
    }
}
