//! Which device a connection is, and what the core is told of it.

use super::{
    connection::{Client, Connection},
    publishing::is_under,
    receives::{Receives, receives},
};
use crate::{
    core::{Downlink, Input},
    mailbox::Sender,
};
use bridge::event::EdgeEvent;
use protocol::{DeviceId, levels};
use tokio::io::{AsyncRead, AsyncWrite};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The connection turns out to be its device's own.
    pub(super) fn attach(&mut self, took_over: bool) {
        let Some(device) = self.client.device.clone() else { return };
        self.client.attached = true;
        let event = EdgeEvent::Attached {
            device: device.clone(),
            connection: self.client.connection,
            address: self.client.address,
            protocol: self.client.dialect.version.name(),
            took_over,
        };
        let mailbox = Some(self.mailbox());
        self.batch.input(Input::Edge { event, mailbox });
        self.tell_receives(&device);
    }

    /// Whether its will is on a topic of the device that its client id names.
    pub(super) fn leaves_own_will(&self) -> bool {
        let Client { will, device, .. } = &self.client;
        let named = will.as_ref().zip(device.as_ref());
        named.is_some_and(|(will, device)| is_under(&will.topic, device.as_str()))
    }

    /// Tells the core whether the connection can receive the commands of `device`, where that changed.
    pub(super) fn tell_receives(&mut self, device: &DeviceId) {
        let own = self.client.attached && self.client.device.as_ref() == Some(device);
        // Who may not answer would swallow the command.
        let may = self.client.access.as_ref().is_none_or(|access| access.may_receive(device));
        let found = receives(self.session.subscriptions.filters(), device, own);
        let now = found.filter(|_| may);
        let before = self.receives.get(device);
        if now == before {
            return;
        }
        let (device, connection) = (device.clone(), self.client.connection);
        match now {
            Some(found) => {
                self.receives.insert(device.clone(), found);
                let Receives { own, cancels } = found;
                let event = EdgeEvent::Receives { device, connection, own, cancels };
                let mailbox = Some(self.mailbox());
                self.batch.input(Input::Edge { event, mailbox });
            }
            None => {
                self.receives.remove(&device);
                let event = EdgeEvent::ReceivesNot { device, connection };
                self.batch.input(Input::Edge { event, mailbox: None });
            }
        }
    }

    /// Tells the core what changed by granting or withdrawing `filters`.
    pub(super) fn tell_receives_by<'a>(&mut self, filters: impl Iterator<Item = &'a str>) {
        let named = filters.filter_map(|filter| levels(filter).nth(1)?.parse().ok());
        let own = self.client.device.clone().filter(|_| self.client.attached);
        let mut devices: Vec<DeviceId> = named.chain(own).collect();
        devices.sort_unstable();
        devices.dedup();
        for device in devices {
            self.tell_receives(&device);
        }
        self.tell_listens();
    }

    /// Tells the core to what of mapped devices' command topics the connection listens, where that changed.
    fn tell_listens(&mut self) {
        if self.shared.topics.mappings.is_empty() {
            return;
        }
        let all = self.session.subscriptions.filters();
        let filters: Vec<_> =
            all.filter(|filter| self.shared.topics.mappings.may_receive(filter)).cloned().collect();
        if *filters == *self.listens {
            return;
        }
        self.listens = filters.clone().into_boxed_slice();
        let (connection, client) = (self.client.connection, self.client.id.to_string());
        let mailbox = Some(self.mailbox());
        let event = EdgeEvent::Listens { connection, client, filters };
        self.batch.input(Input::Edge { event, mailbox });
    }

    pub(super) fn mailbox(&mut self) -> Sender<Downlink> {
        self.mailbox.get_or_insert_default().sender()
    }
}
