//! The service `Projects`: the folders that are served, and what happens in them.

use std::path::Path;

use steroids_proto::v1;
use tonic::{Request, Response, Status};

use super::peer::peer;
use super::stream::{Outgoing, outgoing};
use super::watching::Watching;
use super::{Service, bounds, convert, status};
use crate::projects::ProjectState;
use crate::supervise::Scope;

#[tonic::async_trait]
impl v1::projects_server::Projects for Service {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let request = request.into_inner();
        let path = convert::project(&request.path, "path")?;
        let registered = self.projects.register(&path, request.init).await;
        let (project, created) = registered.map_err(status::project)?;
        self.supervisor.reconcile(Scope::Registered).await;
        let project = Some(self.state(&project.root).await?);
        Ok(Response::new(v1::RegisterResponse { project, created }))
    }

    async fn list(
        &self,
        _request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let mut states = self.projects.list().await.map_err(status::project)?;
        self.count_running(&mut states).await;
        let projects = states.into_iter().map(shown).collect();
        Ok(Response::new(v1::ListProjectsResponse { projects }))
    }

    async fn get(
        &self,
        request: Request<v1::GetProjectRequest>,
    ) -> Result<Response<v1::GetProjectResponse>, Status> {
        let path = convert::project(&request.into_inner().path, "path")?;
        let project = Some(self.state(&path).await?);
        Ok(Response::new(v1::GetProjectResponse { project }))
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let request = request.into_inner();
        let limit = convert::page_size(request.page_size)?;
        let project = self.project_at(&request.project).await?;
        // The token is the last task's id: it says no more than the page before did.
        let after = Some(request.page_token).filter(|token| !token.is_empty());
        let page = project.store.tasks(after, limit).await;
        let (tasks, next) = page.map_err(status::store)?;
        Ok(Response::new(v1::ListTasksResponse {
            tasks: tasks.into_iter().map(convert::task_out).collect(),
            next_page_token: next.map(bounds::behind).unwrap_or_default(),
        }))
    }

    async fn migrate(
        &self,
        request: Request<v1::MigrateRequest>,
    ) -> Result<Response<v1::MigrateResponse>, Status> {
        let path = convert::project(&request.into_inner().path, "path")?;
        let migrated = self
            .projects
            .migrate(&path)
            .await
            .map_err(status::project)?;
        let version = |version: u32| i32::try_from(version).unwrap_or(i32::MAX);
        Ok(Response::new(v1::MigrateResponse {
            from: version(migrated.from),
            to: version(migrated.to),
            backup: migrated
                .backup
                .as_deref()
                .map(convert::text)
                .unwrap_or_default(),
        }))
    }

    async fn forget(
        &self,
        request: Request<v1::ForgetRequest>,
    ) -> Result<Response<v1::ForgetResponse>, Status> {
        let request = request.into_inner();
        let path = convert::project(&request.path, "path")?;
        let discard = request.discard_transcripts;
        let forgotten = self.supervisor.forget(&path, discard).await;
        let forgotten = forgotten.map_err(status::forget)?;
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Response::new(v1::ForgetResponse {
            transcripts: count(forgotten.transcripts),
            bytes: count(forgotten.bytes),
        }))
    }

    async fn cleanup_logs(
        &self,
        request: Request<v1::CleanupLogsRequest>,
    ) -> Result<Response<v1::CleanupLogsResponse>, Status> {
        self.clean_logs(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn cleanup_spools(
        &self,
        request: Request<v1::CleanupSpoolsRequest>,
    ) -> Result<Response<v1::CleanupSpoolsResponse>, Status> {
        self.clean_spools(request.into_inner())
            .await
            .map(Response::new)
    }

    type WatchStream = Outgoing<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let peer = peer(&request);
        peer.may_follow()?;
        let source = Watching::open(self, request.into_inner()).await?;
        Ok(Response::new(outgoing(
            source,
            &peer,
            &self.subscribers,
            self.stops.close.clone(),
        )))
    }
}

impl Service {
    async fn state(&self, path: &Path) -> Result<v1::Project, Status> {
        let state = self.projects.state(path).await;
        let mut state = [state.map_err(status::project)?];
        self.count_running(&mut state).await;
        let [state] = state;
        Ok(shown(state))
    }

    /// Counts what runs in those whose rows cannot be read, as the state folders tell of it.
    async fn count_running(&self, states: &mut [ProjectState]) {
        let is_read = |it: &ProjectState| it.standing.is_read();
        if states.iter().all(is_read) {
            return;
        }
        // Where even the list is not to be had, nothing says more.
        let Ok(there) = self.projects_at("").await else {
            return;
        };
        let found = self.supervisor.elsewhere(&there.projects).await;
        for state in states.iter_mut().filter(|it| !is_read(it)) {
            let here = found.iter().filter(|it| it.project == state.path);
            let running = here.filter(|it| !it.waits).count();
            state.running = i64::try_from(running).unwrap_or(i64::MAX);
        }
    }
}

fn shown(state: ProjectState) -> v1::Project {
    v1::Project {
        path: convert::text(&state.path),
        state: state.standing.as_str().to_owned(),
        reason: state.reason,
        running: state.running,
        registered_at_ms: state.registered_at_ms,
    }
}
