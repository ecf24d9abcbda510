//! Why a call did not give what was asked for.

use super::GatewayUrl;
use crate::text::clean;
use protocol::Problem;
use std::error::Error;

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nothing was asked: no connection.
    #[error("{0}")]
    Unreachable(Unreachable),
    /// Asked, and no whole answer came: it may have been done.
    #[error("the gateway at {url} did not answer: {why}")]
    NoAnswer { url: GatewayUrl, why: String },
    /// The gateway said no.
    #[error("{0}")]
    Refused(Refused),
    /// The answer is none of the contract's.
    #[error("{url} does not answer like a Sluice gateway ({why}): check --url")]
    Strange { url: GatewayUrl, why: String },
}

/// No connection to a gateway.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach a gateway at {url} ({why}): {}", self.way_out())]
pub(crate) struct Unreachable {
    pub(crate) url: GatewayUrl,
    pub(crate) why: String,
}

impl Unreachable {
    fn way_out(&self) -> String {
        let Self { url, why } = self;
        if speaks_tls(why) {
            format!("it speaks no plain HTTP; if it speaks https, give --url {}", url.over_tls())
        } else if why.contains("InvalidContentType") {
            // What rustls says of an answer that is none of TLS.
            format!("it speaks no https; if it speaks http, give --url {}", url.in_plain())
        } else if why.contains("invalid peer certificate") {
            // What rustls says of a certificate that does not count.
            "name who signed its certificate with --ca or SLUICE_CA, and the gateway as the certificate does".into()
        } else {
            "start one with 'sluice-gateway', or name another with --url or SLUICE_URL".into()
        }
    }
}

/// A refusal in the gateway's own words.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", clean(.detail), clean(.code))]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, detail: problem.detail }
    }
}

/// No answer to a command is no refusal.
pub(super) fn unconfirmed(error: CallError) -> CallError {
    match error {
        CallError::NoAnswer { url, why } => {
            let why = format!("{why}; it may have been accepted all the same");
            CallError::NoAnswer { url, why }
        }
        CallError::Unreachable(_) | CallError::Refused(_) | CallError::Strange { .. } => error,
    }
}

/// Whether `why` is what httparse says of an alert of TLS. Whoever sends one has not seen what was asked.
pub(crate) fn speaks_tls(why: &str) -> bool {
    why.contains("invalid HTTP version")
}

/// The innermost cause: it says what happened, the layers around it only where.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
