//! From a request to its answer, and to its end where that is wanted: what a start and another attempt do
//! alike. Asked again after the connection broke, a request starts nothing twice.

use std::time::{Duration, Instant};

use steroids_client::{Client, Refusal, json, v1};
use tonic::Status;

use crate::command::attempts;
use crate::exit::Exit;
use crate::failure::{Failure, UNWRITTEN};
use crate::follow::{Plan, Scope};
use crate::interrupt::Interrupt;
use crate::session::{Session, is_unregistered, quoted};
use crate::spinner::Spinner;
use crate::{format, resources as bounds};

/// How long a start is asked for again after the connection broke: a restart of the daemon, with
/// its look at what runs, takes less.
const RETRY_FOR: Duration = Duration::from_secs(30);
const RETRY_EVERY: Duration = Duration::from_millis(300);

/// How one is begun.
pub(in crate::command) struct Begin<'a> {
    /// The project's path.
    pub(in crate::command) project: &'a str,
    /// Sent with it.
    pub(in crate::command) request_id: &'a str,
    /// The caller has said the request's id, and can say it again.
    pub(in crate::command) is_repeatable: bool,
    /// The command that tells whether it was started.
    pub(in crate::command) find: String,
    /// Show what it does, to its end.
    pub(in crate::command) follows: bool,
    /// Leave control bytes in that.
    pub(in crate::command) raw: bool,
}

impl Begin<'_> {
    /// Asks for it, prints its id, follows it. `elsewhere` is the folder it works in, if that is to be told.
    pub(in crate::command) async fn run(
        self,
        session: &mut Session,
        client: &Client,
        interrupt: &mut Interrupt,
        ask: impl AsyncFn() -> Result<v1::StartResponse, Status>,
        elsewhere: impl Fn(&v1::Invocation) -> Option<String>,
    ) -> Result<Exit, Failure> {
        let mut spinner = Spinner::new();
        let asking = spinner.on_during("starting", self.ask(session, client, ask));
        let answer = tokio::select! {
            left = interrupt.pressed() => {
                spinner.clear();
                let find = session.command(&self.find);
                session.note(format!(
                    "left before the daemon answered; see whether it was started with: {find}"
                ));
                return Ok(left);
            }
            answer = asking => answer.map_err(|failure| self.unsure(failure))?,
        };
        drop(spinner);
        let invocation = answer.invocation.ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                "internal",
                "the daemon answered without an invocation",
            )
        })?;
        if let Some(folder) = elsewhere(&invocation) {
            session.note(format!(
                "it works in {folder}, the project's folder; with --cwd . it works here"
            ));
        }
        let told = tell(session, &invocation, answer.existing, self.follows);
        let untold = |failure| self.untold(failure, &invocation);
        let told = told.map_err(untold);
        if !self.follows {
            told?;
            return Ok(match is_never_started(&invocation) {
                true => Exit::InvocationFailed,
                false => Exit::Ok,
            });
        }
        let at = v1::InvocationSelector {
            project: self.project.to_owned(),
            id: invocation.id,
        };
        match told {
            // Of how it ends that nobody reads on says nothing.
            Err(failure) if failure.is_reader_gone() => attempts::standing(client, at).await,
            Err(failure) => Err(failure),
            Ok(()) => {
                let plan = self.plan(&at, &invocation);
                let followed = attempts::follow(session, client, at, plan, interrupt).await;
                followed.map_err(untold)
            }
        }
    }

    fn plan(&self, at: &v1::InvocationSelector, invocation: &v1::Invocation) -> Plan {
        Plan {
            request: v1::FollowRequest {
                selector: Some(v1::follow_request::Selector::Invocation(at.clone())),
                after: String::new(),
                follow: true,
                skip_ended: false,
                limit_bytes: 0,
                pieces: false,
                tail: None,
            },
            scope: Scope::Invocation {
                id: invocation.id,
                open: format::is_open(invocation),
                managed: true,
            },
            raw: self.raw,
            is_over: false,
        }
    }

    /// Asks until there is an answer: only a connection that broke is asked again, with the same id.
    async fn ask(
        &self,
        session: &Session,
        client: &Client,
        ask: impl AsyncFn() -> Result<v1::StartResponse, Status>,
    ) -> Result<v1::StartResponse, Failure> {
        match patiently(&ask).await {
            Err(status) if is_unregistered(&status) => {
                session.register(client, self.project).await?;
                Ok(patiently(&ask).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// It was started, also where its id or what it does cannot be written, or nobody reads the id: that is all
    /// that tells of it. Only who named the request is to be told to try again: else the same command would start
    /// another one.
    fn untold(&self, failure: Failure, invocation: &v1::Invocation) -> Failure {
        let is_id_lost = failure.is_reader_gone() && !self.follows;
        if !failure.is_unwritten() && !is_id_lost {
            return failure;
        }
        let id = invocation.id;
        let (exit, became) = match self.is_repeatable {
            _ if is_never_started(invocation) => (Exit::InvocationFailed, ended(invocation)),
            true => (Exit::TryAgain, "was started".to_owned()),
            false => (Exit::Refused, "was started".to_owned()),
        };
        let message = format!("invocation {id} {became}, and {}", failure.message());
        let failure = Failure::new(exit, UNWRITTEN, message).about(vec![id]);
        failure.with_hint(format!(
            "the same command with --request-id {} tells its id once more, and starts nothing",
            quoted(self.request_id)
        ))
    }

    /// Where it is not known whether it was started, says how to find out without paying twice.
    fn unsure(&self, failure: Failure) -> Failure {
        failure.unknown(format!(
            "whether it was started is not known; the same command with --request-id {} starts it once at most",
            quoted(self.request_id)
        ))
    }
}

/// Asks until there is an answer, or a restart of the daemon would long be over: only where the connection broke.
pub(super) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(status) if is_broken(&status) && began.elapsed() < RETRY_FOR => {
                tokio::time::sleep(RETRY_EVERY).await;
            }
            answer => return answer,
        }
    }
}

