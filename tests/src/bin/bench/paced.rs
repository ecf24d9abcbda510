//! A load at a given pace: devices, a server, subscribers, and what the server spends on it.

use crate::{
    listen::Got,
    load::{Load, Sent},
    part::{Part, Plan, until},
    socket::Language,
    target::{Cpu, Kind, Target},
};
use anyhow::Context as _;

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) load: Load,
    /// Each of everything.
    pub(crate) subscribers: u32,
    pub(crate) language: Language,
    /// The first level of the devices' topics.
    pub(crate) root: &'static str,
    pub(crate) seconds: u32,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Measured {
    /// CPU time of the window.
    pub(crate) cpu: Cpu,
    pub(crate) sent: Sent,
    pub(crate) got: Got,
}

impl Measured {
    /// How much of what should have come came, in percent.
    pub(crate) fn delivered_percent(&self, case: &Case) -> f64 {
        let expected = self.sent.messages * u64::from(case.subscribers);
        #[expect(clippy::cast_precision_loss, reason = "a report has few digits")]
        let share = self.got.deliveries as f64 / expected.max(1) as f64;
        100.0 * share
    }
}

/// A generator that is later than this was disturbed.
const LATE_US_MAX: u64 = 200_000;

/// How often a disturbed measurement is tried.
const ATTEMPTS_MAX: u32 = 3;

/// Measures; again, a few times at most, where the machine had so much else to do that the generator
/// itself was held back.
pub(crate) async fn measure(kind: Kind, case: &Case) -> anyhow::Result<Measured> {
    let mut attempt = 1;
    loop {
        let measured = once(kind, case).await.with_context(|| kind.name())?;
        if measured.sent.late_us_max <= LATE_US_MAX || attempt == ATTEMPTS_MAX {
            return Ok(measured);
        }
        attempt += 1;
    }
}

async fn once(kind: Kind, case: &Case) -> anyhow::Result<Measured> {
    let target = kind.start().await?;
    let mut listeners = listeners(&target, case)?;
    listeners.ready().await?;
    let mut devices = devices(&target, case)?;
    devices.ready().await?;
    let cpu = window(&target, &mut [&mut listeners, &mut devices], case.seconds).await?;
    Ok(Measured { cpu, sent: devices.result().await?, got: listeners.result().await? })
}

/// Lets parts that are ready act; gives what the server used of the processors in the window.
pub(crate) async fn window(
    target: &Target,
    parts: &mut [&mut Part],
    seconds: u32,
) -> anyhow::Result<Cpu> {
    let plan = Plan::of(seconds);
    for part in parts {
        part.go(&plan).await?;
    }
    until(plan.begin_us).await;
    let before = target.cpu()?;
    until(plan.end_us).await;
    Ok(target.cpu()?.since(before))
}

fn listeners(target: &Target, case: &Case) -> anyhow::Result<Part> {
    let arguments = [
        ("--address", target.address(case.language).to_string()),
        ("--language", case.language.argument()),
        ("--count", case.subscribers.to_string()),
        ("--root", case.root.into()),
    ];
    Part::start("listen", &flat(arguments))
}

fn devices(target: &Target, case: &Case) -> anyhow::Result<Part> {
    let arguments = [("--address", target.mqtt().to_string()), ("--root", case.root.into())];
    Part::start("load", &[flat(arguments), case.load.arguments()].concat())
}

/// Pairs of a name and a value as arguments.
pub(crate) fn flat<const N: usize>(pairs: [(&str, String); N]) -> Vec<String> {
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}
