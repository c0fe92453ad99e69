//! The gateway, as far as `web` speaks with it: two requests over HTTP, with the token of its file. One
//! that asks for no token may stand beside the one that does; it is spoken with where that is not there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use steroids_client::paths::Paths;
use tokio::net::TcpStream;

use super::listener;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::starting;

/// It is on this machine; this long, and it does not answer at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer is a line.
const LARGEST_ANSWER: usize = 64 * 1024;

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    address: SocketAddr,
    token: Option<String>,
    /// One that asks for no token, until that is the one.
    open: Option<SocketAddr>,
    paths: Paths,
}

/// What a browser needs besides the address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// A code, good for so many seconds.
    Good {
        /// The code.
        code: String,
        /// Seconds.
        seconds: u64,
    },
    /// Nothing: it asks for no token.
    NotNeeded,
}

/// The keys of its answers that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    error: String,
    code: String,
    token: String,
    expires_in_seconds: u64,
}

impl Gateway {
    /// The one that keeps its token in the state folder, else one that has none.
    pub(super) fn find(paths: Paths) -> Result<Gateway, Failure> {
        let state_dir = &paths.state_dir;
        let folder = state_dir.join("gateway");
        let open = announced(folder.join("address.open"));
        if let Some(address) = announced(folder.join("address"))? {
            return Ok(Gateway {
                address,
                token: read(folder.join("token"))?,
                // What is wrong with its file is none of this one's business.
                open: open.unwrap_or_default(),
                paths,
            });
        }
        let address = open?.ok_or_else(|| {
            let message = format!(
                "no gateway runs for the state folder {}",
                state_dir.display()
            );
            Failure::new(Exit::Unreachable, "no_gateway", message)
                .with_hint(starting::of_gateway(&paths))
        })?;
        Ok(Gateway {
            address,
            token: None,
            open: None,
            paths,
        })
    }

    /// Where the page is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gets a code for a browser.
    pub(super) async fn code(&mut self) -> Result<Code, Failure> {
        match self.post("/api/codes").await? {
            (StatusCode::OK, answer) => Ok(Code::Good {
                code: answer.code,
                seconds: answer.expires_in_seconds,
            }),
            (StatusCode::FORBIDDEN, _) => Ok(Code::NotNeeded),
            (status, answer) => Err(self.refused(status, &answer)),
        }
    }

    /// Has it replace its token.
    pub(super) async fn rotate(&mut self) -> Result<(), Failure> {
        // One without a token has none to replace.
        self.open = None;
        match self.post("/api/token/rotate").await? {
            (StatusCode::OK, answer) => {
                self.token = Some(answer.token);
                Ok(())
            }
            (status, answer) => Err(self.refused(status, &answer)),
        }
    }

    fn refused(&self, status: StatusCode, answer: &Answer) -> Failure {
        let message = format!("the gateway at {} says: {}", self.url(), answer.error);
        let failure = Failure::new(Exit::Refused, "gateway_refused", message);
        if status == StatusCode::UNAUTHORIZED {
            failure.with_hint("its token is not the one in its file: restart the gateway")
        } else {
            failure
        }
    }

    async fn post(&mut self, path: &str) -> Result<(StatusCode, Answer), Failure> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(path)).await;
        match asked {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("the gateway at {} does not answer", self.url());
                Err(Failure::new(Exit::TimedOut, "gateway_silent", message))
            }
        }
    }

    async fn connect(&mut self) -> Result<TcpStream, Failure> {
        let failure = match self.dial(self.address).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => failure,
        };
        // Where it was killed, its address is left behind.
        let Some(open) = self.open.take() else {
            return Err(failure);
        };
        let stream = self.dial(open).await.map_err(|_| failure)?;
        (self.address, self.token) = (open, None);
        Ok(stream)
    }

    async fn dial(&self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|_| self.unreachable())?;
        // Whoever took the port of a gateway that is gone must not be handed its token.
        if !listener::is_mine(address) {
            let message = format!("somebody else listens at {address}");
            return Err(
                Failure::new(Exit::Refused, "foreign_gateway", message).with_hint(
                    "start the gateway at another port: setsid -f steroids-gateway --listen 127.0.0.1:0",
                ),
            );
        }
        Ok(stream)
    }

    async fn ask(&mut self, path: &str) -> Result<(StatusCode, Answer), Failure> {
        let stream = self.connect().await?;
        let broken = |_| self.unreachable();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = Request::post(path)
            .header("host", self.address.to_string())
            .header(
                "authorization",
                format!("Bearer {}", self.token.as_deref().unwrap_or_default()),
            )
            .header("content-length", "0")
            .body(Empty::<Bytes>::new())
            .map_err(|_| Failure::new(Exit::Refused, "token", "the gateway's token is damaged"))?;
        let asking = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
                .collect()
                .await
                .map_err(|_| self.unreachable())?;
            let answer = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
            Ok((status, answer))
        };
        tokio::pin!(asking);
        tokio::select! {
            answer = &mut asking => answer,
            // It may close once it has answered; what it said is there then.
            _ = connection => asking.await,
        }
    }

    fn unreachable(&self) -> Failure {
        let message = format!("no gateway answers at {}", self.url());
        Failure::new(Exit::Unreachable, "no_gateway", message)
            .with_hint(starting::of_gateway(&self.paths))
    }
}

/// The address that stands in a file; `None` where there is no file.
fn announced(path: PathBuf) -> Result<Option<SocketAddr>, Failure> {
    let Some(text) = read(path.clone())? else {
        return Ok(None);
    };
    let address = text.strip_prefix("http://").and_then(|it| it.parse().ok());
    address.map(Some).ok_or_else(|| {
        let message = format!("{} names no address", path.display());
        Failure::new(Exit::Refused, "no_gateway", message)
            .with_hint("remove it and start the gateway anew")
    })
}

/// A small file's line; `None` where there is no file.
fn read(path: PathBuf) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("{}: {error}", path.display());
            Err(Failure::new(Exit::Refused, "gateway_files", message))
        }
    }
}
