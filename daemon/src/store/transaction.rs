//! One transaction, tried again as a whole while another program holds the lock.

use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::Failure;

/// How often a whole transaction is tried. With the wait for the lock inside each, a caller waits
/// 25 s at most, which is within the deadline of a request.
const ATTEMPTS: u32 = 5;

/// Between two attempts, at most; the wait for the lock itself is SQLite's.
const JITTER: Duration = Duration::from_millis(100);

/// One transaction, as often as it takes. The lock is taken at its begin: a transaction that
/// reads first and writes later fails at once when another program has written in between.
pub(super) fn transact<T>(
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
