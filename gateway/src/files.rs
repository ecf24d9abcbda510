//! How many files, and so how many connections, the process may have open.

use crate::config::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside connections: the store, the log, listeners, what a restart leaves for a while.
const BESIDE: u64 = 256;

/// Raises the soft limit to the hard one, and says where that is too little for the connections of `limits`.
pub(crate) fn raise(limits: &Limits) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current
        }
    };
    let Some(allowed) = allowed else { return };
    tracing::info!(allowed, "open files");
    let wanted = wanted(limits);
    if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "limits.mqtt_connections, http_connections and websocket_connections want more open files than \
             the system allows: lower them, or raise that (ulimit -Hn, LimitNOFILE= of systemd)"
        );
    }
}

/// How many files are open when all connections are there that `limits` allows.
fn wanted(limits: &Limits) -> u64 {
    let connections =
        [limits.mqtt_connections, limits.http_connections, limits.websocket_connections];
    connections.into_iter().map(u64::from).sum::<u64>() + BESIDE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_wants_a_file() {
        let limits = Limits {
            mqtt_connections: 1,
            http_connections: 2,
            websocket_connections: 3,
            ..Limits::default()
        };
        assert_eq!(wanted(&limits), 6 + BESIDE);
    }
}
