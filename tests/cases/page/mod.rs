//! The page in a real browser, used as a person uses it. The marks that tests hold on to are listed
//! at the top of the page's `main.js`. A console error or a violated policy fails a case.

mod back;
mod failed;
mod filter;
mod find;
mod further;
mod gone;
mod handling;
mod held;
mod holds;
mod life;
mod look;
mod many;
mod odd;
mod overview;
mod phone;
mod place;
mod queue;
mod reading;
mod removed;
mod scene;
mod send;
mod tabs;
mod told;
mod usage;
