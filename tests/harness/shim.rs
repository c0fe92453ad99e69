//! What a shim answers to whoever asks at its own socket.

use steroids_shim::paths::InvDir;
use steroids_shim::protocol::{self, Message, Request, Stat};
use steroids_shim::spec::Spec;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::Home;
use crate::wait::within;

/// What the shim of a running invocation says of itself.
pub async fn stat(home: &Home, uuid: &str) -> Stat {
    let spec = Spec::load(&InvDir::at(home.invocation_dir(uuid))).expect("it was started");
    let asking = async {
        let mut stream = BufReader::new(UnixStream::connect(&spec.socket).await?);
        let asked = protocol::encode(&Request::Stat);
        stream.write_all(asked.as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        std::io::Result::Ok(line)
    };
    let line = within("a shim's answer", asking).await;
    let line = line.expect("a shim that lives answers");
    match protocol::decode(&line).expect("an answer is a message") {
        Message::Stat(stat) => stat,
        other => panic!("{other:?}"),
    }
}
