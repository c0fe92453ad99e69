//! A message to a running agent. It is written durably into the state folder, and the shim is told
//! that it is there; the shim puts it on record, hands it to the agent, and remembers its id. So it
//! is delivered once, however often it is sent with that id, also if the daemon dies in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use steroids_provider::input::takes;
use steroids_shim::input::{Input, LONGEST_TEXT, is_id};
use steroids_shim::paths::InvDir;
use steroids_shim::protocol::{self, Message, Request};
use steroids_shim::spec::Spec;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;
use uuid::Uuid;

use super::door::Door;
use super::{InputError, Supervisor};
use crate::domain::{InvocationId, Phase};

/// A shim answers within milliseconds; one with a full disk, or a stopped one, does not.
const ANSWER: Duration = Duration::from_secs(10);

/// What a shim says meanwhile, hints above all, at most.
const HEARD: u64 = 1 << 20;

/// What is sent.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Made by the client, so that it can be sent again; made here where it is `None`.
    pub id: Option<String>,
    /// The message; may be empty where only the end is meant.
    pub text: String,
    /// Close the agent's input behind it.
    pub end: bool,
}

impl Sent {
    fn input(&self) -> Input {
        Input {
            text: self.text.clone(),
            end: self.end,
            why: None,
        }
    }
}

impl Supervisor {
    /// Sends a message to an agent; gives its id.
    ///
    /// # Errors
    /// Every reason of [`InputError`]. After `Silent` it may yet be delivered; sent again with the same
    /// id, it is delivered once.
    pub async fn send(
        &self,
        project: &Path,
        id: InvocationId,
        sent: Sent,
    ) -> Result<String, InputError> {
        let message_id = checked(&sent)?;
        let project = self.inner.projects.get(project).await?;
        let found = project.store.invocation(id).await?;
        let invocation = found.ok_or_else(|| InputError::NotFound {
            project: project.root.clone(),
            id,
        })?;
        let Some(managed) = &invocation.managed else {
            return Err(InputError::NotManaged { id });
        };
        match invocation.phase {
            Phase::Ended { .. } => return Err(InputError::Ended { id }),
            Phase::Queued => return Err(InputError::Queued { id }),
            Phase::Running => {}
        }
        if let Some(proto) = self.inner.foreign.protocol(&managed.uuid) {
            return Err(InputError::Foreign { id, proto });
        }
        // One after the other: their order is that of their calls, and a shim has few connections.
        let turn = format!("input {}", managed.uuid);
        let turn = self.inner.turns.take(&project.root, &turn).await;
        let dir = InvDir::new(self.state_dir(), &managed.uuid);
        let name = message_id.clone();
        let written = {
            let dir = dir.clone();
            let input = sent.input();
            tokio::task::spawn_blocking(move || written(id, &dir, &name, &input)).await
        };
        let spec = written.map_err(|_| InputError::Silent { id })??;
        let answered = delivered(id, spec.socket, dir, &message_id).await;
        drop(turn);
        answered.map(|()| message_id)
    }
}

/// The message that closes the input of one whose budget is used. Sent again, it is the same one.
const OVER_BUDGET: &str = "steroidsd-budget-reached";

/// Closes an agent's input, as its budget is reached: `why`, in words.
pub(super) async fn close_over_budget(
    id: InvocationId,
    dir: InvDir,
    why: &str,
) -> Result<(), InputError> {
    let input = Input {
        text: String::new(),
        end: true,
        why: Some(format!("the {why}")),
    };
    let written = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || written(id, &dir, OVER_BUDGET, &input)).await
    };
    let spec = written.map_err(|_| InputError::Silent { id })??;
    delivered(id, spec.socket, dir, OVER_BUDGET).await
}

/// Has the shim take a message that is written, and says what became of it.
async fn delivered(
    id: InvocationId,
    socket: PathBuf,
    dir: InvDir,
    message_id: &str,
) -> Result<(), InputError> {
    match timeout(ANSWER, deliver(socket, dir, message_id)).await {
        Ok(Some(Message::Input { error: None, .. })) => Ok(()),
        Ok(Some(Message::Input {
            is_reused: true, ..
        })) => Err(InputError::Reused {
            id,
            message_id: message_id.to_owned(),
        }),
        Ok(Some(Message::Input { error, .. })) => Err(InputError::Refused {
            id,
            reason: error.unwrap_or_default(),
        }),
        Ok(Some(_)) => Err(InputError::OldShim { id }),
        Ok(None) | Err(_) => Err(InputError::Silent { id }),
    }
}

