//! Watching for a moment before sleeping.
//!
//! A thread whose processor sleeps takes 15 to 25 µs to come back, and holds up who wakes it for 9 (a virtual
//! machine; the kernel's tracer). A lone command makes three commits, each handed by a worker to the store's
//! writer and back: half of its time was that. So a thread that has reason to think that it is wanted at once watches
//! before it sleeps. Two do: an idle worker while a commit of commands is under way (`rhythm`), and the writer
//! where the last such commit was soon followed by the next (`store`).

use std::{
    hint,
    num::NonZero,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

/// How long it is worth it: what a lone command takes from one commit to the next where nobody watches, and its device
/// is near.
pub(crate) const WATCH: Duration = Duration::from_micros(200);

/// Where there is one processor only, nobody else can do anything meanwhile.
static ALONE: LazyLock<bool> = LazyLock::new(|| {
    thread::available_parallelism().is_ok_and(|processors| processors == NonZero::<usize>::MIN)
});

/// Watches until `come`, at most [`WATCH`]. Whether it did.
pub(crate) fn watch(mut come: impl FnMut() -> bool) -> bool {
    if *ALONE {
        return come();
    }
    let until = Instant::now() + WATCH;
    while !come() {
        if Instant::now() >= until {
            return false;
        }
        (0..LOOKS_APART).for_each(|_| hint::spin_loop());
    }
    true
}

/// Some 300 ns.
const LOOKS_APART: u32 = 20;
