//! Programs that tests write and run.

use std::path::Path;
use std::process::Command;

/// Writes a program of `sh`, through another process: what is open for writing in this one, a child that
/// another test starts has open as well until it becomes its own program, and as long the kernel runs no
/// such file (ETXTBSY).
pub(super) fn script(path: &Path, text: &str) {
    let written = Command::new("sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#,
        ])
        .arg(path)
        .arg(text)
        .status()
        .unwrap();
    assert!(written.success(), "{}", path.display());
}
