//! Why a test failed, told once more behind the logs it left: they are long, and of a report of
//! many failures often only the end is kept.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From here on the message of a thread's last panic is known to that thread.
pub(crate) fn remember() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // One that panics while its thread ends has nobody left to ask for it.
            let _ = LAST.try_with(|last| last.replace(Some(info.to_string())));
            print(info);
        }));
    });
}

/// The message of this thread's last panic, with its place.
pub(crate) fn last() -> Option<String> {
    LAST.try_with(|last| last.borrow().clone()).ok().flatten()
}
