//! The daemon's calls by type. A client is a handle: cloning it shares the connection, and after
//! the connection broke the next call opens a new one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tonic::codec::Streaming;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::follow::Follow;
use crate::v1;
use crate::v1::daemon_client::DaemonClient;
use crate::v1::invocations_client::InvocationsClient;
use crate::v1::projects_client::ProjectsClient;

/// The daemon answers within 30 s or says why not; the rest is for its answer's way here.
const DEADLINE: Duration = Duration::from_secs(35);
/// Maintenance reads and deletes many files, a migration copies a database.
const LONG_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// What a stop takes besides the grace time: killing the tree, and making the log of one that has
/// printed faster than that goes. The daemon says by itself when nothing moves.
const STOP_SLACK: Duration = Duration::from_secs(10 * 60);
/// The longest grace time that still makes sense as a deadline.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// The daemon tries again at most a hundred times.
const MOST_ATTEMPTS: usize = 128;
/// The contract's bound on a message.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// A connection to one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    invocations: InvocationsClient<Channel>,
    projects: ProjectsClient<Channel>,
    daemon: DaemonClient<Channel>,
    socket: PathBuf,
}

/// A call's answer, or what the daemon says against it.
type Answer<T> = Result<T, Status>;

/// One unary call: a method of ours, the field that makes it, its request and its answer.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $service:ident.$method:ident($request:ty) -> $response:ty, $deadline:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// The daemon's status; see [`Refusal`](crate::Refusal).
            pub async fn $name(&self, request: $request) -> Answer<$response> {
                let request = within($deadline, request);
                let mut service = self.$service.clone();
                let call = boxed(async move { service.$method(request).await });
                Ok(call.await?.into_inner())
            }
        )*
    };
}

