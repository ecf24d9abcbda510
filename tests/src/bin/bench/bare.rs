//! What the system takes for a message that is passed on at once: a lower bound of what that can cost any server.

use crate::{
    fanout::Effort,
    report::{self, number},
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// How many are written to, how much and how often: as the fan-out does.
const READERS: usize = 10;
const BYTES: usize = 190;
const EVERY: Duration = Duration::from_micros(200);

/// Measures; what it is and the result.
pub(crate) fn section(effort: &Effort) -> anyhow::Result<String> {
    let Effort { rounds, seconds, .. } = *effort;
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(write_us(Duration::from_secs(seconds.into()))?);
    }
    Ok(format!(
        "One thread does nothing but write {BYTES} bytes, about the frame of one message, to each of {READERS} TCP \
         connections, {} times a second. A delivery costs any server that passes each message on by itself at \
         least that, whatever its program does; one that gathers messages writes less often. Median of {rounds} \
         rounds of {seconds} s.\n\n| | |\n|---|---:|\n| CPU time a write, µs | {:.2} |\n",
        1_000_000 / EVERY.as_micros(),
        report::middle(all)
    ))
}

/// What the thread's writes took of a processor, each.
fn write_us(for_so_long: Duration) -> anyhow::Result<f64> {
    let mut sockets = (0..READERS).map(|_| connected()).collect::<io::Result<Vec<_>>>()?;
    let (began, mut spent, mut writes) = (Instant::now(), Duration::ZERO, 0);
    let mut due = began;
    while began.elapsed() < for_so_long {
        due += EVERY;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let before = of_this_thread();
        for socket in &mut sockets {
            socket.write_all(&[0; BYTES])?;
            writes += 1;
        }
        spent += of_this_thread() - before;
    }
    Ok(spent.as_secs_f64() * 1_000_000.0 / number(writes))
}

/// A connection of which all is read, by a thread of its own.
fn connected() -> io::Result<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut reader = TcpStream::connect(listener.local_addr()?)?;
    thread::spawn(move || {
        let mut bytes = [0; 64 * 1024];
        while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    let (socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The time that this thread has used of a processor.
fn of_this_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("no thread uses less than nothing")
}
