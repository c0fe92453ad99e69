//! When maintenance passes are made: one at a time, each so often, and whenever somebody asks. Who
//! asks during a pass gets one of their own after it, since that one may have gone by what they did.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::projects::Projects;
use crate::retention::{Stored, stored};
use crate::supervise::Supervisor;
use crate::wakeup::{self, Ages, Report};

/// A hundred thousand files are listed in a second; a disk that does not answer is not waited for.
const MEASURED_WITHIN: Duration = Duration::from_secs(30);

/// So long a doubt of the clock is not worth somebody's attention.
const PASSES_SOON: Duration = Duration::from_secs(60 * 60);

/// When passes are made, and what they go by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Between two passes; `None`: only on request.
    pub interval: Option<Duration>,
    /// What a pass goes by.
    pub pass: wakeup::Settings,
}

/// Makes the passes. Clones make the same ones.
#[derive(Clone)]
pub struct Wakeups {
    rooms: (Supervisor, Projects),
    settings: Arc<watch::Sender<Settings>>,
    last_ms: Arc<AtomicI64>,
    /// As the clocks were seen last, and when; held for a copy.
    ages: Arc<std::sync::Mutex<(Ages, Instant)>>,
    /// As it was measured last; held for a copy.
    stored: Arc<std::sync::Mutex<Option<Stored>>>,
    /// Held during a pass.
    pass: Arc<Mutex<()>>,
    begun: watch::Sender<()>,
}

impl Wakeups {
    /// None was made yet. `ages` is what the first look at the clocks has told.
    pub fn new(
        supervisor: Supervisor,
        projects: Projects,
        settings: Settings,
        ages: Ages,
    ) -> Wakeups {
        Wakeups {
            ages: Arc::new(std::sync::Mutex::new((ages, Instant::now()))),
            rooms: (supervisor, projects),
            settings: Arc::new(watch::Sender::new(settings)),
            last_ms: Arc::default(),
            stored: Arc::default(),
            pass: Arc::default(),
            begun: watch::Sender::new(()),
        }
    }

    /// What the passes go by.
    pub fn settings(&self) -> wakeup::Settings {
        self.settings.borrow().pass
    }

    /// Goes by others from now on; the next pass comes an interval from now.
    pub fn set(&self, settings: Settings) {
        self.settings.send_replace(settings);
    }

    /// When the last pass ended, in epoch milliseconds; 0: none yet.
    pub fn last_ms(&self) -> i64 {
        self.last_ms.load(Ordering::Relaxed)
    }

    /// How much room is taken, as it was measured last.
    pub fn stored(&self) -> Option<Stored> {
        let stored = self.stored.lock();
        stored.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Measures how much room is taken.
    pub async fn measure(&self) {
        let (supervisor, projects) = &self.rooms;
        let now = steroids_failpoint::wall_clock();
        let measuring = async {
            let answering = projects.answering().await;
            stored::measure(supervisor.state_dir(), &answering, now).await
        };
        // What is not known in time stays as it was, with its age.
        if let Ok(Some(measured)) = timeout(MEASURED_WITHIN, measuring).await {
            let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            *stored = Some(measured);
        }
    }

    /// Whether something may be removed for its age now.
    pub async fn ages(&self) -> Ages {
        let ages = wakeup::ages(self.rooms.0.state_dir()).await;
        self.saw(ages);
        ages
    }

    /// Why nothing is removed for its age, where that is no matter of an hour, as it is after each pause of a
    /// virtual machine.
    pub fn degraded(&self) -> Option<String> {
        let ages = self.ages.lock();
        let (ages, at) = *ages.unwrap_or_else(PoisonError::into_inner);
        match ages {
            // Over since, where no pass has looked again.
            Ages::Doubted(left) if left <= at.elapsed().max(PASSES_SOON) => None,
            ages => ages.trouble(),
        }
    }

    fn saw(&self, ages: Ages) {
        let mut seen = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = (ages, Instant::now());
    }

    /// Makes a pass now.
    pub async fn pass(&self) -> Report {
        let _pass = self.pass.lock().await;
        self.begun.send_replace(());
        let (supervisor, projects) = &self.rooms;
        let settings = self.settings();
        let report = wakeup::pass(supervisor, projects, &settings).await;
        self.saw(report.ages);
        self.measure().await;
        let since = steroids_failpoint::wall_clock()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        self.last_ms.store(now_ms, Ordering::Relaxed);
        report
    }

    /// Changes when a pass begins.
    pub fn begun(&self) -> watch::Receiver<()> {
        self.begun.subscribe()
    }

    /// Makes one every interval, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut settings = self.settings.subscribe();
        loop {
            let interval = settings.borrow_and_update().interval;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // The sender is ours, and so it is never closed.
                _ = settings.changed() => {}
                // A pass may be cut short anywhere: the next one finds what it left.
                () = self.each(interval) => {}
            }
        }
    }

    /// Makes them without an end; none without an interval.
    async fn each(&self, interval: Option<Duration>) {
        let Some(interval) = interval else {
            return std::future::pending().await;
        };
        let mut ticks = interval_at(Instant::now() + interval, interval);
        // After a suspend one pass does for all that were missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.pass().await;
        }
    }
}
