//! Following on a terminal: what `stream` and `start --follow` have in common. Prints events until
//! their end, until Ctrl-C, or until nobody reads, and says what becomes of the agent.

use std::collections::HashSet;

use steroids_client::v1::{Event, FollowRequest};
use steroids_client::{Client, FollowError, Item, Splice, splice};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::holder::how_to_reach;
use crate::interrupt::Interrupt;
use crate::render::{Ending, Prefix, Renderer};
use crate::session::{Session, quoted};
use crate::spinner::Spinner;
use crate::terminal::reader_gone;

/// What is followed, for words and prefixes.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// One invocation; whether it had not ended when it was last asked for.
    Invocation {
        /// Its id.
        id: i64,
        /// It may still go on.
        open: bool,
        /// It is the daemon's, and can be stopped.
        managed: bool,
    },
    /// All invocations of a task.
    Task(String),
    /// Everything.
    All,
}

impl Scope {
    /// Of one invocation its id.
    fn id(&self) -> Option<i64> {
        match self {
            Scope::Invocation { id, .. } => Some(*id),
            Scope::Task(_) | Scope::All => None,
        }
    }
}

/// What to follow, and how to print it.
pub(crate) struct Plan {
    /// The request, with the cursor to begin after.
    pub(crate) request: FollowRequest,
    /// What is followed.
    pub(crate) scope: Scope,
    /// Leave control bytes in.
    pub(crate) raw: bool,
    /// All of it has ended: nothing comes after what there is.
    pub(crate) is_over: bool,
}

/// How following ended.
pub(crate) enum End {
    /// The stream ended.
    Ended {
        /// The last terminal line that came by.
        ending: Option<Ending>,
        /// Of what was read; may be empty.
        cursor: String,
    },
    /// Ctrl-C or a signal, with how the program ends for it.
    Left(Exit),
}

/// Follows to the end.
pub(crate) async fn run(
    session: &mut Session,
    client: &Client,
    plan: Plan,
    interrupt: &mut Interrupt,
) -> Result<End, Failure> {
    run_until(session, client, plan, interrupt, std::future::pending()).await
}

/// The same, or until nothing more is expected.
pub(crate) async fn run_until(
    session: &mut Session,
    client: &Client,
    plan: Plan,
    interrupt: &mut Interrupt,
    until: impl Future<Output = ()>,
) -> Result<End, Failure> {
    let ended = to_the_end(session, client, plan, interrupt, until).await;
    interrupt.keep(None);
    ended
}

