//! Plain gRPC to a daemon, as any client could speak it: generated types and nothing else.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use steroids_proto::v1;
use steroids_proto::v1::daemon_client::DaemonClient;
use steroids_proto::v1::follow_request::Selector;
use steroids_proto::v1::invocations_client::InvocationsClient;
use steroids_proto::v1::projects_client::ProjectsClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::binaries;
use crate::wait::{eventually, within};

/// As often as a watcher may be told how things are.
const PULSE: Duration = Duration::from_millis(200);

/// A connection.
#[derive(Debug, Clone)]
pub struct Rpc {
    channel: Channel,
}

/// An open Follow stream.
#[derive(Debug)]
pub struct Followed {
    stream: Streaming<v1::FollowResponse>,
    waiting: std::collections::VecDeque<v1::Event>,
}

/// The arguments that run `fake-provider ARGS` as a plain command.
pub fn argv(args: &[&str]) -> Vec<String> {
    let program = binaries::fake_provider();
    let program = program.to_str().expect("test paths are ASCII");
    let words = std::iter::once(&program).chain(args);
    words.map(|&word| word.to_owned()).collect()
}

/// A start of a plain command of `task`.
pub fn command(project: &str, task: &str, argv: Vec<String>) -> v1::StartRequest {
    v1::StartRequest {
        project: project.to_owned(),
        task_id: task.to_owned(),
        provider: "command".to_owned(),
        argv,
        ..Default::default()
    }
}

/// Selects one invocation.
pub fn invocation(project: &str, id: i64) -> Selector {
    let project = project.to_owned();
    Selector::Invocation(v1::InvocationSelector { project, id })
}

/// Selects a task.
pub fn task(project: &str, task: &str) -> Selector {
    Selector::Task(v1::TaskSelector {
        project: project.to_owned(),
        task_id: task.to_owned(),
    })
}

impl Rpc {
    /// Connects to the daemon at `socket`.
    pub async fn connect(socket: &Path) -> Rpc {
        let uri = format!("unix://{}", socket.display());
        let endpoint = Endpoint::try_from(uri).expect("a socket's path makes a URI");
        let channel = within("a connection", endpoint.connect())
            .await
            .expect("the daemon accepts connections");
        Rpc { channel }
    }

    /// The bare channel, for other services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The service of invocations.
    pub fn invocations(&self) -> InvocationsClient<Channel> {
        InvocationsClient::new(self.channel())
    }

    /// The service of projects.
    pub fn projects(&self) -> ProjectsClient<Channel> {
        ProjectsClient::new(self.channel())
    }

    /// The service of the daemon itself.
    pub fn daemon(&self) -> DaemonClient<Channel> {
        DaemonClient::new(self.channel())
    }

    /// Starts `fake-provider ARGS` as a plain command of `task`.
    pub async fn start_fake(&self, project: &str, task: &str, args: &[&str]) -> v1::Invocation {
        let request = command(project, task, argv(args));
        self.start(request).await.expect("a start that is in order")
    }

    /// Starts the fake provider in the place of an AI CLI, under its default arguments.
    pub async fn start_as(
        &self,
        project: &str,
        task: &str,
        provider: &str,
        args: &[&str],
    ) -> v1::Invocation {
        let words = serde_json::to_string(args).expect("a list of words is JSON");
        let request = v1::StartRequest {
            project: project.to_owned(),
            task_id: task.to_owned(),
            provider: provider.to_owned(),
            prompt: "do it".to_owned(),
            env: [("FAKE_PROVIDER".to_owned(), words)].into(),
            ..Default::default()
        };
        self.start(request).await.expect("a start that is in order")
    }

    /// What `status` says does not work.
    pub async fn degraded(&self) -> Vec<String> {
        let answer = within("Status", self.daemon().status(v1::StatusRequest {})).await;
        answer.expect("Status is served").into_inner().degraded
    }

    /// Waits until so many streams are open.
    pub async fn subscribers(&self, count: i64) {
        eventually("another number of streams", async || {
            let status = within("Status", self.daemon().status(v1::StatusRequest {})).await;
            let open = status.expect("Status is served").into_inner().subscribers;
            (open == count).then_some(())
        })
        .await;
    }

    /// Starts, and gives the invocation of the answer.
    pub async fn start(&self, request: v1::StartRequest) -> Result<v1::Invocation, Status> {
        let answer = within("Start", self.invocations().start(request)).await?;
        let invocation = answer.into_inner().invocation;
        Ok(invocation.expect("an answer to Start has an invocation"))
    }

