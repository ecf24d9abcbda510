//! The links' ends in the engine: a bounded queue each, and who takes part in which shared subscription.

use super::{
    counters::Counters,
    message::{Arrival, Attendance, Interest, Keeping, Share},
    round::Queued,
    routes::LinkId,
};
use protocol::TopicFilter;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// The way into a link's queue.
#[derive(Debug)]
pub(super) struct Outlet {
    queue: Sender<Arrival>,
    state: Arc<State>,
    keeping: Keeping,
    /// The newest message that was offered; a link gets each only once.
    newest_ticket: Option<u64>,
    interests: HashSet<Interest>,
}

/// The way out of it.
#[derive(Debug)]
pub(super) struct Inlet {
    queue: Receiver<Arrival>,
    state: Arc<State>,
}

/// What both ends know.
#[derive(Debug, Default)]
struct State {
    queued_bytes: AtomicUsize,
    away: AtomicBool,
}

/// A queue for `messages_max` messages.
pub(super) fn queue(messages_max: usize, keeping: Keeping) -> (Outlet, Inlet) {
    let (sender, receiver) = channel(messages_max);
    let state = Arc::<State>::default();
    let outlet = Outlet {
        queue: sender,
        state: Arc::clone(&state),
        keeping,
        newest_ticket: None,
        interests: HashSet::new(),
    };
    (outlet, Inlet { queue: receiver, state })
}

impl Inlet {
    /// The next message; none when the exchange has stopped. Who polled last is woken.
    pub(super) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Arrival>> {
        let arrival = ready!(self.queue.poll_recv(context));
        Poll::Ready(arrival.inspect(|arrival| self.note_taken(arrival)))
    }

    /// A message that has come.
    pub(super) fn try_recv(&mut self) -> Option<Arrival> {
        self.queue.try_recv().ok().inspect(|arrival| self.note_taken(arrival))
    }

    fn note_taken(&self, arrival: &Arrival) {
        self.state.queued_bytes.fetch_sub(arrival.message.weight_bytes(), Relaxed);
    }

    /// Notes whether the client is connected.
    pub(super) fn attend(&self, attendance: Attendance) {
        self.state.away.store(attendance == Attendance::Away, Relaxed);
    }
}

impl Outlet {
    fn offer(&mut self, queued: &Queued, share: Option<Arc<Share>>, bounds: &Bounds) {
        let bytes = queued.message.weight_bytes();
        let refused = if self.has_room(bytes, bounds) {
            let gathering = queued.gathering.clone().filter(|_| self.keeping == Keeping::OnDisk);
            let message = Arc::clone(&queued.message);
            self.state.queued_bytes.fetch_add(bytes, Relaxed);
            match self.queue.try_send(Arrival { message, share, gathering }) {
                Ok(()) => return bounds.counters.delivered.increment(),
                Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(_)) => {
                    self.state.queued_bytes.fetch_sub(bytes, Relaxed);
                    1
                }
            }
        } else {
            1
        };
        bounds.counters.dropped.add(refused);
    }

    fn has_room(&self, bytes: usize, bounds: &Bounds) -> bool {
        let before = self.state.queued_bytes.load(Relaxed);
        self.queue.capacity() > 0 && (before == 0 || before + bytes <= bounds.bytes_max)
    }

    fn is_away(&self) -> bool {
        self.state.away.load(Relaxed)
    }
}

struct Bounds {
    bytes_max: usize,
    counters: Arc<Counters>,
}

/// The members of a shared subscription. To the routes it is a link like any other.
struct Group {
    share: Arc<Share>,
    members: Vec<LinkId>,
    /// Whose turn it is.
    next: usize,
    newest_ticket: Option<u64>,
}

/// The outlets of all links.
pub(super) struct Outlets {
    by_link: HashMap<LinkId, Outlet>,
    groups: HashMap<LinkId, Group>,
    group_of: HashMap<Arc<Share>, LinkId>,
    groups_opened: u64,
    bounds: Bounds,
}

/// What the routes must be told of: who wants what.
type Place = (LinkId, TopicFilter);

