//! Whether anybody asks for what a stream has to give. Being woken tells that there is something,
//! being polled that what was given before has gone; a stream that was woken and is not polled has a
//! client that takes nothing. A batch that was begun behind a full window shows in no other way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::Stream;
use futures_util::task::AtomicWaker;

/// How often a stream was polled, and whether it was woken since.
#[derive(Debug, Default)]
pub(super) struct Asked {
    outer: AtomicWaker,
    times: AtomicU64,
    is_woken: AtomicBool,
    /// Tells that it was woken.
    woken: tokio::sync::Notify,
}

impl Asked {
    /// How often it was asked, if it was woken since the last time.
    pub(super) fn is_due(&self) -> Option<u64> {
        let times = self.times();
        self.is_woken.load(Ordering::Acquire).then_some(times)
    }

    /// How often it was asked.
    pub(super) fn times(&self) -> u64 {
        self.times.load(Ordering::Acquire)
    }

    /// Waits until it is woken, or somebody says that it has something. One waiter.
    pub(super) async fn changed(&self) {
        self.woken.notified().await;
    }

    /// It has something to give.
    pub(super) fn has_something(&self) {
        self.woken.notify_one();
    }
}

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.woken.notify_one();
        self.outer.wake();
    }
}

/// A stream that notes when it is asked.
pub(super) struct Noting<S> {
    stream: Pin<Box<S>>,
    asked: Arc<Asked>,
    waker: Waker,
}

impl<S> Noting<S> {
    pub(super) fn new(stream: S, asked: Arc<Asked>) -> Self {
        Noting {
            stream: Box::pin(stream),
            waker: Waker::from(Arc::clone(&asked)),
            asked,
        }
    }
}

impl<S: Stream> Stream for Noting<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.get_mut();
        this.asked.outer.register(cx.waker());
        this.asked.times.fetch_add(1, Ordering::AcqRel);
        // Before it is polled: what wakes it from here on is news.
        this.asked.is_woken.store(false, Ordering::Release);
        let mut cx = Context::from_waker(&this.waker);
        this.stream.as_mut().poll_next(&mut cx)
    }
}
