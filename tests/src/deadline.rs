//! Deadlines: nothing that a test waits for may hang it.

use std::time::Duration;
use tokio::time::{sleep, timeout};

/// No single event that a test waits for takes longer, unless something is broken.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How often [`until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits for `event`.
///
/// # Panics
/// When it does not come in time; names it.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(DEADLINE, event).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Waits until something that announces itself in no other way is so.
///
/// # Panics
/// When it does not become so in time; names it.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let look = async {
        while !so().await {
            sleep(LOOK_EVERY).await;
        }
    };
    soon(what, look).await;
}