/// True if the call may or may not have arrived. A daemon that let the deadline pass had its time.
fn is_broken(status: &Status) -> bool {
    Refusal::is_broken(status) && !Refusal::is_timeout(status)
}

/// Nothing runs: a script that went on with the id would wait for nobody.
fn is_never_started(invocation: &v1::Invocation) -> bool {
    invocation.outcome == "never_started"
}

/// How one that is over before it could be told of has ended, and why.
fn ended(invocation: &v1::Invocation) -> String {
    let standing = format::standing(invocation);
    format!("has ended: {standing}: {}", invocation.error)
}

fn tell(
    session: &mut Session,
    invocation: &v1::Invocation,
    existing: bool,
    follows: bool,
) -> Result<(), Failure> {
    let id = invocation.id;
    if let Some(asked) = &invocation.resources
        && !asked.unenforced.is_empty()
    {
        session.note(bounds::unenforced(asked));
    }
    if session.json {
        let mut shape = json::Invocation::from(invocation);
        shape.existing = Some(existing);
        session.out.json(&shape)?;
        return Ok(session.out.flush()?);
    }
    if !follows {
        session.out.line(id)?;
        session.out.flush()?;
    }
    if existing {
        session.note(format!(
            "invocation {id} was started by this request id before"
        ));
    } else if invocation.state() == v1::State::Queued {
        let why = if invocation.waiting.is_empty() {
            "for its turn".into()
        } else {
            format::by_clock(&invocation.waiting)
        };
        let and = if follows {
            "; it starts by itself, also after Ctrl-C"
        } else {
            ""
        };
        session.note(format!("invocation {id} waits: {why}{and}"));
    } else if follows {
        session.note(format!(
            "invocation {id} started; Ctrl-C leaves, it goes on"
        ));
    } else if session.out.is_terminal {
        let command = session.command(&format!("stream {id}"));
        session.note(format!("started; watch it with: {command}"));
    }
    if !follows && !format::is_open(invocation) && !invocation.error.is_empty() {
        session.note(format!("it {}", ended(invocation)));
    }
    Ok(())
}
