//! Lines on their way to standard error: who says one never waits. A thread writes them; what it does not get rid
//! of waits here as far as there is room, and beyond that is dropped and counted.

use super::Counters;
use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The most that waits, in bytes; as much again may be at its writing.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long the end waits for lines that nobody reads.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    state: Mutex<State>,
    /// Told when there is something to write, or an end.
    come: Condvar,
    /// Told when all is written.
    written: Condvar,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Some are at their writing.
    writing: bool,
    ended: bool,
}

/// Writes lines until it is dropped, which waits until all are written, or nobody reads.
#[derive(Debug)]
#[must_use = "lines are written until it is dropped"]
pub struct Writing(Arc<Lines>);

impl Lines {
    /// Takes a line if there is room.
    pub(super) fn say(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > WAITING_BYTES_MAX {
            self.counters.lines_dropped.increment();
            return;
        }
        state.waiting.extend_from_slice(line);
        self.come.notify_one();
    }

    /// Starts to write them to `out`, in a thread of its own.
    pub(super) fn write_to(
        self: Arc<Self>,
        out: impl Write + Send + 'static,
    ) -> io::Result<Writing> {
        let lines = Arc::clone(&self);
        thread::Builder::new().name("log".into()).spawn(move || lines.write(out))?;
        Ok(Writing(self))
    }

    fn write(&self, mut out: impl Write) {
        while let Some(lines) = self.next() {
            if out.write_all(&lines).is_err() {
                let lost = lines.iter().filter(|byte| **byte == b'\n').count();
                self.counters.lines_dropped.add(lost as u64);
            }
        }
    }

    /// Waits for lines; none: there are no more. Those that it gave before are written.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        state.writing = false;
        if state.waiting.is_empty() {
            self.written.notify_all();
        }
        let come = self.come.wait_while(state, |state| state.waiting.is_empty() && !state.ended);
        let mut state = come.unwrap_or_else(PoisonError::into_inner);
        state.writing = !state.waiting.is_empty();
        state.writing.then(|| std::mem::take(&mut state.waiting))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As `tracing` writes: a line at once.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let Self(lines) = self;
        let mut state = lines.state();
        state.ended = true;
        lines.come.notify_one();
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        let _all_or_nobody_reads = lines.written.wait_timeout_while(state, END_WITHIN, unwritten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Writes once it is let.
    struct Out {
        let_write: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.let_write.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.written.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(number: usize) -> Vec<u8> {
        format!("{number:099}\n").into_bytes()
    }

    #[test]
    fn where_nobody_reads_lines_are_dropped_and_counted_and_neither_they_nor_the_end_wait() {
        let (lines, (_nobody_reads, let_write), (written, _)) =
            (Arc::new(Lines::default()), channel(), channel());
        let writing = Arc::clone(&lines).write_to(Out { let_write, written }).unwrap();
        let said = 3 * WAITING_BYTES_MAX / line(0).len();
        (0..said).for_each(|number| lines.say(&line(number)));
        let dropped = lines.counters.lines_dropped.get() as usize;
        assert!((said / 4..said).contains(&dropped), "{dropped} of {said}");
        drop(writing);
    }

    #[test]
    fn lines_are_written_in_order_and_to_the_last() {
        let (lines, (reads, let_write), (written, out)) =
            (Arc::new(Lines::default()), channel(), channel());
        let writing = Arc::clone(&lines).write_to(Out { let_write, written }).unwrap();
        for number in 0..1_000 {
            lines.say(&line(number));
            reads.send(()).unwrap();
        }
        drop(writing);
        let said: Vec<u8> = (0..1_000).flat_map(line).collect();
        assert_eq!(out.try_iter().flatten().collect::<Vec<_>>(), said);
        assert_eq!(lines.counters.lines_dropped.get(), 0);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (lines, (reads, let_write), (written, _out)) =
            (Arc::new(Lines::default()), channel::<()>(), channel());
        drop(reads);
        lines.say(b"a\nb\n");
        drop(Arc::clone(&lines).write_to(Out { let_write, written }).unwrap());
        assert_eq!(lines.counters.lines_dropped.get(), 2);
    }
}
