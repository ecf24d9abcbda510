//! What carries a protocol: TCP, or TLS over it.

use std::fmt::Debug;
use tokio::io::{AsyncRead, AsyncWrite};

/// What carries a protocol.
pub trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Stream for S {}
