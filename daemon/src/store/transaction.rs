//! One transaction, tried again as a whole while another program holds the lock.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::Failure;
use crate::counts::{Latency, Measured};

/// How often a whole transaction is tried. With the wait for the lock inside each, a caller waits
/// 25 s at most, which is within the deadline of a request.
const ATTEMPTS: u32 = 5;

/// Between two attempts, at most; the wait for the lock itself is SQLite's.
const JITTER: Duration = Duration::from_millis(100);

/// Of all databases: what a person asks is whether one of them is slow. One for the process, so that a
/// database that is opened anew goes on being counted.
static LATENCY: LazyLock<Latency> = LazyLock::new(Latency::default);

/// How long transactions take, failed ones and waits for other programs included.
pub fn latency() -> Measured {
    LATENCY.measured()
}

/// One transaction, as often as it takes. The lock is taken at its begin: a transaction that
/// reads first and writes later fails at once when another program has written in between.
pub(super) fn transact<T>(
    connection: &mut Connection,
    change: impl Fn(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let began = Instant::now();
    let answer = repeated(connection, change);
    LATENCY.took(began.elapsed());
    answer
}

fn repeated<T>(
    connection: &mut Connection,
    change: impl Fn(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut attempt = 1;
    loop {
        match once(connection, &change) {
            Err(failure) if failure.is_busy() && attempt < ATTEMPTS => {
                tracing::debug!(attempt, "database locked by another program");
                std::thread::sleep(JITTER.mul_f64(rand::random()));
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

fn once<T>(
    connection: &mut Connection,
    change: &impl Fn(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction: Transaction<'_> =
        connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answer = change(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}
