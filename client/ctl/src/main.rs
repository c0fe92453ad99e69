//! The front door of `steroidsctl`, which is a library.

use std::process::ExitCode;

fn main() -> ExitCode {
    steroidsctl::main()
}
