//! Asks another program for a word, within bounds: it may hang, print without end, or leave
//! somebody behind who holds its output open.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// A version or a property is a line; this is for who prints a page.
const MOST: u64 = 64 * 1024;

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why it said nothing.
#[derive(Debug)]
pub(crate) enum Silent {
    /// It cannot be run.
    NotRun(std::io::Error),
    /// It had not ended in time, and was killed.
    Slow,
}

/// Runs a program without input, and gives what it printed.
pub(crate) async fn ask(
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    within: Duration,
) -> Result<Said, Silent> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Silent::NotRun)?;
    match tokio::time::timeout(within, heard(child)).await {
        Ok(said) => said.map_err(Silent::NotRun),
        Err(_) => Err(Silent::Slow),
    }
}

async fn heard(mut child: Child) -> std::io::Result<Said> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut out = child.stdout.take().map(|it| it.take(MOST));
    let mut err = child.stderr.take().map(|it| it.take(MOST));
    let out = async {
        match &mut out {
            Some(out) => out.read_to_end(&mut stdout).await,
            None => Ok(0),
        }
    };
    let err = async {
        match &mut err {
            Some(err) => err.read_to_end(&mut stderr).await,
            None => Ok(0),
        }
    };
    let (out, err, status) = tokio::join!(out, err, child.wait());
    out.and(err)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said {
        code: status?.code().unwrap_or(-1),
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_a_program_says_is_heard_and_no_more_than_fits() {
        let said = ask("sh", &["-c", "echo 1.2; echo no >&2; exit 3"], SOON).await;
        let said = said.unwrap();
        assert_eq!(
            (said.code, said.stdout.as_str(), said.stderr.as_str()),
            (3, "1.2\n", "no\n")
        );
        let missing = ask("steroids-no-such-program", &[], SOON).await;
        assert!(matches!(missing, Err(Silent::NotRun(_))));
    }

    #[tokio::test]
    async fn one_that_hangs_is_not_waited_for() {
        let hangs = ask(
            "sh",
            &["-c", "sleep 1000 & wait"],
            Duration::from_millis(50),
        )
        .await;
        assert!(matches!(hangs, Err(Silent::Slow)));
    }
}