    /// Stops an invocation, and waits for its end.
    pub async fn stop(&self, project: &str, id: i64, grace: Duration) -> v1::StopResponse {
        let request = v1::StopRequest {
            project: project.to_owned(),
            id,
            grace: Some(grace.try_into().expect("a test's grace is short")),
            ..Default::default()
        };
        let what = "the end of what was stopped";
        let answer = within(what, self.invocations().stop(request)).await;
        let answer = answer.unwrap_or_else(|status| panic!("Stop {id}: {status:?}"));
        answer.into_inner()
    }

    /// One invocation, as it is now.
    pub async fn get(&self, project: &str, id: i64) -> v1::Invocation {
        let request = v1::GetRequest {
            project: project.to_owned(),
            id,
            terms: false,
        };
        let answer = within("Get", self.invocations().get(request)).await;
        let answer = answer.unwrap_or_else(|status| panic!("Get {id}: {status:?}"));
        let invocation = answer.into_inner().invocation;
        invocation.expect("an answer to Get has an invocation")
    }

    /// Waits until a project of which the disk hung is served again.
    pub async fn served_again(&self, project: &str, id: i64) {
        eventually("the project to be served again", async || {
            let request = v1::GetRequest {
                project: project.to_owned(),
                id,
                terms: false,
            };
            self.invocations().get(request).await.ok()
        })
        .await;
    }

    /// Waits for the row's end, told by lifecycle events.
    pub async fn ended(&self, project: &str, id: i64) -> v1::Invocation {
        let watched = v1::WatchRequest {
            project: project.to_owned(),
            after: Some(0),
            pulse: None,
            since_ms: None,
        };
        let answer = within("Watch", self.projects().watch(watched)).await;
        let mut events = answer.expect("Watch is served").into_inner();
        loop {
            let now = self.get(project, id).await;
            if is_ended(&now) {
                return now;
            }
            let what = format!("invocation {id} to end");
            within(&what, events.message())
                .await
                .unwrap_or_else(|status| panic!("Watch: {status:?}"))
                .expect("Watch goes on while the daemon does");
        }
    }

    /// Waits until a running invocation tells what it used so far.
    pub async fn usage_seen(&self, project: &str, id: i64) -> v1::Usage {
        let watched = v1::WatchRequest {
            project: project.to_owned(),
            after: None,
            pulse: Some(PULSE.try_into().expect("a pulse is short")),
            since_ms: None,
        };
        let answer = within("Watch", self.projects().watch(watched)).await;
        let mut pulses = answer.expect("Watch is served").into_inner();
        loop {
            let pulse = within("a pulse that tells of usage", pulses.message()).await;
            let pulse = pulse.unwrap_or_else(|status| panic!("Watch: {status:?}"));
            let pulse = pulse.expect("Watch goes on while the daemon does");
            let mut told = pulse.running.into_iter().filter(|it| it.id == id);
            if let Some(usage) = told.find_map(|it| it.usage) {
                return usage;
            }
        }
    }

    /// Waits for a project's first lifecycle event of this kind, of all there were and those to come.
    pub async fn lifecycle(
        &self,
        project: &str,
        is_wanted: impl Fn(&v1::LifecycleEvent) -> bool,
    ) -> v1::LifecycleEvent {
        let watched = v1::WatchRequest {
            project: project.to_owned(),
            after: Some(0),
            pulse: None,
            since_ms: None,
        };
        let answer = within("Watch", self.projects().watch(watched)).await;
        let mut watch = answer.expect("Watch is served").into_inner();
        loop {
            let events = within("a lifecycle event", watch.message()).await;
            let events = events.unwrap_or_else(|status| panic!("Watch: {status:?}"));
            let events = events.expect("Watch goes on while the daemon does").events;
            if let Some(found) = events.into_iter().find(&is_wanted) {
                return found;
            }
        }
    }

    /// The projects of all that is listed, newest first, and those that could not be asked.
    pub async fn listed(&self) -> (Vec<String>, Vec<String>) {
        let mut client = self.invocations();
        let listed = within("List", client.list(v1::ListRequest::default())).await;
        let listed = listed.expect("List is served").into_inner();
        let of = listed.invocations.into_iter().map(|it| it.project);
        (of.collect(), listed.unread)
    }

    /// Lifecycle events of a project from the first on, up to where there are enough of them.
    pub async fn events(
        &self,
        project: &str,
        is_enough: impl Fn(&[v1::LifecycleEvent]) -> bool,
    ) -> Vec<v1::LifecycleEvent> {
        let watched = v1::WatchRequest {
            project: project.to_owned(),
            after: Some(0),
            ..Default::default()
        };
        let answer = within("Watch", self.projects().watch(watched)).await;
        let mut watch = answer.expect("Watch is served").into_inner();
        let mut events = Vec::new();
        while !is_enough(&events) {
            let more = within("an event", watch.message()).await;
            let more = more.unwrap_or_else(|status| panic!("Watch: {status:?}"));
            events.extend(more.expect("Watch goes on while the daemon does").events);
        }
        events
    }

