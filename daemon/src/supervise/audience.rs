//! Whether anybody looks on how those that run are doing: what only they see is asked for more often
//! then.

use tokio::sync::watch;

/// How many look on.
#[derive(Debug, Default)]
pub(super) struct Audience {
    count: watch::Sender<usize>,
}

/// Somebody who looks on, until it is dropped.
#[derive(Debug)]
pub struct Onlooker {
    count: watch::Sender<usize>,
}

impl Audience {
    pub(super) fn join(&self) -> Onlooker {
        let count = self.count.clone();
        // That more come is no news.
        count.send_if_modified(|count| {
            *count += 1;
            *count == 1
        });
        Onlooker { count }
    }

    /// Changes when the first one comes; holds how many there are.
    pub(super) fn watched(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.count.send_if_modified(|count| {
            *count -= 1;
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_to_come_is_news() {
        let audience = Audience::default();
        let mut watched = audience.watched();
        let is_news = |watched: &mut watch::Receiver<usize>| {
            let is_news = watched.has_changed().unwrap();
            watched.mark_unchanged();
            is_news
        };
        let first = audience.join();
        assert!(is_news(&mut watched) && *watched.borrow() == 1);
        let second = audience.join();
        drop(first);
        assert!(!is_news(&mut watched) && *watched.borrow() == 1);
        drop(second);
        assert!(!is_news(&mut watched) && *watched.borrow() == 0);
        let _third = audience.join();
        assert!(is_news(&mut watched));
    }
}
