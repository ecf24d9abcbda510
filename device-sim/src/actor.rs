//! The shell of one device: its connection, its clock and what it has to say.
//!
//! A task of the fleet owns an [`Actor`] and runs it to its end. All decisions about machine and
//! commands are the core's ([`Device`]); this only moves messages and survives broken connections.

use crate::{
    DeviceSummary, FleetConfig, TelemetryQos,
    backoff::Backoff,
    clock,
    counters::DeviceCounters,
    device::{Action, Device},
    flight::Flight,
    link::{Connection, Signal, Stuck},
    mail::{Dropped, Mail},
    outbox::Reading,
    summary::{CommandRecord, RECORDS_MAX},
    wire::{self, Arrival},
};
use protocol::DeviceId;
use rand::rngs::StdRng;
use rustls::ClientConfig;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

/// How long a stopping device waits for what is still to be acknowledged.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What a device is made of, and when it begins.
pub(crate) struct Setup {
    pub(crate) id: DeviceId,
    pub(crate) config: Arc<FleetConfig>,
    /// None: there is no TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) device: Device,
    pub(crate) counters: DeviceCounters,
    pub(crate) rng: StdRng,
    pub(crate) first_connect: Instant,
    pub(crate) first_reading: Instant,
}

/// What is left of a device that has ended.
pub(crate) struct Remains {
    pub(crate) id: DeviceId,
    pub(crate) summary: DeviceSummary,
    pub(crate) commands: Vec<CommandRecord>,
}

/// The connection, or the wait for one.
enum Link {
    Offline { retry_at: Instant },
    Opening(Connection),
    Online { connection: Connection, since: Instant, parting: Parting },
}

/// Whether a connection is about to be ended, and for how long.
#[derive(Clone, Copy)]
enum Parting {
    No,
    /// Once all is acknowledged.
    Soon(Duration),
    /// DISCONNECT is handed over.
    Now(Duration),
}

enum Event {
    Stop,
    Wake,
    Retry,
    Signal(Signal),
}

/// The shell of one device.
pub(crate) struct Actor {
    setup: Setup,
    link: Link,
    backoff: Backoff,
    mail: Mail,
    flight: Flight,
    commands: VecDeque<CommandRecord>,
    next_reading: Instant,
    last_wake: Instant,
    last_failure: Option<String>,
}