impl Outlets {
    /// No links; each queue will hold `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize, counters: Arc<Counters>) -> Self {
        Self {
            by_link: HashMap::new(),
            groups: HashMap::new(),
            group_of: HashMap::new(),
            groups_opened: 0,
            bounds: Bounds { bytes_max, counters },
        }
    }

    /// A link came.
    pub(super) fn open(&mut self, link: LinkId, outlet: Outlet) {
        self.by_link.insert(link, outlet);
    }

    /// A link went; returns whom the routes need not know any more.
    pub(super) fn close(&mut self, link: LinkId) -> Vec<Place> {
        let interests = self.by_link.remove(&link).map(|outlet| outlet.interests);
        let all = interests.into_iter().flatten();
        all.filter_map(|interest| self.withdraw(link, &interest)).collect()
    }

    /// Notes a subscription; none if the routes know it already.
    pub(super) fn subscribe(&mut self, link: LinkId, interest: Interest) -> Option<Place> {
        if !self.by_link.get_mut(&link)?.interests.insert(interest.clone()) {
            return None;
        }
        match interest {
            Interest::Own(filter) => Some((link, filter)),
            Interest::Shared(share) => self.join(link, share),
        }
    }

    /// Removes a subscription; none if somebody still needs it, or it isn't there.
    pub(super) fn unsubscribe(&mut self, link: LinkId, interest: &Interest) -> Option<Place> {
        if !self.by_link.get_mut(&link)?.interests.remove(interest) {
            return None;
        }
        self.withdraw(link, interest)
    }

    /// Gives a link, or one of a group, a message unless it has had it already: tickets must ascend. A full
    /// queue drops it.
    pub(super) fn offer(&mut self, link: LinkId, ticket: u64, queued: &Queued) {
        if let Some(outlet) = self.by_link.get_mut(&link) {
            if outlet.newest_ticket.replace(ticket) != Some(ticket) {
                outlet.offer(queued, None, &self.bounds);
            }
        } else if let Some(group) = self.groups.get_mut(&link)
            && group.newest_ticket.replace(ticket) != Some(ticket)
        {
            group.offer(&mut self.by_link, queued, &self.bounds);
        }
    }

    /// Gives a message to whoever is still in a share. Where nobody is, nobody subscribes, and nothing is lost.
    pub(super) fn pass_on(&mut self, share: &Arc<Share>, queued: &Queued) {
        if let Some(group) = self.group_of.get(share).and_then(|id| self.groups.get_mut(id)) {
            group.offer(&mut self.by_link, queued, &self.bounds);
        }
    }

    fn join(&mut self, link: LinkId, share: Arc<Share>) -> Option<Place> {
        if let Some(group) = self.group_of.get(&share).and_then(|id| self.groups.get_mut(id)) {
            group.members.push(link);
            return None;
        }
        self.groups_opened += 1;
        // Links are numbered from the other end.
        let id = LinkId(u64::MAX - self.groups_opened);
        let filter = share.filter.clone();
        self.group_of.insert(Arc::clone(&share), id);
        self.groups.insert(id, Group { share, members: vec![link], next: 0, newest_ticket: None });
        Some((id, filter))
    }

    fn withdraw(&mut self, link: LinkId, interest: &Interest) -> Option<Place> {
        let share = match interest {
            Interest::Own(filter) => return Some((link, filter.clone())),
            Interest::Shared(share) => share,
        };
        let id = *self.group_of.get(share)?;
        let group = self.groups.get_mut(&id)?;
        group.members.retain(|member| *member != link);
        if !group.members.is_empty() {
            return None;
        }
        self.groups.remove(&id);
        self.group_of.remove(share);
        Some((id, share.filter.clone()))
    }
}

impl Group {
    fn offer(&mut self, outlets: &mut HashMap<LinkId, Outlet>, queued: &Queued, bounds: &Bounds) {
        let chosen = self.choose(outlets, queued.message.weight_bytes(), bounds);
        if let Some(outlet) = outlets.get_mut(&chosen) {
            outlet.offer(queued, Some(Arc::clone(&self.share)), bounds);
        }
    }

    /// Whose turn it is: of those who are here the next with room, else of those who are away, else the next.
    fn choose(
        &mut self,
        outlets: &HashMap<LinkId, Outlet>,
        bytes: usize,
        bounds: &Bounds,
    ) -> LinkId {
        let count = self.members.len();
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        let takes = |at: &usize| {
            outlets.get(&self.members[*at]).filter(|outlet| outlet.has_room(bytes, bounds))
        };
        let here = in_turn.clone().find(|at| takes(at).is_some_and(|outlet| !outlet.is_away()));
        let chosen = here
            .or_else(|| in_turn.clone().find(|at| takes(at).is_some()))
            .unwrap_or(self.next % count);
        self.next = (chosen + 1) % count;
        self.members[chosen]
    }
}
