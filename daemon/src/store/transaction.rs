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

/// As [`transact`], but for what may be lost with the host's power: it is committed for everybody
/// and survives any program's end, and is on the disk with the next commit that waits for that.
pub(super) fn unsynced<T>(
    connection: &mut Connection,
    change: impl Fn(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let answer = transact(connection, change);
    connection.pragma_update(None, "synchronous", "FULL")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn level(connection: &Connection) -> i64 {
        let asked = connection.query_row("PRAGMA synchronous", [], |row| row.get(0));
        asked.unwrap()
    }

    #[test]
    fn what_comes_after_an_unsynced_transaction_is_synced_again_whatever_became_of_it() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let mut db = Connection::open(folder.path().join("db")).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n)",
        )
        .unwrap();
        unsynced(&mut db, |tx| {
            assert!(level(tx) < FULL);
            Ok(tx.execute("INSERT INTO t VALUES (1)", [])?)
        })
        .unwrap();
        assert_eq!(level(&db), FULL);
        unsynced(&mut db, |tx| {
            Ok(tx.execute("INSERT INTO no_such_table VALUES (1)", [])?)
        })
        .unwrap_err();
        assert_eq!(level(&db), FULL);
        let kept: i64 = db
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, 1);
    }
}
