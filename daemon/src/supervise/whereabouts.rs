//! Where a job's project is now. Whoever deletes its folder, makes it anew or moves it leaves the agent
//! alone, and so do we: the job goes on where its path leads to. Where that is nowhere, the agent is
//! supervised all the same, its transcript read for what it uses, and it cannot be logged; once it has ended its job goes astray, as after a
//! restart, and whoever finds the project back makes log and row from the transcript.
//!
//! ```text
//! same folder     ──> goes on in it; its database may be another one, its path too
//! another folder  ──> the log is written anew in it, the row is put back
//! none            ──> told; it is asked again each second ──(has ended)──> a stray, its place is free
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use steroids_shim::exit::ExitRecord;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tracing::{info, warn};

use super::address::Address;
use super::finish::was_final;
use super::job::{Job, JobHandle, RETRY};
use super::lost;
use super::reconcile::is_lost;
use super::strays::Stray;
use super::supervisor::{Inner, chain};
use super::troubles::put_back;
use super::vitals::Whose;
use crate::domain::InvocationId;
use crate::projection::Projection;
use crate::projects::{Project, ProjectError};
use crate::store::{NewEvent, StoreError};

/// Where a job's path leads to.
pub(super) enum Whereabouts {
    /// To the folder in which its log is.
    Here,
    /// To a project in another folder.
    Elsewhere,
    /// To none, and why.
    Gone(String),
    /// Nobody can say just now, or the project cannot be used.
    Unknown,
}

impl Job {
    /// Asks where its project is now, and goes on with that one.
    pub(super) async fn find_project(&mut self) -> Whereabouts {
        self.sought = Some(Instant::now());
        let (inner, spec) = (Arc::clone(&self.inner), Arc::clone(&self.spec));
        let before = Arc::clone(&self.project);
        let found = self.obeying(inner.project_of(&spec, &before)).await;
        self.lacks_project = found.as_ref().is_err_and(NoHome::is_gone);
        match found {
            Ok(now) => {
                if !Arc::ptr_eq(&now, &self.project) {
                    self.announcements.move_to(&now);
                    self.project = now;
                    // Another database may know nothing of what was told.
                    self.telling.forget();
                }
                match self.project.folder() == self.log_folder {
                    true => {
                        self.settle_in_folder();
                        Whereabouts::Here
                    }
                    false => Whereabouts::Elsewhere,
                }
            }
            Err(error) if error.is_gone() => Whereabouts::Gone(chain(&error)),
            Err(_) => Whereabouts::Unknown,
        }
    }

    /// Whether it is known that the project is not where it was, and not asked for just now.
    pub(super) fn is_to_look_around(&self) -> bool {
        let has_left = self.project.is_given_up() || self.project.folder() != self.log_folder;
        has_left && self.sought.is_none_or(|at| at.elapsed() >= RETRY)
    }

    /// Its log is in the folder of its project, as it was or from now on.
    pub(super) fn settle_in_folder(&mut self) {
        self.log_folder = self.project.folder();
        self.entry.has_home(self.log_folder, &self.project.root);
    }

    /// As [`Job::find_project`]; the log follows.
    pub(super) async fn look_around(&mut self, projection: Option<&mut Projection>) -> Whereabouts {
        let found = self.find_project().await;
        match &found {
            Whereabouts::Elsewhere => {
                info!(invocation.id = %self.id, "its project was made anew; it goes on there");
                self.settle_in_folder();
                if let Some(projection) = projection {
                    projection.move_to(self.project.logs().clone());
                }
            }
            Whereabouts::Gone(why) => self.tell_homeless(why),
            Whereabouts::Here => {
                if let Some(projection) = projection {
                    projection.return_to_log();
                }
            }
            Whereabouts::Unknown => {}
        }
        found
    }

