//! The services over the fake world, but that of the daemon itself.

use std::pin::Pin;

use steroids_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use v1::follow_request::Selector;

use super::{Shared, invocation, reprojected};

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
pub(super) type Answer<T> = Result<Response<T>, Status>;

impl Shared {
    pub(super) fn refused(&self, call: &str) -> Result<(), Status> {
        let mut world = self.world();
        match &world.refuse {
            Some((name, _)) if *name == call => Err(world.refuse.take().unwrap().1),
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl v1::invocations_server::Invocations for Shared {
    type FollowStream = Events<v1::FollowResponse>;
    type TimelineStream = Events<v1::TimelineResponse>;

    async fn start(&self, request: Request<v1::StartRequest>) -> Answer<v1::StartResponse> {
        let request = request.into_inner();
        self.refused("start")?;
        let (answer, hang) = {
            let mut world = self.world();
            let known = world
                .starts
                .iter()
                .position(|start| start.request_id == request.request_id);
            world.starts.push(request.clone());
            let existing = known.is_some();
            let started = match known {
                Some(_) => world.invocations.last().unwrap().clone(),
                None => {
                    let mut new = invocation(world.next_id(), v1::State::Running);
                    new.task_id = request.task_id;
                    new.project = request.project;
                    world.invocations.push(new.clone());
                    new
                }
            };
            let answer = v1::StartResponse {
                invocation: Some(started),
                existing,
            };
            (answer, world.hang_starts)
        };
        self.news();
        if hang {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(answer))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Answer<v1::StartResponse> {
        let request = request.into_inner();
        self.refused("retry")?;
        let mut world = self.world();
        let of = world.find(request.id).cloned();
        let of = of.ok_or_else(|| Status::not_found(format!("there is no {}", request.id)))?;
        world.retries.push(request);
        let new = v1::Invocation {
            task_id: of.task_id,
            project: of.project,
            retry_of: Some(of.id),
            ..invocation(world.next_id(), v1::State::Running)
        };
        let next = Some(new.id);
        for it in &mut world.invocations {
            if it.id == of.id {
                it.retried_by = next;
            }
        }
        world.invocations.push(new.clone());
        Ok(Response::new(v1::StartResponse {
            invocation: Some(new),
            existing: false,
        }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<v1::GetResponse> {
        self.refused("get")?;
        let id = request.into_inner().id;
        match self.world().find(id) {
            Some(found) => Ok(Response::new(v1::GetResponse {
                invocation: Some(found.clone()),
            })),
            None => Err(Status::not_found(format!("there is no invocation {id}"))),
        }
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Answer<v1::ListResponse> {
        self.refused("list")?;
        let request = request.into_inner();
        let world = self.world();
        let from: usize = request.page_token.parse().unwrap_or(0);
        let matching: Vec<_> = world
            .invocations
            .iter()
            .rev()
            .filter(|it| request.states.is_empty() || request.states.contains(&it.state))
            .filter(|it| request.task_id.is_empty() || request.task_id == it.task_id)
            .cloned()
            .collect();
        // Small pages, so that every longer list crosses one.
        let size = (request.page_size as usize).clamp(1, 2);
        let next = from + size;
        let next_page_token = if next < matching.len() {
            next.to_string()
        } else {
            String::new()
        };
        let invocations = matching.into_iter().skip(from).take(size).collect();
        Ok(Response::new(v1::ListResponse {
            invocations,
            next_page_token,
            unread: world.unread.clone(),
            gone: world.gone.clone(),
        }))
    }

    async fn stop(&self, request: Request<v1::StopRequest>) -> Answer<v1::StopResponse> {
        self.refused("stop")?;
        let id = request.into_inner().id;
        let mut world = self.world();
        let found = world
            .invocations
            .iter_mut()
            .find(|it| it.id == id)
            .ok_or_else(|| Status::not_found(format!("there is no invocation {id}")))?;
        let already_ended = found.state != i32::from(v1::State::Running);
        if !already_ended {
            found.state = v1::State::Failed.into();
            found.outcome = "cancelled".to_owned();
            found.duration_ms = Some(3_000);
        }
        Ok(Response::new(v1::StopResponse {
            invocation: Some(found.clone()),
            already_ended,
        }))
    }

    async fn send_input(
        &self,
        request: Request<v1::SendInputRequest>,
    ) -> Answer<v1::SendInputResponse> {
        self.refused("send")?;
        self.world().messages.push(request.into_inner());
        Ok(Response::new(v1::SendInputResponse::default()))
    }

    async fn follow(&self, request: Request<v1::FollowRequest>) -> Answer<Self::FollowStream> {
        let request = request.into_inner();
        self.refused("follow")?;
        let budget = {
            let mut world = self.world();
            world.follows.push(request.clone());
            if world.break_after.is_empty() {
                usize::MAX
            } else {
                world.break_after.remove(0)
            }
        };
        self.news();
        let from = match request.after.strip_prefix('c').map(str::parse) {
            None if request.after.is_empty() => 0,
            Some(Ok(from)) if from <= self.world().lines.len() => from,
            _ => return Err(Status::out_of_range("the cursor is of another log")),
        };
        let (tell, told) = mpsc::channel(4);
        tokio::spawn(follow(self.clone(), request, from, budget, tell));
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn outline(&self, _request: Request<v1::OutlineRequest>) -> Answer<v1::OutlineResponse> {
        Err(Status::unimplemented("no test asks for it"))
    }

    async fn read(&self, _request: Request<v1::ReadRequest>) -> Answer<v1::ReadResponse> {
        Err(Status::unimplemented("no test asks for it"))
    }

    async fn usage(&self, _request: Request<v1::UsageRequest>) -> Answer<v1::UsageResponse> {
        Err(Status::unimplemented("no test asks for it"))
    }

    async fn reproject(
        &self,
        request: Request<v1::ReprojectRequest>,
    ) -> Answer<v1::ReprojectResponse> {
        self.refused("reproject")?;
        match request.into_inner().id {
            1 => Ok(Response::new(reprojected())),
            _ => Ok(Response::new(v1::ReprojectResponse {
                result: "unchanged".to_owned(),
                lines_before: 5,
                lines_after: 5,
                ..Default::default()
            })),
        }
    }

    async fn timeline(
        &self,
        request: Request<v1::TimelineRequest>,
    ) -> Answer<Self::TimelineStream> {
        self.refused("timeline")?;
        let task = request.into_inner().task_id;
        let mut world = self.world();
        let is_broken = world.break_after.pop().is_some();
        let entries: Vec<_> = world
            .lines
            .iter()
            .filter(|(id, _)| world.find(*id).is_some_and(|it| it.task_id == task))
            .map(|(id, line)| format!("{{\"invocationId\":{id},{}", &line[1..]).into())
            .collect();
        let mut parts = entries.into_iter();
        let first = parts.by_ref().take(1).collect();
        let rest = match is_broken {
            true => Err(Status::unavailable("broken")),
            false => Ok(parts.collect()),
        };
        let chunk = |entries| v1::TimelineResponse { entries };
        let chunks = [Ok(chunk(first)), rest.map(chunk)];
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }
}

/// Sends what matches in batches of up to three events, then what comes, until the end.
async fn follow(
    shared: Shared,
    request: v1::FollowRequest,
    mut from: usize,
    mut budget: usize,
    tell: mpsc::Sender<Result<v1::FollowResponse, Status>>,
) {
    let mut changed = shared.changed.subscribe();
    if request.skip_ended && request.after.is_empty() {
        from = shared.world().lines.len();
        let beginning = v1::FollowResponse {
            events: Vec::new(),
            cursor: format!("c{from}"),
            piece: None,
        };
        if tell.send(Ok(beginning)).await.is_err() {
            return;
        }
    }
    loop {
        changed.mark_unchanged();
        let mut events = Vec::new();
        let mut end = false;
        {
            let world = shared.world();
            while let Some((id, line)) = world.lines.get(from) {
                if events.len() == 3.min(budget) {
                    break;
                }
                from += 1;
                let Some(it) = world.find(*id).filter(|it| selects(&request, it)) else {
                    continue;
                };
                let parsed: serde_json_like::Line = serde_json_like::line(line);
                let single = matches!(request.selector, Some(Selector::Invocation(_)));
                end |= single && matches!(parsed.kind.as_str(), "complete" | "error");
                events.push(v1::Event {
                    cursor: format!("c{from}"),
                    invocation_id: *id,
                    ts: parsed.ts,
                    r#type: parsed.kind,
                    line: line.clone().into(),
                    project: match request.selector {
                        Some(Selector::All(_)) => it.project.clone(),
                        _ => String::new(),
                    },
                });
            }
        }
        budget -= events.len();
        let idle = events.is_empty();
        if !idle
            && tell
                .send(Ok(v1::FollowResponse {
                    events,
                    cursor: String::new(),
                    piece: None,
                }))
                .await
                .is_err()
        {
            return;
        }
        if end {
            return;
        }
        if budget == 0 {
            let _ = tell
                .send(Err(Status::unavailable("daemon is stopping")))
                .await;
            return;
        }
        if idle {
            if !request.follow {
                return;
            }
            tokio::select! {
                news = changed.changed() => if news.is_err() { return },
                () = tell.closed() => return,
            }
        }
    }
}

fn selects(request: &v1::FollowRequest, it: &v1::Invocation) -> bool {
    match &request.selector {
        Some(Selector::Invocation(selector)) => selector.id == it.id,
        Some(Selector::Task(selector)) => selector.task_id == it.task_id,
        Some(Selector::Project(selector)) => selector.project == it.project,
        Some(Selector::All(_)) => true,
        None => false,
    }
}

/// The two fields a daemon knows of every line, without a JSON parser.
mod serde_json_like {
    pub(crate) struct Line {
        pub(crate) ts: i64,
        pub(crate) kind: String,
    }

    pub(crate) fn line(line: &str) -> Line {
        let after = |key: &str| line.split_once(key).map_or("", |(_, rest)| rest);
        let digits: String = after("\"ts\":")
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let kind = after("\"type\":\"").split('"').next().unwrap_or_default();
        Line {
            ts: digits.parse().unwrap_or(0),
            kind: kind.to_owned(),
        }
    }
}

#[tonic::async_trait]
impl v1::projects_server::Projects for Shared {
    type WatchStream = Events<v1::WatchResponse>;

    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Answer<v1::RegisterResponse> {
        self.refused("register")?;
        let request = request.into_inner();
        let mut world = self.world();
        let created = !world.projects.iter().any(|it| it.path == request.path);
        let project = v1::Project {
            path: request.path,
            state: "ready".to_owned(),
            registered_at_ms: 820_454_400_000,
            ..Default::default()
        };
        if created {
            world.projects.push(project.clone());
        }
        Ok(Response::new(v1::RegisterResponse {
            project: Some(project),
            created,
        }))
    }

    async fn list(&self, _: Request<v1::ListProjectsRequest>) -> Answer<v1::ListProjectsResponse> {
        self.refused("projects")?;
        Ok(Response::new(v1::ListProjectsResponse {
            projects: self.world().projects.clone(),
        }))
    }

    async fn get(&self, request: Request<v1::GetProjectRequest>) -> Answer<v1::GetProjectResponse> {
        self.refused("project")?;
        let path = request.into_inner().path;
        let world = self.world();
        let found = world.projects.iter().find(|it| it.path == path).cloned();
        let project =
            Some(found.ok_or_else(|| Status::not_found("the project is not registered"))?);
        Ok(Response::new(v1::GetProjectResponse { project }))
    }

    /// A page token is the number of tasks before the page.
    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Answer<v1::ListTasksResponse> {
        self.refused("tasks")?;
        let request = request.into_inner();
        let mut world = self.world();
        world.task_pages += 1;
        let before = request.page_token.parse().unwrap_or(0);
        let size = match usize::try_from(request.page_size) {
            Ok(size @ 1..) => size,
            _ => usize::MAX,
        };
        let mut rest = world.tasks.iter().skip(before);
        let tasks: Vec<_> = rest.by_ref().take(size).cloned().collect();
        let next_page_token = match rest.next() {
            Some(_) => (before + tasks.len()).to_string(),
            None => String::new(),
        };
        Ok(Response::new(v1::ListTasksResponse {
            tasks,
            next_page_token,
        }))
    }

    async fn migrate(&self, _: Request<v1::MigrateRequest>) -> Answer<v1::MigrateResponse> {
        self.refused("migrate")?;
        Ok(Response::new(v1::MigrateResponse {
            from: 9,
            to: 10,
            backup: "/home/dev/app/.steroids/backup/9.db".to_owned(),
        }))
    }

    async fn cleanup_spools(
        &self,
        _: Request<v1::CleanupSpoolsRequest>,
    ) -> Answer<v1::CleanupSpoolsResponse> {
        Ok(Response::new(v1::CleanupSpoolsResponse::default()))
    }

    async fn forget(&self, _: Request<v1::ForgetRequest>) -> Answer<v1::ForgetResponse> {
        Ok(Response::new(v1::ForgetResponse::default()))
    }

    async fn cleanup_logs(
        &self,
        _: Request<v1::CleanupLogsRequest>,
    ) -> Answer<v1::CleanupLogsResponse> {
        self.refused("cleanup")?;
        Ok(Response::new(v1::CleanupLogsResponse {
            files: 3,
            bytes: 1_500_000,
            kept_running: 1,
            ..Default::default()
        }))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}