impl Actor {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            link: Link::Offline { retry_at: setup.first_connect },
            backoff: Backoff::default(),
            mail: Mail::default(),
            flight: Flight::default(),
            commands: VecDeque::new(),
            next_reading: setup.first_reading,
            last_wake: Instant::now(),
            last_failure: None,
            setup,
        }
    }

    /// Runs the device until `stop`, then says what became of it.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Remains {
        loop {
            match self.next_event(&stop).await {
                Event::Stop => break,
                Event::Wake => self.wake(),
                Event::Retry => self.open(),
                Event::Signal(signal) => self.handle_signal(signal),
            }
            self.settle();
        }
        if timeout(DRAIN_MAX, self.part()).await.is_err() {
            info!(device = %self.setup.id, "stopped before all was acknowledged");
            self.close(Duration::ZERO);
        }
        self.into_remains()
    }

    async fn next_event(&mut self, stop: &CancellationToken) -> Event {
        let wake_at = self.wake_at();
        // Stop comes first, and time before signals: a busy connection must not hold up either.
        tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            () = sleep_until(wake_at) => Event::Wake,
            event = next_of_link(&mut self.link) => event,
        }
    }

    fn wake_at(&self) -> Instant {
        let core_at = self.setup.device.poll_timeout().map(|at| {
            let wait = at.since(clock::now());
            Instant::now() + Duration::from_millis(wait.0)
        });
        core_at.map_or(self.next_reading, |at| at.min(self.next_reading))
    }

    fn wake(&mut self) {
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.last_wake, now);
        self.setup.device.advance(clock::now());
        if now >= self.next_reading {
            self.measure(now);
        }
        // A cut comes when the new reading is on its way, so that it has something to lose.
        self.settle();
        let online = matches!(self.link, Link::Online { .. });
        if online && self.setup.config.chaos.cuts(elapsed, &mut self.setup.rng) {
            self.fail("cut by chaos".into());
        }
    }

    fn measure(&mut self, now: Instant) {
        let period = self.setup.device.interval().unwrap_or_else(|| self.setup.config.period());
        let next = self.next_reading + period;
        // After a pause it goes on from now, instead of measuring what it missed.
        self.next_reading = if next > now { next } else { now + period };
        if self.setup.device.is_down() {
            return;
        }
        let reading = Reading::new(clock::now(), self.setup.device.metrics());
        let dropped = self.mail.push_reading(reading);
        self.setup.counters.write(|totals| totals.readings += 1);
        self.count_dropped(dropped);
    }

    fn open(&mut self) {
        let Setup { id, config, tls, .. } = &self.setup;
        self.link = Link::Opening(Connection::open(id, config, tls.clone()));
    }

    fn handle_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Connected => self.begin(),
            Signal::Written(packet) => self.handle_written(packet),
            Signal::Acknowledged(packet) => {
                let readings = self.flight.acknowledge(packet);
                self.setup.counters.write(|totals| totals.acknowledged += readings);
            }
            Signal::Refused(packet) => {
                let readings = self.flight.acknowledge(packet);
                self.setup.counters.write(|totals| totals.refused += readings);
            }
            Signal::Message { topic, payload } => self.handle_message(&topic, &payload),
            Signal::Finished => self.finish(),
            Signal::Broken(reason) => self.fail(reason),
        }
    }

    fn handle_written(&mut self, packet: u16) {
        if let Some(readings) = self.flight.write(packet) {
            self.setup.counters.write(|totals| {
                totals.published += readings;
                totals.messages += 1;
            });
        }
    }

    fn begin(&mut self) {
        let idle = Link::Offline { retry_at: Instant::now() };
        let Link::Opening(connection) = std::mem::replace(&mut self.link, idle) else { return };
        let subscribed = connection.subscribe(&self.setup.id);
        let since = Instant::now();
        self.link = Link::Online { connection, since, parting: Parting::No };
        self.setup.counters.write(|totals| {
            totals.connected = 1;
            totals.reconnects += u64::from(totals.connects > 0);
            totals.connects += 1;
        });
        info!(device = %self.setup.id, "connected");
        self.mail.push_state();
        if subscribed == Err(Stuck) {
            self.fail("the client took no SUBSCRIBE".into());
        }
    }

    fn handle_message(&mut self, topic: &str, payload: &[u8]) {
        let now = clock::now();
        let device = &mut self.setup.device;
        match Arrival::read(&self.setup.id, topic, payload) {
            Arrival::Command(delivery) => {
                self.setup.counters.write(|totals| totals.commands += 1);
                device.handle_delivery(now, *delivery);
            }
            Arrival::Cancel(id) => device.handle_cancel(now, id),
            Arrival::Desired { version, desired } => device.handle_desired(now, version, desired),
            Arrival::Echo => {}
            Arrival::Malformed => {
                debug!(device = %self.setup.id, topic, "nothing of the contract");
                self.setup.counters.write(|totals| totals.malformed += 1);
            }
        }
    }

    /// Does what the core wants done, then hands over what there is to say.
    fn settle(&mut self) {
        while let Some(action) = self.setup.device.poll_action() {
            match action {
                Action::Answer(id, answer) => {
                    let dropped = self.mail.push_answer(id, answer);
                    self.count_dropped(dropped);
                }
                Action::Report => self.mail.push_state(),
                Action::Event(event) => {
                    let dropped = self.mail.push_event(event);
                    self.count_dropped(dropped);
                }
                Action::Restart(pause) => self.part_for(Duration::from_millis(pause.0)),
                Action::Record(record) => self.write_down(record),
                Action::Repeat => self.setup.counters.write(|totals| totals.repeats += 1),
            }
        }
        if self.pump() == Err(Stuck) {
            self.fail("the client takes no more messages".into());
        }
    }

    fn write_down(&mut self, record: CommandRecord) {
        self.setup.counters.write(|totals| totals.count(record.outcome));
        if self.commands.len() == RECORDS_MAX {
            self.commands.pop_front();
        }
        self.commands.push_back(record);
    }

    fn pump(&mut self) -> Result<(), Stuck> {
        let Link::Online { connection, parting, .. } = &mut self.link else { return Ok(()) };
        let setup = &self.setup;
        let confirmed = setup.config.telemetry_qos == TelemetryQos::AtLeastOnce;
        while !matches!(parting, Parting::Now(_))
            && self.flight.has_room()
            && let Some(parcel) = self.mail.take()
        {
            let letter = wire::letter(&setup.id, &parcel, || setup.device.state(), confirmed);
            self.flight.hand(parcel);
            connection.publish(letter)?;
        }
        if let Parting::Soon(pause) = *parting
            && self.flight.is_empty()
        {
            *parting = Parting::Now(pause);
            connection.disconnect()?;
        }
        Ok(())
    }

    /// Ends the connection well, if there is one, and waits for that.
    async fn part(&mut self) {
        self.part_for(Duration::ZERO);
        self.settle();
        while let Link::Online { connection, .. } = &mut self.link {
            let signal = connection.next().await;
            self.handle_signal(signal);
            self.settle();
        }
    }

    fn part_for(&mut self, pause: Duration) {
        if let Link::Online { parting, .. } = &mut self.link {
            *parting = Parting::Soon(pause);
        }
    }

    fn finish(&mut self) {
        let pause = match self.link {
            Link::Online { parting: Parting::Now(pause) | Parting::Soon(pause), .. } => pause,
            Link::Online { parting: Parting::No, .. } | Link::Opening(_) | Link::Offline { .. } => {
                Duration::ZERO
            }
        };
        self.close(pause);
    }

    fn fail(&mut self, reason: String) {
        let uptime = match &self.link {
            Link::Online { since, .. } => since.elapsed(),
            Link::Opening(_) | Link::Offline { .. } => Duration::ZERO,
        };
        let wait = self.backoff.after(uptime, &mut self.setup.rng);
        info!(device = %self.setup.id, reason, ?wait, "no connection; coming back");
        self.last_failure = Some(reason);
        self.close(wait);
    }

    /// Drops the connection; what nobody confirmed goes back to wait for the next.
    fn close(&mut self, wait: Duration) {
        self.link = Link::Offline { retry_at: Instant::now() + wait };
        let dropped = self.mail.put_back(self.flight.lose());
        self.count_dropped(dropped);
        self.setup.counters.write(|totals| totals.connected = 0);
    }

    fn count_dropped(&self, dropped: Dropped) {
        self.setup.counters.write(|totals| {
            totals.dropped += dropped.readings;
            totals.answers_dropped += dropped.answers;
            totals.events_dropped += dropped.events;
        });
    }

    fn into_remains(mut self) -> Remains {
        for record in self.setup.device.unfinished() {
            self.write_down(record);
        }
        let summary = DeviceSummary {
            kind: self.setup.device.kind(),
            totals: self.setup.counters.read(),
            undelivered: self.mail.readings(),
            last_failure: self.last_failure,
        };
        Remains { id: self.setup.id, summary, commands: self.commands.into() }
    }
}

async fn next_of_link(link: &mut Link) -> Event {
    match link {
        Link::Offline { retry_at } => {
            sleep_until(*retry_at).await;
            Event::Retry
        }
        Link::Opening(connection) | Link::Online { connection, .. } => {
            Event::Signal(connection.next().await)
        }
    }
}
