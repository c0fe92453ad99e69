//! HTTP/1.1 at the socket. A [`Request`] is put together line by line, or its bytes are given; an
//! [`Answer`] is what came back, unadorned.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::wait::within;

/// A request that is not sent yet. Its `Host` is the gateway's until another is given.
#[derive(Debug, Clone)]
pub struct Request {
    address: SocketAddr,
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, freed from its chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with a `Host` and nothing else.
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Request {
        Request {
            address,
            line: format!("{method} {target} HTTP/1.1"),
            headers: vec![("Host".to_owned(), address.to_string())],
            body: Vec::new(),
        }
    }

    /// With a header more.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another value of a header, or without it.
    pub fn instead(mut self, name: &str, value: Option<&str>) -> Request {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// With a bearer token.
    pub fn bearer(self, token: &str) -> Request {
        self.instead("Authorization", Some(&format!("Bearer {token}")))
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Request {
        self.body("application/json", body.to_string().as_bytes())
    }

    /// With a body of some type.
    pub fn body(self, kind: &str, body: &[u8]) -> Request {
        let length = body.len().to_string();
        let mut request = self
            .instead("Content-Type", Some(kind))
            .instead("Content-Length", Some(&length));
        request.body = body.to_vec();
        request
    }

    /// Where it goes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it on a connection of its own and waits for the answer.
    pub async fn send(&self) -> Answer {
        let answer = self.try_send().await;
        answer.unwrap_or_else(|e| panic!("{}: {e}", self.what()))
    }

    /// As [`Request::send`], to a server that may be gone or go.
    pub async fn try_send(&self) -> std::io::Result<Answer> {
        within(&self.what(), async {
            let mut connection = Connection::try_open(self.address).await?;
            connection.write(&self.bytes()).await;
            connection.answer().await
        })
        .await
    }

    fn what(&self) -> String {
        self.line.chars().take(120).collect()
    }
}

/// A connection, for more than one request, or for what is none.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Connection {
        let connection = Connection::try_open(address).await;
        connection.unwrap_or_else(|e| panic!("{address}: {e}"))
    }

    /// Connects to what may be gone.
    pub async fn try_open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = within("a connection", TcpStream::connect(address)).await?;
        Ok(Connection {
            stream: BufReader::new(stream),
        })
    }

    /// Sends bytes. The other side may have closed already, and often should have.
    pub async fn write(&mut self, bytes: &[u8]) {
        let written = self.stream.get_mut().write_all(bytes);
        let _ = within("the other side to take bytes", written).await;
    }

    /// Sends no more.
    pub async fn shut(&mut self) {
        // It may be closed altogether.
        let _ = self.stream.get_mut().shutdown().await;
    }

    /// The next answer; an error if the connection ends before it does.
    pub async fn answer(&mut self) -> std::io::Result<Answer> {
        let (status, headers) = self.head().await?;
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if matches!(status, 204 | 304) {
            return Ok(answer);
        }
        if answer.is_chunked() {
            while let Some(chunk) = self.chunk().await? {
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            let length = answer.header("content-length");
            answer.body = self.rest_of(length).await?;
        }
        Ok(answer)
    }

    /// A body that has a length, or goes to the end of the connection.
    pub(super) async fn rest_of(&mut self, length: Option<&str>) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length.parse().map_err(std::io::Error::other)?, 0);
                self.stream.read_exact(&mut body).await?;
            }
            None => {
                self.stream.read_to_end(&mut body).await?;
            }
        }
        Ok(body)
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let read = self.stream.read_to_end(&mut bytes);
        let _ = within("the connection to end", read).await;
        bytes
    }

    /// Status and headers.
    pub(super) async fn head(&mut self) -> std::io::Result<(u16, Vec<(String, String)>)> {
        let status = self.line().await?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.ok_or_else(|| std::io::Error::other(format!("no status: {status:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok((code, headers));
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next chunk of a chunked body; `None` behind the last.
    pub(super) async fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let size = self.line().await?;
        let length = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        Ok((length > 0).then_some(bytes))
    }

    async fn line(&mut self) -> std::io::Result<String> {
        use tokio::io::AsyncBufReadExt as _;
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end_matches('\r').to_owned())
    }
}

impl Answer {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// True of a body that comes in chunks.
    pub fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Itself; panics unless it is a 200.
    pub fn ok(self) -> Answer {
        self.is(200)
    }

    /// Itself; panics unless its status is that.
    pub fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }

    /// The body as JSON.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.text()))
    }
}