fn checked(sent: &Sent) -> Result<String, InputError> {
    let id = sent.id.clone();
    let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let invalid = |field, reason: String| Err(InputError::Invalid { field, reason });
    if !is_id(&id) {
        return invalid(
            "message_id",
            "must be a word of at most 64 letters, digits, - and _".into(),
        );
    }
    if sent.text.is_empty() && !sent.end {
        return invalid("text", "is empty".into());
    }
    if !sent.input().fits() {
        let bytes = sent.text.len();
        let reason = format!(
            "is {bytes} bytes long; at most {LONGEST_TEXT}, as JSON: put it into a file, and send its path"
        );
        return invalid("text", reason);
    }
    if sent.text.contains('\0') {
        return invalid("text", "contains a NUL byte".into());
    }
    Ok(id)
}

/// Writes the message, if its agent takes any; blocks.
fn written(id: InvocationId, dir: &InvDir, name: &str, input: &Input) -> Result<Spec, InputError> {
    let folder = |source: Box<dyn std::error::Error + Send + Sync>| InputError::StateDir {
        path: dir.path().to_owned(),
        source,
    };
    let spec = Spec::load(dir).map_err(|error| folder(error.into()))?;
    if !spec.interactive {
        return Err(InputError::NotInteractive { id });
    }
    takes(spec.kind, &spec.argv).map_err(|reason| InputError::Refused {
        id,
        reason: reason.to_owned(),
    })?;
    input
        .store(dir, name)
        .map_err(|error| folder(error.into()))?;
    steroids_failpoint::reach("input.stored");
    Ok(spec)
}

/// Tells the shim, and waits for what becomes of it; `None` if it goes away or does not know.
async fn deliver(socket: PathBuf, dir: InvDir, name: &str) -> Option<Message> {
    let mut stream = Door::new(socket, dir).connect().await?;
    let input = Request::Input {
        id: name.to_owned(),
    };
    // Who has said hello is told what becomes of a message.
    let hello = Request::Hello { hints: false };
    let lines = [hello, input].map(|request| protocol::encode(&request));
    stream.write_all(lines.concat().as_bytes()).await.ok()?;
    let mut said = BufReader::new(stream.take(HEARD)).lines();
    while let Ok(Some(line)) = said.next_line().await {
        match protocol::decode(&line) {
            Ok(answer) if is_about(&answer, name) => {
                steroids_failpoint::reach("input.delivered");
                return Some(answer);
            }
            Ok(error @ Message::Error { .. }) => return Some(error),
            Ok(_) | Err(_) => {}
        }
    }
    None
}

fn is_about(answer: &Message, name: &str) -> bool {
    matches!(answer, Message::Input { id, .. } if id == name)
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// What becomes of message `m` at a shim that says this.
    async fn at_a_shim_that_says(lines: &'static str) -> Option<Message> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let shim = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, mut writer) = stream.into_split();
            let mut asked = BufReader::new(reader).lines();
            let hello = asked.next_line().await.unwrap().unwrap();
            let input = asked.next_line().await.unwrap().unwrap();
            writer.write_all(lines.as_bytes()).await.unwrap();
            (hello, input)
        });
        let answer = deliver(socket, InvDir::at(folder.path()), "m").await;
        let (hello, input) = shim.await.unwrap();
        assert_eq!(hello, r#"{"v":1,"op":"hello","hints":false}"#);
        assert_eq!(input, r#"{"v":1,"op":"input","id":"m"}"#);
        answer
    }

    #[tokio::test]
    async fn the_answer_to_this_message_is_waited_for() {
        let answer = at_a_shim_that_says(
            "{\"spool\":7}\n{\"v\":1,\"op\":\"input\",\"id\":\"other\"}\n{\"v\":1,\"op\":\"input\",\"id\":\"m\",\"error\":\"no\"}\n",
        );
        let refused = Message::Input {
            id: "m".to_owned(),
            error: Some("no".to_owned()),
            is_reused: false,
        };
        assert_eq!(answer.await, Some(refused));
    }

    #[tokio::test]
    async fn a_shim_of_the_release_before_says_that_it_does_not_know_and_nobody_waits() {
        let answer = at_a_shim_that_says(
            "{\"v\":1,\"op\":\"error\",\"error\":\"not a line of the shim protocol\"}\n",
        );
        assert!(matches!(answer.await, Some(Message::Error { .. })));
        assert_eq!(at_a_shim_that_says("").await, None);
    }
}
