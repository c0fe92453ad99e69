//! Starting the provider: its own session, its own pipes, nothing inherited, and no life without
//! the shim.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use steroids_shim::spec::Spec;
use steroids_shim::tree::MARKER;

use super::around::Around;
use crate::patience::patiently;
use crate::sys::{self, ChildSetup};

/// Three of the four CLIs lose the end of their output when their reader lags and the pipe is full.
/// The smaller sizes are for a user whose other pipes have used up what is allowed.
const PIPE_SIZES: [usize; 3] = [1024 * 1024, 256 * 1024, 128 * 1024];

/// The provider, running, and the shim's ends of its pipes.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its process, which leads a session and a group of that number.
    pub(crate) pid: i32,
    /// Its standard input.
    pub(crate) stdin: OwnedFd,
    /// Its standard output; never blocks.
    pub(crate) stdout: OwnedFd,
    /// Its standard error; never blocks.
    pub(crate) stderr: OwnedFd,
}

/// Starts it. The error is one line for whoever asked for it.
pub(crate) fn start(
    spec: &Spec,
    around: &Around,
    cgroup: Option<OwnedFd>,
) -> Result<Provider, String> {
    let (program, arguments) = spec
        .argv
        .split_first()
        .ok_or_else(|| "no program was given".to_owned())?;
    let cwd = open_folder(&spec.cwd)
        .map_err(|error| format!("working directory {}: {error}", spec.cwd.display()))?;
    let (stdin, to_stdin) = pipe().map_err(no_pipe)?;
    let (from_stdout, stdout) = pipe().map_err(no_pipe)?;
    let (from_stderr, stderr) = pipe().map_err(no_pipe)?;
    for ours in [&to_stdin, &from_stdout, &from_stderr] {
        rustix::io::ioctl_fionbio(ours, true).map_err(no_pipe)?;
    }
    enlarge(&from_stdout);
    enlarge(&from_stderr);

    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env(MARKER, &spec.uuid)
        .envs(spec.env.iter().filter(|(name, _)| name != MARKER).cloned())
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    let setup = ChildSetup {
        cwd,
        shim: around.pid,
        oom_score_adj: around.oom_score_adj.clone(),
        cgroup,
    };
    sys::set_up_child(&mut command, setup);
    let child = patiently(|| command.spawn()).map_err(|error| why_not(program, &error))?;
    Ok(Provider {
        pid: child.id() as i32,
        stdin: to_stdin,
        stdout: from_stdout,
        stderr: from_stderr,
    })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe_with(PipeFlags::CLOEXEC)
}

fn no_pipe(errno: Errno) -> String {
    format!("cannot make its pipes: {}", io::Error::from(errno))
}

fn enlarge(pipe: &OwnedFd) {
    for size in PIPE_SIZES {
        if fcntl_setpipe_size(pipe, size).is_ok() {
            return;
        }
    }
}

/// By descriptor, so that the error names the folder, and not the program.
fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

fn why_not(program: &str, error: &io::Error) -> String {
    let there = Path::new(program).has_root() && fs::metadata(OsStr::new(program)).is_ok();
    match error.kind() {
        io::ErrorKind::NotFound if there => {
            format!("{program}: its interpreter is missing: {error}")
        }
        _ => format!("{program}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_program_or_its_missing_interpreter() {
        let missing = io::Error::from_raw_os_error(2);
        assert_eq!(
            why_not("/no/such", &missing),
            "/no/such: No such file or directory (os error 2)"
        );
        assert_eq!(
            why_not("/bin/sh", &missing),
            "/bin/sh: its interpreter is missing: No such file or directory (os error 2)"
        );
    }
}