impl Client {
    pub(crate) fn new(channel: Channel, socket: PathBuf) -> Self {
        Client {
            invocations: InvocationsClient::new(channel.clone())
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE),
            projects: ProjectsClient::new(channel.clone())
                .max_decoding_message_size(LARGEST_MESSAGE),
            daemon: DaemonClient::new(channel),
            socket,
        }
    }

    /// The socket it was connected to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    calls! {
        /// Starts an invocation.
        start = invocations.start(v1::StartRequest) -> v1::StartResponse, DEADLINE;
        /// Starts what has ended once more.
        retry = invocations.retry(v1::RetryRequest) -> v1::StartResponse, DEADLINE;
        /// One invocation with its prompt and answer.
        get = invocations.get(v1::GetRequest) -> v1::GetResponse, DEADLINE;
        /// One page of invocations, newest first.
        list = invocations.list(v1::ListRequest) -> v1::ListResponse, DEADLINE;
        /// Sends a message to a running agent.
        send_input = invocations.send_input(v1::SendInputRequest) -> v1::SendInputResponse, DEADLINE;
        /// Where the lines of a log are.
        outline = invocations.outline(v1::OutlineRequest) -> v1::OutlineResponse, DEADLINE;
        /// Some lines of a log.
        read = invocations.read(v1::ReadRequest) -> v1::ReadResponse, DEADLINE;
        /// What invocations used, summed.
        usage = invocations.usage(v1::UsageRequest) -> v1::UsageResponse, DEADLINE;
        /// Makes the log of an ended invocation anew.
        reproject = invocations.reproject(v1::ReprojectRequest) -> v1::ReprojectResponse, LONG_DEADLINE;
        /// Makes the daemon serve a folder, and makes it a project if asked to.
        register = projects.register(v1::RegisterRequest) -> v1::RegisterResponse, LONG_DEADLINE;
        /// All registered projects.
        projects = projects.list(v1::ListProjectsRequest) -> v1::ListProjectsResponse, DEADLINE;
        /// One registered project.
        project = projects.get(v1::GetProjectRequest) -> v1::GetProjectResponse, DEADLINE;
        /// One page of a project's tasks.
        tasks = projects.list_tasks(v1::ListTasksRequest) -> v1::ListTasksResponse, DEADLINE;
        /// Brings a project's database up to date.
        migrate = projects.migrate(v1::MigrateRequest) -> v1::MigrateResponse, LONG_DEADLINE;
        /// Makes the daemon serve a folder no longer.
        forget = projects.forget(v1::ForgetRequest) -> v1::ForgetResponse, LONG_DEADLINE;
        /// Deletes old activity logs.
        cleanup_logs = projects.cleanup_logs(v1::CleanupLogsRequest) -> v1::CleanupLogsResponse, LONG_DEADLINE;
        /// Deletes old raw transcripts.
        cleanup_spools = projects.cleanup_spools(v1::CleanupSpoolsRequest) -> v1::CleanupSpoolsResponse, LONG_DEADLINE;
        /// How the daemon is.
        status = daemon.status(v1::StatusRequest) -> v1::StatusResponse, DEADLINE;
        /// Runs the maintenance pass.
        wakeup = daemon.wakeup(v1::WakeupRequest) -> v1::WakeupResponse, LONG_DEADLINE;
        /// Has the daemon read its configuration again.
        reload = daemon.reload(v1::ReloadRequest) -> v1::ReloadResponse, DEADLINE;
        /// The configured hooks.
        hooks = daemon.list_hooks(v1::ListHooksRequest) -> v1::ListHooksResponse, DEADLINE;
        /// Delivers a test by a hook; answers when it was, or was not.
        test_hook = daemon.test_hook(v1::TestHookRequest) -> v1::TestHookResponse, LONG_DEADLINE;
        /// What counts of the configuration.
        config = daemon.get_config(v1::GetConfigRequest) -> v1::GetConfigResponse, DEADLINE;
        /// Refuses new starts, or accepts them again.
        drain = daemon.drain(v1::DrainRequest) -> v1::DrainResponse, DEADLINE;
        /// Providers that are held.
        list_holds = daemon.list_holds(v1::ListHoldsRequest) -> v1::ListHoldsResponse, DEADLINE;
        /// Holds a provider.
        set_hold = daemon.set_hold(v1::SetHoldRequest) -> v1::SetHoldResponse, DEADLINE;
        /// Ends a hold.
        lift_hold = daemon.lift_hold(v1::LiftHoldRequest) -> v1::LiftHoldResponse, DEADLINE;
        /// Ends the daemon.
        shutdown = daemon.shutdown(v1::ShutdownRequest) -> v1::ShutdownResponse, LONG_DEADLINE;
    }

    /// Ends an invocation; answers when it has ended.
    ///
    /// # Errors
    /// The daemon's status.
    pub async fn stop(&self, request: v1::StopRequest) -> Answer<v1::StopResponse> {
        let grace = request
            .grace
            .and_then(|grace| Duration::try_from(grace).ok())
            .unwrap_or_default();
        let request = within(grace.min(LONGEST_GRACE) + STOP_SLACK, request);
        Ok(self.invocations.clone().stop(request).await?.into_inner())
    }

    /// Ends an invocation; where it is tried again by itself, the attempt that goes on. Answers for
    /// the last that was asked to end. Those of `others` are left alone: each is seen to by itself. Where it `is_again`
    /// asked, as nobody has heard what became of the first, what that has stopped is all.
    ///
    /// # Errors
    /// The attempt that could not be ended, and the daemon's status.
    pub async fn stop_attempts(
        &self,
        mut request: v1::StopRequest,
        others: &BTreeSet<i64>,
        is_again: bool,
    ) -> Result<v1::StopResponse, (i64, Status)> {
        for _ in 1..MOST_ATTEMPTS {
            let stopped = self.stop(request.clone()).await;
            let stopped = stopped.map_err(|status| (request.id, status))?;
            let next = stopped.invocation.as_ref();
            // What was stopped goes on by no hand but another's, who came behind.
            let is_done = |it: &&v1::Invocation| {
                is_again && stopped.already_ended && it.outcome == "cancelled"
            };
            let next = next.filter(|it| !is_done(it));
            match next.and_then(|it| it.retried_by) {
                // A later one has a higher id: none is asked twice.
                Some(next) if next > request.id && !others.contains(&next) => {
                    request.id = next;
                    // It has one of its own.
                    request.uuid.clear();
                }
                _ => return Ok(stopped),
            }
        }
        let stopped = self.stop(request.clone()).await;
        stopped.map_err(|status| (request.id, status))
    }

    /// A task's story, in chunks of entries.
    ///
    /// # Errors
    /// The daemon's status.
    pub async fn timeline(
        &self,
        request: v1::TimelineRequest,
    ) -> Answer<Streaming<v1::TimelineResponse>> {
        Ok(self
            .invocations
            .clone()
            .timeline(request)
            .await?
            .into_inner())
    }

    /// Lifecycle events. Ends with the connection; whoever needs all of them calls again with the
    /// number of the last one.
    ///
    /// # Errors
    /// The daemon's status.
    pub async fn watch(&self, request: v1::WatchRequest) -> Answer<Streaming<v1::WatchResponse>> {
        Ok(self.projects.clone().watch(request).await?.into_inner())
    }

    /// Follows activity logs from `request.after` on, across broken connections and restarts of
    /// the daemon.
    pub fn follow(&self, request: v1::FollowRequest) -> Follow {
        Follow::new(self.clone(), request)
    }

    /// One connection's worth of following: what [`Follow`] is made of, and all there is where pieces
    /// are asked for.
    ///
    /// # Errors
    /// What the daemon says, or that it is not there.
    pub async fn follow_once(
        &self,
        request: v1::FollowRequest,
    ) -> Answer<Streaming<v1::FollowResponse>> {
        let mut service = self.invocations.clone();
        let call = boxed(async move { service.follow(request).await });
        Ok(call.await?.into_inner())
    }
}

/// A call takes kilobytes while it is under way. Whoever makes one now and then, and otherwise waits
/// for hours, has no room for it meanwhile.
fn boxed<T>(
    call: impl Future<Output = Answer<T>> + Send,
) -> Pin<Box<impl Future<Output = Answer<T>> + Send>> {
    Box::pin(call)
}

/// The deadline travels with the call, so that the daemon gives up when we do.
fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}
