//! Counting: plain atomics that never wait, with the words that `/metrics` says of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that goes up; for `*_now` also down again.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds one; gives what that makes.
    pub fn incremented(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes one away.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a struct of [`Counter`]s that can be walked with their names and meanings.
macro_rules! counters {
    ($(#[doc = $about:literal])+ $kind:ident { $($(#[doc = $doc:literal])+ $name:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Default)]
        pub struct $kind {
            $($(#[doc = $doc])+ pub $name: $crate::count::Counter,)+
        }

        impl $kind {
            /// Each count as its name, what it means and its value; a gauge where the name ends
            /// with `_now`.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name.get()),)+]
                    .into_iter()
            }
        }
    };
}

pub(crate) use counters;
