//! The MQTT edge from outside: a real listener on a port of its own, raw packets, a core that only
//! notes what it is told. Every wait has a deadline; none is a sleep.

mod connecting;
mod devices;
mod hostile;
mod packets;
mod publishing;
mod real_clients;
mod subscribing;
mod support;
