//! The services over the fake world: what the gateway's streams ask for, and nothing else.

use std::collections::BTreeMap;
use std::pin::Pin;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Log, PROJECT, Shared, World};

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

fn refusal(code: Code, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "steroidsd", std::collections::HashMap::new());
    Status::with_error_details(code, message, details)
}

fn known(project: &str) -> Result<(), Status> {
    match project {
        "" | PROJECT => Ok(()),
        _ => Err(refusal(Code::NotFound, "NOT_REGISTERED", "not registered")),
    }
}

fn unasked<T>() -> Answer<T> {
    Err(Status::unimplemented("no test asks for it"))
}

#[tonic::async_trait]
impl v1::invocations_server::Invocations for Shared {
    type FollowStream = Events<v1::FollowResponse>;
    type TimelineStream = Events<v1::TimelineResponse>;

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<v1::GetResponse> {
        let request = request.into_inner();
        known(&request.project)?;
        let mut world = self.world();
        if world.busy > 0 {
            world.busy -= 1;
            let busy = "too many calls";
            return Err(refusal(Code::ResourceExhausted, "BUSY", busy));
        }
        match world.find(request.id) {
            Some(found) => Ok(Response::new(v1::GetResponse {
                invocation: Some(found.clone()),
            })),
            None => Err(refusal(Code::NotFound, "NO_INVOCATION", "no invocation")),
        }
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Answer<v1::ListResponse> {
        let request = request.into_inner();
        known(&request.project)?;
        let world = self.world();
        let newest_first = world.invocations.iter().rev();
        let matching = newest_first
            .filter(|_| !world.is_missing)
            .filter(|it| request.states.is_empty() || request.states.contains(&it.state))
            .filter(|it| request.task_id.is_empty() || request.task_id == it.task_id);
        Ok(Response::new(v1::ListResponse {
            invocations: matching.cloned().collect(),
            next_page_token: String::new(),
            unread: Vec::new(),
            gone: Vec::new(),
        }))
    }

    async fn follow(&self, request: Request<v1::FollowRequest>) -> Answer<Self::FollowStream> {
        let request = request.into_inner();
        self.world().follows.push(request.clone());
        // Open by the time it is answered, so that what a test does to the world then comes after it.
        let follower = Follower::open(&mut self.world(), &request);
        self.news();
        let follower = follower?;
        let (tell, told) = mpsc::channel(1);
        let shared = self.clone();
        tokio::spawn(async move { follower.run(shared, request.follow, tell).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn usage(&self, _: Request<v1::UsageRequest>) -> Answer<v1::UsageResponse> {
        unasked()
    }

    async fn reproject(
        &self,
        _request: Request<v1::ReprojectRequest>,
    ) -> Answer<v1::ReprojectResponse> {
        Err(Status::unimplemented("no test asks for it"))
    }

    async fn read(&self, request: Request<v1::ReadRequest>) -> Answer<v1::ReadResponse> {
        let id = request.into_inner().id;
        Ok(Response::new(v1::ReadResponse {
            no_log: !self.world().logs.contains_key(&id),
            ..v1::ReadResponse::default()
        }))
    }

    async fn start(&self, _: Request<v1::StartRequest>) -> Answer<v1::StartResponse> {
        unasked()
    }

    async fn retry(&self, _: Request<v1::RetryRequest>) -> Answer<v1::StartResponse> {
        unasked()
    }

    async fn stop(&self, _: Request<v1::StopRequest>) -> Answer<v1::StopResponse> {
        unasked()
    }

    async fn send_input(&self, _: Request<v1::SendInputRequest>) -> Answer<v1::SendInputResponse> {
        unasked()
    }

    async fn outline(&self, _: Request<v1::OutlineRequest>) -> Answer<v1::OutlineResponse> {
        unasked()
    }

    async fn timeline(&self, _: Request<v1::TimelineRequest>) -> Answer<Self::TimelineStream> {
        unasked()
    }
}

/// One open stream.
struct Follower {
    selector: Selector,
    /// Of each invocation, the generation and the number of its next line.
    places: BTreeMap<i64, (u32, usize)>,
    has_told: bool,
    /// Whether it notices the end of a log even where streams that were open before do not.
    notices: bool,
}

impl Follower {
    fn open(world: &mut World, request: &v1::FollowRequest) -> Result<Follower, Status> {
        let selector = request.selector.clone().expect("a selector");
        let project = match &selector {
            Selector::Invocation(it) => &it.project,
            Selector::Task(it) => &it.project,
            Selector::Project(it) => &it.project,
            Selector::All(_) => "",
        };
        known(project)?;
        let places = places(&request.after)
            .ok_or_else(|| refusal(Code::OutOfRange, "CURSOR_MALFORMED", "malformed"))?;
        let is_inside =
            |(id, (_, next)): (&i64, &(u32, usize))| *next > 900_000 && world.logs.contains_key(id);
        if places.iter().any(is_inside) {
            return Err(refusal(
                Code::OutOfRange,
                "CURSOR_OUT_OF_RANGE",
                "inside a line",
            ));
        }
        let mut follower = Follower {
            selector,
            places,
            has_told: false,
            notices: world.ends_late,
        };
        world.open += 1;
        world.most = world.most.max(world.open);
        if request.skip_ended && request.after.is_empty() {
            let is_ended = |it: &&v1::Invocation| it.state != i32::from(v1::State::Running);
            for it in world.invocations.iter().filter(is_ended) {
                let log = world.logs.get(&it.id).cloned().unwrap_or_default();
                let place = (log.generation, log.lines.len());
                follower.places.insert(it.id, place);
            }
        }
        Ok(follower)
    }

    async fn run(
        mut self,
        shared: Shared,
        follow: bool,
        tell: mpsc::Sender<Result<v1::FollowResponse, Status>>,
    ) {
        let mut changed = shared.changed.subscribe();
        if !matches!(self.selector, Selector::Invocation(_)) {
            let begin = v1::FollowResponse {
                events: Vec::new(),
                cursor: self.cursor(),
                piece: None,
            };
            let _ = tell.send(Ok(begin)).await;
        }
        loop {
            changed.mark_unchanged();
            let (events, is_over) = {
                let world = shared.world();
                let (events, is_over) = self.look(&world);
                (events, is_over && (self.notices || !world.ends_late))
            };
            let is_idle = events.is_empty();
            let cursor = String::new();
            let answer = v1::FollowResponse {
                events,
                cursor,
                piece: None,
            };
            if !is_idle && tell.send(Ok(answer)).await.is_err() {
                break;
            }
            if is_over || is_idle && !follow {
                break;
            }
            if is_idle {
                tokio::select! {
                    news = changed.changed() => if news.is_err() { break },
                    () = tell.closed() => break,
                }
            }
        }
        shared.world().open -= 1;
        shared.news();
    }

    /// The next few events; whether they are the last.
    fn look(&mut self, world: &World) -> (Vec<v1::Event>, bool) {
        let mut events = Vec::new();
        for it in &world.invocations {
            let is_selected = match &self.selector {
                Selector::Invocation(selector) => selector.id == it.id,
                Selector::Task(selector) => selector.task_id == it.task_id,
                Selector::Project(_) | Selector::All(_) => true,
            };
            let Some(log) = world.logs.get(&it.id).filter(|_| is_selected) else {
                continue;
            };
            if self.gap(it.id, log, &mut events) {
                return (events, false);
            }
            while let Some(line) = log.lines.get(self.places.get(&it.id).map_or(0, |it| it.1)) {
                if events.len() == 100 {
                    return (events, false);
                }
                let place = self.places.entry(it.id).or_insert((log.generation, 0));
                place.1 += 1;
                events.push(self.event(it.id, line));
            }
        }
        let is_last = matches!(&self.selector, Selector::Invocation(selector)
            if world.find(selector.id).is_some_and(|it| it.state != i32::from(v1::State::Running)));
        if is_last && world.lacks_log && !self.has_told {
            self.has_told = true;
            let id = world.invocations.first().map_or(0, |it| it.id);
            self.places.entry(id).or_default();
            events.push(self.event(id, r#"{"ts":1,"type":"gap","reason":"no_log"}"#));
            return (events, true);
        }
        if is_last && world.lacks_end && !self.has_told {
            // By itself, as the daemon does.
            if events.is_empty() {
                self.has_told = true;
                let id = self.places.keys().next().copied().unwrap_or_default();
                events.push(self.event(id, r#"{"ts":1,"type":"gap","reason":"incomplete"}"#));
            }
            return (events, self.has_told);
        }
        (events, is_last)
    }

    fn gap(&mut self, id: i64, log: &Log, events: &mut Vec<v1::Event>) -> bool {
        let place = self.places.get_mut(&id);
        let Some(place) = place.filter(|it| it.0 != log.generation || it.1 > log.lines.len())
        else {
            return false;
        };
        *place = (log.generation, 0);
        events.push(self.event(id, r#"{"ts":1,"type":"gap","reason":"rebuilt"}"#));
        true
    }

    fn event(&self, id: i64, line: &str) -> v1::Event {
        let kind = line.split_once("\"type\":\"").map_or("", |(_, rest)| rest);
        v1::Event {
            cursor: self.cursor(),
            invocation_id: id,
            ts: 820_454_400_000,
            r#type: kind.split('"').next().unwrap_or_default().to_owned(),
            line: line.to_owned().into(),
            project: String::new(),
        }
    }
}

impl Follower {
    fn cursor(&self) -> String {
        let cursor =
            |(id, (generation, next)): (&i64, &(u32, usize))| format!("{id}:{generation}:{next}");
        let cursors: Vec<_> = self.places.iter().map(cursor).collect();
        cursors.join("_")
    }
}

fn places(cursor: &str) -> Option<BTreeMap<i64, (u32, usize)>> {
    let parts = cursor.split('_').filter(|part| !part.is_empty());
    let place = |part: &str| {
        let numbers: Vec<&str> = part.split(':').collect();
        let [id, generation, next] = numbers.as_slice() else {
            return None;
        };
        Some((
            id.parse().ok()?,
            (generation.parse().ok()?, next.parse().ok()?),
        ))
    };
    parts.map(place).collect()
}

#[tonic::async_trait]
impl v1::projects_server::Projects for Shared {
    type WatchStream = Events<v1::WatchResponse>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let request = request.into_inner();
        known(&request.project)?;
        let mut changed = self.changed.subscribe();
        let newest = self.world().lifecycle.last().map_or(0, |it| it.number);
        let since = request.since_ms.map(|since| {
            let world = self.world();
            let first = world.lifecycle.iter().find(|it| it.ts >= since);
            first.map_or(newest, |first| first.number - 1)
        });
        let mut last = request.after.or(since).unwrap_or(newest);
        if last > newest {
            let reason = "CURSOR_OUT_OF_RANGE";
            return Err(refusal(Code::OutOfRange, reason, "past the last event"));
        }
        let (tell, told) = mpsc::channel(1);
        let shared = self.clone();
        tokio::spawn(async move {
            loop {
                changed.mark_unchanged();
                let mut answer = v1::WatchResponse::default();
                {
                    let world = shared.world();
                    let new = world.lifecycle.iter().filter(|it| it.number > last);
                    answer.events = new.cloned().collect();
                    if request.pulse.is_some() && !world.is_missing {
                        let is_running =
                            |it: &&v1::Invocation| it.state == i32::from(v1::State::Running);
                        let running = world.invocations.iter().filter(is_running);
                        answer.running = running.cloned().collect();
                    }
                }
                last = answer.events.last().map_or(last, |it| it.number);
                if tell.send(Ok(answer)).await.is_err() || changed.changed().await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn list(&self, _: Request<v1::ListProjectsRequest>) -> Answer<v1::ListProjectsResponse> {
        let is_missing = self.world().is_missing;
        let state = if is_missing { "unusable" } else { "ready" };
        let project = v1::Project {
            path: PROJECT.to_owned(),
            state: state.to_owned(),
            ..Default::default()
        };
        Ok(Response::new(v1::ListProjectsResponse {
            projects: vec![project],
        }))
    }

    async fn register(&self, _: Request<v1::RegisterRequest>) -> Answer<v1::RegisterResponse> {
        unasked()
    }

    async fn get(&self, _: Request<v1::GetProjectRequest>) -> Answer<v1::GetProjectResponse> {
        unasked()
    }

    async fn list_tasks(&self, _: Request<v1::ListTasksRequest>) -> Answer<v1::ListTasksResponse> {
        unasked()
    }

    async fn migrate(&self, _: Request<v1::MigrateRequest>) -> Answer<v1::MigrateResponse> {
        unasked()
    }

    async fn cleanup_spools(
        &self,
        _: Request<v1::CleanupSpoolsRequest>,
    ) -> Answer<v1::CleanupSpoolsResponse> {
        unasked()
    }

    async fn forget(&self, _: Request<v1::ForgetRequest>) -> Answer<v1::ForgetResponse> {
        unasked()
    }

    async fn cleanup_logs(
        &self,
        _: Request<v1::CleanupLogsRequest>,
    ) -> Answer<v1::CleanupLogsResponse> {
        unasked()
    }
}

#[tonic::async_trait]
impl v1::daemon_server::Daemon for Shared {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        Ok(Response::new(v1::StatusResponse::default()))
    }

    async fn wakeup(&self, _: Request<v1::WakeupRequest>) -> Answer<v1::WakeupResponse> {
        unasked()
    }

    async fn get_config(&self, _: Request<v1::GetConfigRequest>) -> Answer<v1::GetConfigResponse> {
        unasked()
    }

    async fn list_holds(&self, _: Request<v1::ListHoldsRequest>) -> Answer<v1::ListHoldsResponse> {
        unasked()
    }

    async fn set_hold(&self, _: Request<v1::SetHoldRequest>) -> Answer<v1::SetHoldResponse> {
        unasked()
    }

    async fn lift_hold(&self, _: Request<v1::LiftHoldRequest>) -> Answer<v1::LiftHoldResponse> {
        unasked()
    }

    async fn list_hooks(&self, _: Request<v1::ListHooksRequest>) -> Answer<v1::ListHooksResponse> {
        unasked()
    }

    async fn test_hook(&self, _: Request<v1::TestHookRequest>) -> Answer<v1::TestHookResponse> {
        unasked()
    }

    async fn drain(&self, _: Request<v1::DrainRequest>) -> Answer<v1::DrainResponse> {
        unasked()
    }

    async fn reload(&self, _: Request<v1::ReloadRequest>) -> Answer<v1::ReloadResponse> {
        unasked()
    }

    async fn shutdown(&self, _: Request<v1::ShutdownRequest>) -> Answer<v1::ShutdownResponse> {
        unasked()
    }
}
