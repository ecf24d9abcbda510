//! How a connection is sent the past: piece by piece, whenever its outlet has room.

use super::{super::Web, closing::End, connection::FRAME_BYTES};
use crate::{
    core::{Outlet, Stopped},
    store::{LogPage, ReadError, StoreHandle},
};
use bridge::hub::{Found, Next, SubscriberId};
use protocol::{CloseCode, Offset, TopicFilter};
use std::{fmt, pin::Pin, sync::Arc};

/// While less than this waits to be written, the next piece of the past is fetched.
const ROOM_BYTES: usize = FRAME_BYTES;

/// How a piece ended: whether there is more.
pub(in crate::web) type Piece = Result<Next, Stopped>;

/// What a connection knows of the past that it waits for.
#[derive(Default)]
pub(in crate::web) struct Past {
    state: State,
    /// Something was asked for since the piece under way was begun.
    more: bool,
}

#[derive(Default)]
enum State {
    /// Nothing is waited for.
    #[default]
    Live,
    /// The next piece waits for room.
    Waiting,
    /// A piece is under way.
    Working(Pin<Box<dyn Future<Output = Piece> + Send>>),
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Past")
    }
}

impl Past {
    /// Something of the past is about to be asked for.
    pub(in crate::web) fn expect(&mut self) {
        self.more = true;
        if let State::Live = self.state {
            self.state = State::Waiting;
        }
    }

    /// Begins the next piece, if one is waited for and there is room.
    pub(in crate::web) fn go_on(&mut self, web: &Arc<Web>, id: SubscriberId, outlet: &Outlet) {
        if let State::Waiting = self.state
            && outlet.lock().bytes() < ROOM_BYTES
        {
            self.more = false;
            self.state = State::Working(Box::pin(fetch(Arc::clone(web), id)));
        }
    }

    /// Waits for the piece that is under way; for ever if there is none.
    ///
    /// # Cancel safety
    /// Safe: the piece goes on with the next call.
    pub(in crate::web) async fn piece(&mut self) -> Piece {
        match &mut self.state {
            State::Working(piece) => piece.await,
            State::Live | State::Waiting => std::future::pending().await,
        }
    }

    /// Takes note of how a piece ended.
    pub(in crate::web) fn take(&mut self, piece: Piece) -> Result<(), End> {
        let next = piece.map_err(|_stopped| End::Close(CloseCode::ShuttingDown))?;
        let done = next == Next::Live && !self.more;
        self.state = if done { State::Live } else { State::Waiting };
        Ok(())
    }
}

/// Sends one piece, fetching from the store what memory no longer has.
async fn fetch(web: Arc<Web>, id: SubscriberId) -> Piece {
    let next = web.core.ask(move |bridge, _| bridge.hub.catch_up(id)).await?;
    let found = match next {
        Next::Live | Next::Step => return Ok(next),
        Next::Log { after, filters } => log(&web.store, after, filters).await,
        Next::Range { channel, from, to } => {
            let page = web.store.range(channel, from, to, FRAME_BYTES).await;
            page.map_or_else(gone, |page| Found::Range(page.updates))
        }
    };
    web.core.ask(move |bridge, _| bridge.hub.found(id, found)).await?;
    Ok(Next::Step)
}

async fn log(store: &StoreHandle, after: Offset, filters: Vec<TopicFilter>) -> Found {
    let mut page = store.log(after, filters.clone(), FRAME_BYTES).await;
    if page.as_ref().is_ok_and(|page| page.through <= after) && store.settled().await.is_ok() {
        // Memory let go of what it had faster than the store took note of it.
        page = store.log(after, filters, FRAME_BYTES).await;
    }
    match page {
        // A store that is behind memory, because it fails, has nothing to go on with.
        Ok(page) if page.through <= after => Found::Gone,
        Ok(LogPage { updates, through, .. }) => Found::Log { updates, through },
        Err(error) => gone(error),
    }
}

/// What cannot be read is as good as gone: the reader is told, and gets the values.
fn gone(error: ReadError) -> Found {
    match error {
        ReadError::Gone => {}
        ReadError::Damaged { .. } | ReadError::Busy | ReadError::Closed | ReadError::Failed(_) => {
            tracing::warn!(%error, "the past cannot be read");
        }
    }
    Found::Gone
}