    /// Its log cannot be written while it runs. As [`Job::bear`], but that without a project its transcript is
    /// read on: budgets go by what it uses.
    pub(super) async fn read_on(
        &mut self,
        error: &(dyn std::error::Error + Sync + 'static),
        projection: &mut Projection,
    ) -> Option<()> {
        match self.look_around(Some(projection)).await {
            Whereabouts::Elsewhere => Some(()),
            Whereabouts::Gone(_) => {
                projection.do_without_log();
                Some(())
            }
            Whereabouts::Here | Whereabouts::Unknown => self.endure(error).await,
        }
    }

    /// All of its transcript was read, and there is no log to write. Waits before another look at where its
    /// project is; `None` once the daemon stops, or once it `has_ended` and goes astray.
    pub(super) async fn sit_out(
        &mut self,
        projection: &mut Projection,
        has_ended: bool,
    ) -> Option<()> {
        match self.look_around(Some(projection)).await {
            Whereabouts::Gone(why) if has_ended => self.miss_project(why).await,
            Whereabouts::Gone(_) if self.has_ended().await => Some(()),
            Whereabouts::Gone(_) | Whereabouts::Unknown => self.pause().await,
            Whereabouts::Here | Whereabouts::Elsewhere => Some(()),
        }
    }

    /// The log cannot be written: perhaps for want of its project. Waits before another attempt; `None`
    /// once the daemon stops, or if it goes astray.
    pub(super) async fn bear(
        &mut self,
        error: &(dyn std::error::Error + Sync + 'static),
        projection: Option<&mut Projection>,
    ) -> Option<()> {
        match self.look_around(projection).await {
            Whereabouts::Elsewhere => Some(()),
            Whereabouts::Gone(why) => self.miss_project(why).await,
            Whereabouts::Here | Whereabouts::Unknown => self.endure(error).await,
        }
    }

    /// There is no project. Waits before another look while it runs; `None` once it has ended, and goes
    /// astray.
    pub(super) async fn miss_project(&mut self, why: String) -> Option<()> {
        if self.has_ended().await {
            let todo = put_back(&self.project.root);
            self.stray = Some(format!("{why}; {todo}"));
            return None;
        }
        self.tell_homeless(&why);
        self.pause().await
    }

    /// Whether there is a record of its end. One whose shim is gone gets one, and has it at the next look.
    pub(super) async fn has_ended(&mut self) -> bool {
        let dir = self.dir.clone();
        // In this order: a shim writes the record before it lets go.
        let look = move || (lock::is_held(&dir.lock()), ExitRecord::load(&dir));
        match tokio::task::spawn_blocking(look).await {
            // It lets go in a moment, or the record is not its own.
            Ok((Ok(true), Ok(Some(_)))) => false,
            Ok((_, Ok(Some(exit)))) => self.is_proven(exit).await,
            // The disk does not say.
            Ok((_, Err(error))) if !lost::is_senseless(&error) => false,
            Ok((held, Ok(None) | Err(_))) => {
                self.is_alive(held).await;
                false
            }
            // Only a panic, or the runtime's end.
            Err(_) => false,
        }
    }

    fn tell_homeless(&self, why: &str) {
        let path = &self.project.root;
        self.inner.homeless(&self.spec, self.id, path, why);
    }

    /// Ends as one that cannot be taken up. Its place is given back before anybody can give it another, and
    /// what it used is written down before anybody is told.
    pub(super) async fn go_astray(mut self, why: String) {
        let used = self.inner.job(&self.spec.uuid);
        let used = used.and_then(|job| self.inner.used_by(&job));
        self.inner
            .count_astray(&self.spec.project, &self.spec.uuid, used);
        self.inner.keep_ledger().await;
        let (inner, dir) = (Arc::clone(&self.inner), self.dir.clone());
        self.entry.give_place_back();
        let stray = Stray {
            dir,
            project: Some(self.spec.project.clone()),
            id: Some(self.id),
            why,
            place: None,
            lined: None,
            has_ended: true,
        };
        inner.keep_stray(None, stray);
        let is_there = !self.lacks_project;
        drop(self);
        if is_there {
            inner.strays.look_again();
        }
    }
}

impl Inner {
    /// The project of an address, wherever its folder is by now; of these invocations.
    pub(super) async fn project_at(
        self: &Arc<Self>,
        address: Address<'_>,
        of: &[(Option<InvocationId>, &str)],
    ) -> Result<Arc<Project>, ProjectError> {
        let at_path = self.project_now(address.path).await;
        self.at_home(address, at_path, of).await
    }

    /// Of what a path leads to, the folder under another path if it is that which is meant. Where that is nowhere,
    /// what was made anew in its place, unless an id is another one's there.
    async fn at_home(
        &self,
        address: Address<'_>,
        at_path: Result<Arc<Project>, ProjectError>,
        of: &[(Option<InvocationId>, &str)],
    ) -> Result<Arc<Project>, ProjectError> {
        let uuids: Vec<_> = of.iter().map(|(_, uuid)| *uuid).collect();
        match (at_path, address.folder) {
            (Ok(at_path), _) if address.is_in(at_path.folder()) => Ok(at_path),
            // Nobody can say just now whether it is there, but where its folder is known to be elsewhere.
            (Err(error), folder) if !error.is_gone() => {
                let moved = match folder {
                    Some(folder) => {
                        self.projects
                            .holding(folder, address.path, address.was_there_ms, &uuids)
                            .await
                    }
                    None => Ok(None),
                };
                moved.ok().flatten().ok_or(error)
            }
            (at_path, Some(folder)) => {
                let mut moved = self
                    .projects
                    .holding(folder, address.path, address.was_there_ms, &uuids)
                    .await;
                if !address.is_of_this_boot && !matches!(moved, Ok(Some(_))) {
                    let renumbered = self.projects.renumbered(folder.1, &uuids).await?;
                    moved = renumbered.map_or(moved, |it| Ok(Some(it)));
                }
                match moved {
                    Ok(Some(moved)) => return Ok(moved),
                    Ok(None) => {}
                    // It is not mounted, or was removed since; then it went on here, where this has its row.
                    Err(away) if away.is_gone() => {
                        let project = self.or_moved(address.path, at_path, &uuids).await?;
                        for uuid in &uuids {
                            if !self.went_on_in(&project, uuid).await? {
                                return Err(away);
                            }
                        }
                        return Ok(project);
                    }
                    Err(error) => return Err(error),
                }
                let project = self.or_moved(address.path, at_path, &uuids).await?;
                for (id, uuid) in of {
                    if let Some(id) = id
                        && !is_free_in(&project, id.get(), uuid).await?
                    {
                        let path = address.path.to_owned();
                        return Err(ProjectError::Another { path });
                    }
                }
                Ok(project)
            }
            (at_path, None) => self.or_moved(address.path, at_path, &uuids).await,
        }
    }

    /// Whether a project has the row of one as its own: that in a copy ended as lost, and is not how it ended.
    async fn went_on_in(&self, project: &Project, uuid: &str) -> Result<bool, StoreError> {
        let Some(row) = project.store.by_uuid(uuid).await? else {
            return Ok(false);
        };
        let dir = InvDir::new(&self.settings().state_dir, uuid);
        Ok(!is_lost(&row) || was_final(&dir).await)
    }

    /// What a path leads to; where that is nothing, what was there last.
    async fn or_moved(
        &self,
        path: &Path,
        at_path: Result<Arc<Project>, ProjectError>,
        uuids: &[&str],
    ) -> Result<Arc<Project>, ProjectError> {
        match at_path {
            Err(error) if error.is_gone() => {
                let moved = self.projects.moved(path, uuids).await;
                moved.ok_or(error)
            }
            at_path => at_path,
        }
    }

    /// As [`Inner::project_at`], of one that runs: its id is its own there, or nobody's yet.
    async fn project_of(
        self: &Arc<Self>,
        spec: &Spec,
        before: &Arc<Project>,
    ) -> Result<Arc<Project>, NoHome> {
        let now = self.project_now(&before.root).await;
        match &now {
            Ok(now) if Arc::ptr_eq(now, before) => return Ok(Arc::clone(now)),
            Ok(now) if now.folder() == before.folder() => return own_in(now, spec).await,
            Ok(_) | Err(_) => {}
        }
        // It stays in its folder, wherever that was moved and whoever has its path by now, or whatever cannot be used.
        if let Some(moved) = self.projects.in_folder(before.folder()).await {
            return Ok(moved);
        }
        if before.root != spec.project
            && let Ok(back) = self.project_now(&spec.project).await
            && back.folder() == before.folder()
        {
            return own_in(&back, spec).await;
        }
        // Made anew where it was last, unless nobody can say just now. What has its first path by now is a stranger.
        own_in(&now?, spec).await
    }

    /// The project of one that is to be taken up, or why there is none.
    pub(super) async fn home(
        &self,
        address: Address<'_>,
        id: Option<InvocationId>,
        uuid: &str,
    ) -> Result<Arc<Project>, String> {
        let path = address.path;
        let at_path = self.projects.get(path).await;
        let home = self.at_home(address, at_path, &[(id, uuid)]).await;
        home.map_err(|error| homeless(path, &error))
    }

    /// The project that one which runs can be told of in, if there is one.
    pub(super) async fn home_of(
        &self,
        uuid: &str,
        job: &JobHandle,
        whose: &Whose,
    ) -> Option<Arc<Project>> {
        let project = match job.home() {
            Some(folder) => match self.projects.in_folder(folder).await {
                Some(project) => project,
                None => {
                    let at_path = self.projects.get(&whose.project).await.ok();
                    at_path.filter(|it| it.folder() == folder)?
                }
            },
            None => self.projects.get(&whose.project).await.ok()?,
        };
        // The budgets of all others are looked at behind it.
        let asked = is_free_in(&project, whose.id.get(), uuid);
        let is_its = project.store.promptly(asked).await;
        is_its.unwrap_or(false).then_some(project)
    }

    /// Records an event of one that is in our care, in the database that is there now. `known` is the
    /// project in which it was last.
    pub(super) async fn record(
        self: &Arc<Self>,
        spec: &Spec,
        known: &Arc<Project>,
        event: NewEvent,
    ) {
        let mut tried = self.try_record(spec, known, event.clone()).await;
        if tried.as_ref().is_err_and(|(_, is_given_up)| *is_given_up) {
            // It was replaced in between.
            tried = self.try_record(spec, known, event).await;
        }
        if let Err((error, _)) = tried {
            warn!(%error, "lifecycle event not recorded");
        }
    }

    async fn try_record(
        self: &Arc<Self>,
        spec: &Spec,
        known: &Arc<Project>,
        event: NewEvent,
    ) -> Result<(), (String, bool)> {
        let project = self.project_of(spec, known).await;
        let project = project.map_err(|error| (chain(&error), false))?;
        let recorded = project.store.record(event).await;
        recorded.map_err(|error| (chain(&error), project.is_given_up()))?;
        project.touch();
        Ok(())
    }
}

/// Why one that runs has no project.
#[derive(Debug, thiserror::Error)]
enum NoHome {
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Another folder has its path, in which its id is another one's.
    #[error("invocation {id} of {} is another one", project.display())]
    Taken { project: PathBuf, id: i64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NoHome {
    /// It will not be there by itself.
    fn is_gone(&self) -> bool {
        match self {
            NoHome::Project(error) => error.is_gone(),
            NoHome::Taken { .. } => true,
            NoHome::Store(_) => false,
        }
    }
}

/// This project, if the id of one is its own there, or nobody's.
async fn own_in(project: &Arc<Project>, spec: &Spec) -> Result<Arc<Project>, NoHome> {
    match is_free_in(project, spec.invocation, &spec.uuid).await? {
        true => Ok(Arc::clone(project)),
        false => Err(NoHome::Taken {
            project: project.root.clone(),
            id: spec.invocation,
        }),
    }
}

/// Whether the id of one is its own in a project, or nobody's.
async fn is_free_in(project: &Project, id: i64, uuid: &str) -> Result<bool, StoreError> {
    let Some(id) = InvocationId::new(id) else {
        return Ok(false);
    };
    let row = project.store.invocation(id).await?;
    Ok(row.is_none_or(|row| row.managed.is_some_and(|it| it.uuid == uuid)))
}

/// Why one of this path cannot be taken up, and what to do.
pub(super) fn homeless(path: &Path, error: &ProjectError) -> String {
    match error.is_gone() {
        true => format!("{}; {}", chain(error), put_back(path)),
        false => chain(error),
    }
}
