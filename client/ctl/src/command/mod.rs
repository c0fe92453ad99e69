//! One file per subcommand: its arguments, its help, and what it does. `attempts` is shared by those
//! that follow one to its end.

mod attempts;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod holds;
pub(crate) mod hooks;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod migrate;
pub(crate) mod projects;
pub(crate) mod reload;
pub(crate) mod reproject;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod timeline;
pub(crate) mod top;
pub(crate) mod usage;
pub(crate) mod wait;
pub(crate) mod wakeup;
pub(crate) mod web;

use crate::cli::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

/// Does what the command line says.
pub(crate) async fn run(command: Command, session: &mut Session) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(&args, session).await,
        Command::Start(args) => start::run(*args, session).await,
        Command::Retry(args) => retry::run(*args, session).await,
        Command::Stream(args) => stream::run(&args, session).await,
        Command::Timeline(args) => timeline::run(&args, session).await,
        Command::Top(args) => top::run(&args, session).await,
        Command::List(args) => list::run(&args, session).await,
        Command::Show(args) => show::run(&args, session).await,
        Command::Stop(args) => stop::run(&args, session).await,
        Command::Wait(args) => wait::run(&args, session).await,
        Command::Send(args) => send::run(&args, session).await,
        Command::Holds(args) => holds::run(args, session).await,
        Command::Usage(args) => usage::run(&args, session).await,
        Command::Tasks(args) => tasks::run(&args, session).await,
        Command::Projects(args) => projects::run(&args, session).await,
        Command::Migrate(args) => migrate::run(&args, session).await,
        Command::Cleanup(args) => cleanup::run(&args, session).await,
        Command::Config(args) => config::run(&args, session).await,
        Command::Reproject(args) => reproject::run(&args, session).await,
        Command::Reload(args) => reload::run(&args, session).await,
        Command::Wakeup(args) => wakeup::run(&args, session).await,
        Command::Hooks(args) => hooks::run(&args, session).await,
        Command::Status(args) => status::run(&args, session).await,
        Command::Web(args) => web::run(&args, session).await,
        Command::Doctor(args) => doctor::run(&args, session).await,
        Command::Completions(args) => completions::run(&args, session),
    }
}
