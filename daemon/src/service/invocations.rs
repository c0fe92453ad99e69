//! The service `Invocations`: each method takes a request apart, asks a room, and puts the answer
//! together.

use std::path::Path;
use std::sync::Arc;

use steroids_proto::v1;
use tonic::{Request, Response, Status};

use super::following::Following;
use super::missing::{self, Absent};
use super::page::{Merge, Position};
use super::peer::peer;
use super::stream::{Outgoing, outgoing};
use super::telling::Telling;
use super::{Service, bounds, browsing, convert, retrying, spending, status, terms, upkeep};
use crate::domain::{Invocation, Phase, Query, StartRequest};
use crate::projects::{AtHand, Project, ProjectError};
use crate::supervise::{Sent, StopError, Vitals};

#[tonic::async_trait]
impl v1::invocations_server::Invocations for Service {
    async fn start(
        &self,
        request: Request<v1::StartRequest>,
    ) -> Result<Response<v1::StartResponse>, Status> {
        self.started(convert::start(request.into_inner())?).await
    }

    async fn retry(
        &self,
        request: Request<v1::RetryRequest>,
    ) -> Result<Response<v1::StartResponse>, Status> {
        self.started(retrying::request(request.into_inner())?).await
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let request = request.into_inner();
        let id = convert::id(request.id)?;
        let root = convert::project(&request.project, "project")?;
        let cared = self.supervisor.cared(&root);
        let project = self.project(&root).await?;
        let mut found = project.store.detail(id).await.map_err(status::store)?;
        if let Some(uuid) = found.as_ref().and_then(|it| uuid_of_open(&it.invocation)) {
            self.supervisor.settled(uuid).await;
            found = project.store.detail(id).await.map_err(status::store)?;
        }
        let found = found.ok_or_else(|| missing::refusal(&cared, Absent { id }))?;
        let response = found.response.unwrap_or_default();
        let (prompt, response) = bounds::texts(found.prompt, response);
        let managed = found.invocation.managed.as_ref();
        let terms = match managed.filter(|_| request.terms) {
            Some(managed) => self.supervisor.terms(&managed.uuid).await,
            None => None,
        };
        let mut shown = [v1::Invocation {
            prompt,
            response,
            evidence: found.evidence.map(convert::evidence),
            terms: terms.map(terms::shown),
            ..self.shown(&project, found.invocation)
        }];
        self.name_log_files(&[project], &mut shown).await;
        let [invocation] = shown;
        Ok(Response::new(v1::GetResponse {
            invocation: Some(invocation),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let request = request.into_inner();
        let query = convert::query(&request)?;
        let AtHand { projects, away } = match self.projects_at(&request.project).await {
            Ok(found) => found,
            Err(status) => return self.list_of_gone(&request, &query).await.ok_or(status),
        };
        let gone = away.iter().filter(|(_, error)| error.is_gone());
        let gone = gone.map(|(path, _)| convert::text(path)).collect();
        let mut unread: Vec<_> = away.into_iter().map(|(path, _)| path).collect();
        let mut merge = Merge::new(Position::read(&request.page_token)?, query.limit);
        self.supervisor.all_settled(&projects).await;
        let mut read = Vec::new();
        for project in &projects {
            let mut query = query.clone();
            query.below = merge.below(&project.root);
            let page = project.store.invocations(query);
            let page = match request.project.is_empty() {
                true => project.store.promptly(page).await,
                false => Ok(page.await.map_err(status::store)?),
            };
            match page {
                Ok(page) => {
                    merge.add(&project.root, page.invocations, page.next.is_some());
                    read.push(Arc::clone(project));
                }
                // The others are no worse for it.
                Err(error) => {
                    tracing::warn!(project = %project.root.display(), %error, "not listed");
                    unread.push(project.root.clone());
                }
            }
        }
        let (mut invocations, next_page_token) = merge.finish(|root, row| {
            let project = projects.iter().find(|project| project.root == root)?;
            Some(self.shown(project, row))
        });
        self.name_log_files(&projects, &mut invocations).await;
        if request.project.is_empty() && request.page_token.is_empty() {
            invocations.splice(0..0, self.elsewhere(&read, &query).await);
        }
        Ok(Response::new(v1::ListResponse {
            invocations,
            next_page_token,
            unread: unread.iter().map(|path| convert::text(path)).collect(),
            gone,
        }))
    }

    async fn stop(
        &self,
        request: Request<v1::StopRequest>,
    ) -> Result<Response<v1::StopResponse>, Status> {
        let request = request.into_inner();
        let id = convert::id(request.id)?;
        let grace = convert::grace(request.grace)?;
        // What runs is stopped whether or not its project is there.
        let root = convert::project(&request.project, "project")?;
        let cared = self.supervisor.cared(&root);
        let uuid = Some(&*request.uuid).filter(|uuid| !uuid.is_empty());
        let mut stopped = self.supervisor.stop(&root, id, uuid, grace).await;
        // What runs is stopped at once. Of what is over, which attempt goes on may not have been known yet.
        if matches!(stopped, Ok((_, true))) && cared.is_refilled() {
            self.has_what_runs(&root).await?;
            stopped = self.supervisor.stop(&root, id, uuid, grace).await;
        }
        if let Err(error @ StopError::Unrecorded { .. }) = &stopped
            && cared.is_refilled()
        {
            return Err(status::put_back(&error.to_string()));
        }
        let stopped = stopped.map_err(|error| missing::refusal(&cared, error));
        let (invocation, already_ended) = stopped?;
        let invocation = match self.projects.get(&root).await {
            Ok(project) => self.shown(&project, invocation),
            // It has ended all the same, where its project was moved to.
            Err(_) => convert::invocation(&root, invocation),
        };
        Ok(Response::new(v1::StopResponse {
            invocation: Some(invocation),
            already_ended,
        }))
    }

    async fn send_input(
        &self,
        request: Request<v1::SendInputRequest>,
    ) -> Result<Response<v1::SendInputResponse>, Status> {
        let request = request.into_inner();
        let id = convert::id(request.id)?;
        let project = convert::project(&request.project, "project")?;
        let sent = Sent {
            id: Some(request.message_id).filter(|id| !id.is_empty()),
            text: request.text,
            end: request.end,
        };
        let cared = self.supervisor.cared(&project);
        let message_id = self.supervisor.send(&project, id, sent).await;
        let message_id = message_id.map_err(|error| missing::refusal(&cared, error))?;
        Ok(Response::new(v1::SendInputResponse { message_id }))
    }

    type FollowStream = Outgoing<v1::FollowResponse>;

    async fn follow(
        &self,
        request: Request<v1::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let peer = peer(&request);
        if request.get_ref().follow {
            peer.may_follow()?;
        }
        let source = Following::open(self, request.into_inner()).await?;
        Ok(Response::new(outgoing(
            source,
            &peer,
            &self.subscribers,
            self.stops.close.clone(),
        )))
    }

    async fn outline(
        &self,
        request: Request<v1::OutlineRequest>,
    ) -> Result<Response<v1::OutlineResponse>, Status> {
        let outline = browsing::outline(self, request.into_inner()).await?;
        Ok(Response::new(outline))
    }

    async fn read(
        &self,
        request: Request<v1::ReadRequest>,
    ) -> Result<Response<v1::ReadResponse>, Status> {
        let passage = browsing::read(self, request.into_inner()).await?;
        Ok(Response::new(passage))
    }

    async fn usage(
        &self,
        request: Request<v1::UsageRequest>,
    ) -> Result<Response<v1::UsageResponse>, Status> {
        let used = spending::usage(self, request.into_inner()).await?;
        Ok(Response::new(used))
    }

    async fn reproject(
        &self,
        request: Request<v1::ReprojectRequest>,
    ) -> Result<Response<v1::ReprojectResponse>, Status> {
        let done = upkeep::reproject(self, request.into_inner()).await?;
        Ok(Response::new(done))
    }

    type TimelineStream = Outgoing<v1::TimelineResponse>;

    async fn timeline(
        &self,
        request: Request<v1::TimelineRequest>,
    ) -> Result<Response<Self::TimelineStream>, Status> {
        let peer = peer(&request);
        let source = Telling::open(self, request.into_inner()).await?;
        Ok(Response::new(outgoing(
            source,
            &peer,
            &self.subscribers,
            self.stops.close.clone(),
        )))
    }
}

impl Service {
    async fn started(&self, request: StartRequest) -> Result<Response<v1::StartResponse>, Status> {
        let project = self.project(&request.project).await?;
        // The supervisor sees a start through, whether or not this caller waits for it.
        let started = self.supervisor.start(request).await;
        let (invocation, existing) = started.map_err(status::start)?;
        let invocation = Some(self.shown(&project, invocation));
        Ok(Response::new(v1::StartResponse {
            invocation,
            existing,
        }))
    }

    /// An invocation on the wire, with what only this daemon knows.
    pub(super) fn shown(&self, project: &Arc<Project>, invocation: Invocation) -> v1::Invocation {
        let log_path = match invocation.phase {
            // There is no line before its turn has come.
            Phase::Queued => String::new(),
            _ => convert::text(&project.logs().path(invocation.id)),
        };
        let managed = invocation.managed.as_ref();
        // A job may outlast its row by a moment; what has ended is not doing anything.
        let running = managed.filter(|_| !invocation.phase.is_ended());
        let vitals = running.map(|managed| self.supervisor.vitals(&managed.uuid));
        let shown = convert::invocation(&project.root, invocation);
        v1::Invocation {
            log_path,
            ..self.doing(shown, vitals.unwrap_or_default())
        }
    }

    /// One that runs or waits, with how it is doing.
    pub(super) fn doing(&self, shown: v1::Invocation, vitals: Vitals) -> v1::Invocation {
        let Vitals {
            alarm,
            live,
            held,
            waits,
            place,
            interactive,
        } = vitals;
        // One whose turn has just come has a row that says so a moment later.
        let waits = waits.filter(|_| shown.state() == v1::State::Queued);
        let used = live.as_ref().and_then(|live| live.usage);
        let answering = live.as_ref().and_then(|live| live.answering_model.clone());
        let named = answering.as_deref();
        let used = used.map(|used| self.supervisor.priced(&shown.model, named, used));
        let told = live.as_ref().and_then(|live| live.session_id.clone());
        v1::Invocation {
            alarm: alarm.unwrap_or_default(),
            live: live
                .as_deref()
                .map(|live| super::resources::of_place(convert::live(live, held), &place)),
            interactive,
            unit: place.unit.as_deref().unwrap_or_default().to_owned(),
            usage: shown.usage.or(used.map(convert::usage)),
            answering_model: answering.unwrap_or(shown.answering_model),
            // Its row has none before it has ended: what is resumed or retried goes by rows.
            session_id: match told {
                Some(told) if shown.session_id.is_empty() => told.to_string(),
                _ => shown.session_id,
            },
            place: waits
                .as_ref()
                .map_or(0, |waits| i32::try_from(waits.place).unwrap_or(i32::MAX)),
            waiting: waits
                .map(|waits| convert::waits(&waits, &shown.provider))
                .unwrap_or_default(),
            ..shown
        }
    }

    /// The project at a path that a request named as `project`.
    pub(super) async fn project_at(&self, path: &str) -> Result<Arc<Project>, Status> {
        self.project(&convert::project(path, "project")?).await
    }

    /// The project at a path.
    pub(super) async fn project(&self, path: &Path) -> Result<Arc<Project>, Status> {
        let cared = self.supervisor.cared(path);
        let project = self.projects.get(path).await;
        let project = project.map_err(|error| missing::refusal(&cared, error))?;
        self.has_what_runs(&project.root).await?;
        Ok(project)
    }

    /// Waits for the rows of what runs in a project whose database was made anew: until then what is found says less
    /// than there is.
    pub(super) async fn has_what_runs(&self, root: &Path) -> Result<(), Status> {
        match self.projects.runs_are_back(root).await {
            true => Ok(()),
            false => Err(status::put_back(&format!(
                "the database of {} was made anew, and lacks rows",
                root.display()
            ))),
        }
    }

    /// What runs and waits in a project whose folder is gone, as far as the state folders have it: it can be
    /// stopped. `None` where it is there, or nothing does.
    async fn list_of_gone(
        &self,
        request: &v1::ListRequest,
        query: &Query,
    ) -> Option<Response<v1::ListResponse>> {
        let root = Path::new(&request.project);
        let is_first = request.page_token.is_empty();
        let missing = self.projects.get(root).await;
        if !is_first || !matches!(missing, Err(ProjectError::Missing { .. })) {
            return None;
        }
        // What was moved has its rows elsewhere.
        let there = self.projects_at("").await.ok()?;
        let mut invocations = self.elsewhere(&there.projects, query).await;
        invocations.retain(|it| Path::new(&it.project) == root);
        (!invocations.is_empty()).then(|| {
            Response::new(v1::ListResponse {
                invocations,
                next_page_token: String::new(),
                unread: vec![request.project.clone()],
                gone: vec![request.project.clone()],
            })
        })
    }

    /// The project at a path, or all that are to be had now where a request named none; then also which are
    /// not, and why.
    pub(super) async fn projects_at(&self, path: &str) -> Result<AtHand, Status> {
        if !path.is_empty() {
            return Ok(AtHand {
                projects: vec![self.project_at(path).await?],
                away: Vec::new(),
            });
        }
        self.projects.at_hand().await.map_err(status::project)
    }
}

/// Of a row of ours that is not final.
fn uuid_of_open(row: &Invocation) -> Option<&str> {
    let managed = row.managed.as_ref()?;
    (!row.phase.is_ended()).then_some(&*managed.uuid)
}