async fn to_the_end(
    session: &mut Session,
    client: &Client,
    plan: Plan,
    interrupt: &mut Interrupt,
    until: impl Future<Output = ()>,
) -> Result<End, Failure> {
    let (is_live, after) = (plan.request.follow, plan.request.after.clone());
    let mut follow = client.follow(plan.request);
    let mut printer = Printer::new(session, &plan.scope, plan.raw);
    let mut spinner = Spinner::new();
    let mut gone = std::pin::pin!(reader_gone());
    let mut until = std::pin::pin!(until);
    let mut ending = None;
    // Of the last line that is known to be written.
    let mut written = after.clone();
    loop {
        // A reader that takes no more holds this up, and who ends it then is to know where it was.
        interrupt.keep(left_off(session, &plan.scope, &written));
        let item = tokio::select! {
            biased;
            exit = interrupt.pressed() => {
                interrupt.keep(None);
                spinner.clear();
                let cursor = follow.cursor();
                let farewell = farewell(session, &plan.scope, cursor, ending.is_some());
                session.note_at(farewell, cursor, plan.scope.id());
                return Ok(End::Left(exit));
            }
            item = follow.next() => item,
            () = &mut until => {
                spinner.clear();
                let cursor = follow.cursor().to_owned();
                return Ok(End::Ended { ending, cursor });
            }
            () = &mut gone => {
                let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
                return Err(unwritten(session, gone.into(), &plan.scope, &written));
            }
            () = spinner.tick() => {
                spinner.draw(&printer.status());
                continue;
            }
        };
        spinner.clear();
        match item {
            Ok(Some(Item::Events(events))) => {
                for event in &events {
                    ending = Ending::of(&event.r#type, &event.line).or(ending);
                }
                if let Err(failure) = printer.all(session, &events) {
                    return Err(unwritten(session, failure, &plan.scope, &written));
                }
                follow.cursor().clone_into(&mut written);
            }
            Ok(Some(news)) => printer.connection(session, &news),
            Ok(None) => {
                let is_over = match &plan.scope {
                    Scope::Invocation { open, .. } => !open || ending.is_some(),
                    Scope::Task(_) | Scope::All => plan.is_over,
                };
                if session.json && !is_live && !is_over {
                    let cursor = follow.cursor();
                    session.note_at(go_on(session, &plan.scope, cursor), cursor, plan.scope.id());
                }
                let cursor = follow.cursor().to_owned();
                return Ok(End::Ended { ending, cursor });
            }
            Err(error) => {
                let cursor = follow.cursor();
                // One that was given may be what is refused.
                if session.json && cursor != after {
                    session.note_at(go_on(session, &plan.scope, cursor), cursor, plan.scope.id());
                }
                return Err(resumable(session, error, &plan.scope, cursor));
            }
        }
    }
}

/// Says where the output ends. Who closed it wants to hear nothing, but for a script.
fn unwritten(session: &Session, failure: Failure, scope: &Scope, cursor: &str) -> Failure {
    if session.json || !failure.is_reader_gone() {
        session.note_at(go_on(session, scope, cursor), cursor, scope.id());
    }
    failure
}

/// Prints events for a person or for a script.
struct Printer {
    renderer: Renderer,
    splice: Splice,
    buffer: Vec<u8>,
    /// The connection broke, and it was said.
    broken: bool,
    begun: bool,
    /// Invocations seen that have not ended, where there may be more than one.
    open: HashSet<(String, i64)>,
    several: bool,
}

impl Printer {
    fn new(session: &Session, scope: &Scope, raw: bool) -> Self {
        let (prefix, splice) = match scope {
            Scope::Invocation { .. } => (Prefix::None, Splice::None),
            Scope::Task(_) => (Prefix::Invocation, Splice::Invocation),
            Scope::All => (Prefix::Project, Splice::Project),
        };
        Printer {
            renderer: Renderer::new(session.out.colour, raw, prefix),
            splice,
            buffer: Vec::new(),
            broken: false,
            begun: false,
            open: HashSet::new(),
            several: !matches!(scope, Scope::Invocation { .. }),
        }
    }

    fn all(&mut self, session: &mut Session, events: &[Event]) -> Result<(), Failure> {
        for event in events {
            self.print(session, event)?;
        }
        Ok(session.out.flush()?)
    }

    fn print(&mut self, session: &mut Session, event: &Event) -> Result<(), Failure> {
        self.begun = true;
        if self.several {
            let invocation = (event.project.clone(), event.invocation_id);
            if matches!(event.r#type.as_str(), "complete" | "error") {
                self.open.remove(&invocation);
            } else {
                self.open.insert(invocation);
            }
        }
        if session.json {
            self.buffer.clear();
            splice(event, self.splice, &mut self.buffer);
            self.buffer.push(b'\n');
            session.out.encoded(&self.buffer)?;
        } else {
            let text = self.renderer.event(event);
            session.out.bytes(text.as_bytes())?;
        }
        Ok(())
    }

    fn connection(&mut self, session: &Session, news: &Item) {
        match news {
            Item::Live if self.broken => session.note("connected again"),
            Item::Reconnecting { reason } => {
                session.note(format!("the stream broke ({reason}); reconnecting"));
            }
            Item::Away => {
                session.note("the daemon is away; agents go on, and so will this once it is back");
            }
            Item::Live | Item::Events(_) => {}
        }
        self.broken = !matches!(news, Item::Live | Item::Events(_));
    }

    fn status(&self) -> String {
        if self.broken {
            "waiting for the daemon".to_owned()
        } else if self.begun && self.several && self.open.is_empty() {
            "waiting for the next invocation".to_owned()
        } else if self.begun {
            self.renderer.status()
        } else {
            "waiting for the first line".to_owned()
        }
    }
}

/// How to come back to this very place.
fn come_back(session: &Session, scope: &Scope, cursor: &str) -> String {
    let what = match scope {
        Scope::Invocation { id, .. } => format!("stream {id}"),
        Scope::Task(task) => format!("stream --task {}", quoted(task)),
        Scope::All => "stream --all".to_owned(),
    };
    if cursor.is_empty() {
        session.command(&what)
    } else {
        session.command(&format!("{what} --after {}", quoted(cursor)))
    }
}

fn go_on(session: &Session, scope: &Scope, cursor: &str) -> String {
    format!("go on with: {}", come_back(session, scope, cursor))
}

fn left_off(session: &Session, scope: &Scope, cursor: &str) -> String {
    session.line_at(go_on(session, scope, cursor), cursor, scope.id())
}

fn farewell(session: &Session, scope: &Scope, cursor: &str, ended: bool) -> String {
    let back = come_back(session, scope, cursor);
    match scope {
        Scope::Invocation {
            id,
            open: true,
            managed: true,
        } if !ended => format!(
            "left; invocation {id} goes on — stop it with: {}\ncome back with: {back}",
            session.command(&format!("stop {id}"))
        ),
        Scope::Invocation { id, open: true, .. } if !ended => {
            format!("left; invocation {id} of another tool goes on\ncome back with: {back}")
        }
        Scope::Invocation { .. } => "left".to_owned(),
        Scope::Task(_) | Scope::All => {
            format!("left; what runs goes on\ncome back with: {back}")
        }
    }
}

fn resumable(session: &Session, error: FollowError, scope: &Scope, cursor: &str) -> Failure {
    let is_away = matches!(error, FollowError::Away { .. });
    let failure = Failure::from(error);
    if is_away {
        let how_to_reach = match session.found() {
            Ok(found) => how_to_reach(&found.paths),
            // What they come from has changed meanwhile.
            Err(_) => failure.hint().unwrap_or_default().to_owned(),
        };
        let hint = format!(
            "{how_to_reach}\nthen go on with: {}",
            come_back(session, scope, cursor)
        );
        failure.with_hint(hint)
    } else {
        failure
    }
}
