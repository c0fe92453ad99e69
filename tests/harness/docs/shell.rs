//! The shell in which a page's blocks are run, in a home of the reader's own below the harness's.
//!
//! What pages name as `/home/me` and as the gateway's ports stands for the real ones, in what is
//! typed and, the other way, in what is printed. The programs are those that were built; a word in
//! `stand-ins` may take the place of what a reader has and a test has not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::binaries::{self, workspace};
use crate::wait::within;
use crate::{Gateway, Home};

/// Ends what a block prints; no program prints it.
const END: u8 = 0x1e;
/// The reader's home, as pages name it.
const READER: &str = "/home/me";

/// A shell that goes on from block to block.
#[derive(Debug)]
pub struct Shell {
    home: Arc<Home>,
    names: Vec<(String, String)>,
    folder: PathBuf,
    blocks: usize,
    // Ended when the shell is dropped.
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// What came of one block.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None` if the shell itself has ended.
    pub code: Option<i32>,
    /// All that it printed, with the names that pages use.
    pub printed: String,
}

impl Shell {
    /// A shell in `/home/me/app`, which is below `home` in a folder `name`. Of `gateways` the first
    /// is the one at port 3501, the next that at 3502.
    pub fn new(home: &Arc<Home>, name: &str, gateways: &[&Gateway]) -> Shell {
        let own = home.folder(name);
        let folder = home.folder(&format!("{name}/app"));
        std::os::unix::fs::symlink(workspace(), own.join("steroidsd")).expect("it is a new folder");
        let own = own.to_string_lossy().into_owned();
        let mut names = vec![(READER.to_owned(), own.clone())];
        for (port, gateway) in (3501..).zip(gateways) {
            let address = gateway.address().to_string();
            names.push((format!("127.0.0.1:{port}"), address));
        }
        let mut command = Command::from(home.command(Path::new("/bin/bash")));
        let mut path = home.path("bin").into_os_string();
        for folder in [
            binaries::folder(),
            Path::new(&std::env::var_os("PATH").unwrap_or_default()),
        ] {
            path.push(":");
            path.push(folder);
        }
        let mut child = command
            .args(["--noprofile", "--norc"])
            .env("PATH", path)
            .env("HOME", own)
            .env("DOCS_EXAMPLES", binaries::folder().join("examples"))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("there is a bash");
        let stdin = child.stdin.take().expect("it was asked for");
        let stdout = child.stdout.take().expect("it was asked for");
        Shell {
            home: Arc::clone(home),
            names,
            folder,
            blocks: 0,
            _child: child,
            stdin,
            stdout: BufReader::new(stdout),
        }
    }

    /// Runs commands, and ends at the first that fails if it is told to.
    pub async fn run(&mut self, commands: &str, stop_at_failure: bool) -> Ran {
        self.blocks += 1;
        let script = self.folder.with_extension(format!("block-{}", self.blocks));
        let (first, last) = match stop_at_failure {
            true => ("set -e\n", "\nset +e\n"),
            false => ("", ""),
        };
        let text = format!("{first}{}{last}", self.real(commands));
        std::fs::write(&script, text).expect("the home takes a file");
        // A block may ask how the one before it ended.
        let call = format!(
            "(exit $code); . {} </dev/null 2>&1; code=$?; printf '\\036%d\\036' $code\n",
            script.display()
        );
        // A shell that has ended takes nothing; what it said tells why.
        let _ = self.stdin.write_all(call.as_bytes()).await;
        let mut printed = Vec::new();
        let mut code = Vec::new();
        let read = async {
            self.stdout.read_until(END, &mut printed).await?;
            self.stdout.read_until(END, &mut code).await
        };
        within(commands, read).await.expect("its pipe is ours");
        let ended = printed.pop_if(|last| *last == END).is_some();
        code.pop();
        let code = String::from_utf8_lossy(&code).parse().ok();
        Ran {
            code: code.filter(|_| ended),
            printed: self.shown(&String::from_utf8_lossy(&printed)),
        }
    }

    /// With real names in the place of those that pages use.
    pub fn real(&self, text: &str) -> String {
        let replace = |text: String, (shown, real): &(String, String)| text.replace(shown, real);
        self.names.iter().fold(text.to_owned(), replace)
    }

    /// With the names that pages use.
    pub fn shown(&self, text: &str) -> String {
        let replace = |text: String, (shown, real): &(String, String)| text.replace(real, shown);
        let text = self.names.iter().fold(text.to_owned(), replace);
        let below = |name: &str| self.home.path(name).to_string_lossy().into_owned();
        text.replace(&below("state"), "/home/me/.local/state")
            .replace(&below("config"), "/home/me/.config")
            .replace(&below("run"), "/run/user/1000")
    }
}