    /// Where lines of a log are.
    pub async fn outline(
        &self,
        request: v1::OutlineRequest,
    ) -> Result<v1::OutlineResponse, Status> {
        let answer = within("Outline", self.invocations().outline(request)).await?;
        Ok(answer.into_inner())
    }

    /// Some lines of a log.
    pub async fn read(&self, request: v1::ReadRequest) -> Result<v1::ReadResponse, Status> {
        let answer = within("Read", self.invocations().read(request)).await?;
        Ok(answer.into_inner())
    }

    /// Opens a Follow stream.
    pub async fn follow(&self, selector: Selector, after: &str, follow: bool) -> Followed {
        let followed = self.try_follow(selector, after, follow).await;
        followed.unwrap_or_else(|status| panic!("Follow: {status:?}"))
    }

    /// Opens a Follow stream that may be refused.
    pub async fn try_follow(
        &self,
        selector: Selector,
        after: &str,
        follow: bool,
    ) -> Result<Followed, Status> {
        let request = v1::FollowRequest {
            selector: Some(selector),
            after: after.to_owned(),
            follow,
            skip_ended: false,
            limit_bytes: 0,
            pieces: false,
            tail: None,
        };
        self.followed(request).await
    }

    /// What comes after the cursor, up to about so many bytes of lines.
    pub async fn part(
        &self,
        selector: Selector,
        after: &str,
        follow: bool,
        limit_bytes: u64,
    ) -> Vec<v1::Event> {
        let request = v1::FollowRequest {
            selector: Some(selector),
            after: after.to_owned(),
            follow,
            skip_ended: false,
            limit_bytes,
            pieces: false,
            tail: None,
        };
        let followed = self.followed(request).await;
        let followed = followed.unwrap_or_else(|status| panic!("Follow: {status:?}"));
        followed.rest().await.expect("a bounded stream has an end")
    }

    /// All of an ended invocation's log behind the cursor, in pieces.
    pub async fn pieces(&self, selector: Selector, after: &str) -> Vec<v1::Piece> {
        let request = v1::FollowRequest {
            selector: Some(selector),
            after: after.to_owned(),
            follow: true,
            skip_ended: false,
            limit_bytes: 0,
            pieces: true,
            tail: None,
        };
        let answer = within("Follow", self.invocations().follow(request)).await;
        let mut stream = answer.expect("Follow is served").into_inner();
        let mut pieces = Vec::new();
        while let Some(batch) = within("a piece", stream.message())
            .await
            .expect("the stream does not break")
        {
            assert_eq!(batch.events, []);
            pieces.extend(batch.piece);
        }
        pieces
    }

    async fn followed(&self, request: v1::FollowRequest) -> Result<Followed, Status> {
        let answer = within("Follow", self.invocations().follow(request)).await?;
        Ok(Followed {
            stream: answer.into_inner(),
            waiting: std::collections::VecDeque::new(),
        })
    }
}

impl Followed {
    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<v1::Event>, Status> {
        while self.waiting.is_empty() {
            match within("an event", self.stream.message()).await? {
                Some(batch) => self.waiting.extend(batch.events),
                None => return Ok(None),
            }
        }
        Ok(self.waiting.pop_front())
    }

    /// Events up to and with the first whose line contains `words`.
    pub async fn until(&mut self, words: &str) -> Vec<v1::Event> {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Ok(Some(event)) => {
                    let found = line(&event).contains(words);
                    events.push(event);
                    if found {
                        return events;
                    }
                }
                other => panic!("{other:?} instead of `{words}` after {events:?}"),
            }
        }
    }

    /// All events up to the end of the stream.
    pub async fn rest(mut self) -> Result<Vec<v1::Event>, Status> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }
}

/// Of which invocations a kind of lifecycle event was told, in order.
pub fn told(events: &[v1::LifecycleEvent], kind: &str) -> Vec<i64> {
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind.filter_map(|event| event.invocation_id).collect()
}

/// The lines of events, parsed.
pub fn values(events: &[v1::Event]) -> Vec<Value> {
    events
        .iter()
        .map(|event| serde_json::from_slice(&event.line).expect("a line is JSON"))
        .collect()
}

/// The lines of events as a log holds them.
pub fn bytes(events: &[v1::Event]) -> Vec<u8> {
    let lines = events.iter().flat_map(|event| [&event.line[..], b"\n"]);
    lines.collect::<Vec<_>>().concat()
}

fn line(event: &v1::Event) -> String {
    String::from_utf8_lossy(&event.line).into_owned()
}

fn is_ended(invocation: &v1::Invocation) -> bool {
    !matches!(
        invocation.state(),
        v1::State::Unspecified | v1::State::Queued | v1::State::Running
    )
}
