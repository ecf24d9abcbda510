//! How many files, and so how many connections, the process may have open.

use crate::config::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside connections: the store, the log, listeners, what a restart leaves for a while.
const BESIDE: u64 = 256;

/// What each kind of connection gets at least: without it nobody could see what is wrong.
const SHARE_MIN: u32 = 64;

/// Raises the soft limit to the hard one, and lets `limits` have no more connections than that allows: of the kinds
/// that nobody has set, there are fewer then. Where those that somebody has set are too many, it is said.
pub(crate) fn fit(limits: &mut Limits) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current
        }
    };
    let Some(allowed) = allowed else { return };
    share(limits, allowed);
    let Limits { mqtt_connections, http_connections, websocket_connections, .. } = *limits;
    tracing::info!(
        allowed,
        mqtt_connections,
        http_connections,
        websocket_connections,
        "open files, and who gets them"
    );
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

/// Gives those of `limits` that are as nobody has set them what the others leave; twice as much to devices, and
/// to none more than it has without want.
fn share(limits: &mut Limits, allowed: u64) {
    if wanted(limits) <= allowed {
        return;
    }
    let usual = Limits::default();
    let mut kinds = [
        (&mut limits.mqtt_connections, usual.mqtt_connections, 2),
        (&mut limits.http_connections, usual.http_connections, 1),
        (&mut limits.websocket_connections, usual.websocket_connections, 1),
    ];
    let (mut set, mut parts) = (0, 0);
    for (connections, usual, part) in &kinds {
        if *connections == usual { parts += part } else { set += u64::from(**connections) }
    }
    let room = allowed.saturating_sub(BESIDE + set);
    for (connections, usual, part) in &mut kinds {
        if *connections == usual {
            let share = u32::try_from(room * *part / parts).unwrap_or(u32::MAX);
            **connections = share.clamp(SHARE_MIN, *usual);
        }
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

    fn shared(mqtt: Option<u32>, allowed: u64) -> (u32, u32, u32) {
        let usual = Limits::default();
        let mqtt_connections = mqtt.unwrap_or(usual.mqtt_connections);
        let mut limits = Limits { mqtt_connections, ..usual };
        share(&mut limits, allowed);
        (limits.mqtt_connections, limits.http_connections, limits.websocket_connections)
    }

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

    #[test]
    fn where_files_are_few_connections_that_nobody_set_are_fewer() {
        assert_eq!(shared(None, 1_048_576), (10_000, 10_000, 10_000));
        assert_eq!(shared(None, 20_000), (9_872, 4_936, 4_936));
        assert_eq!(shared(None, 1_024), (384, 192, 192));
        assert_eq!(shared(None, 64), (SHARE_MIN, SHARE_MIN, SHARE_MIN));
    }

    #[test]
    fn what_somebody_set_stays_and_the_others_share_the_rest() {
        assert_eq!(shared(Some(15_000), 20_000), (15_000, 2_372, 2_372));
        assert_eq!(shared(Some(50_000), 20_000), (50_000, SHARE_MIN, SHARE_MIN));
        assert_eq!(shared(Some(100), 20_000), (100, 9_822, 9_822));
    }
}
