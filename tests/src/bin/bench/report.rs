//! The report: tables of medians, where they were measured, as a section of a Markdown file.

use crate::target::Kind;
use anyhow::Context as _;
use std::{fmt::Write as _, fs, path::Path, process::Command};

/// What one measurement gave: names with their units, and values.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// Measures each server in turn, the order changing from round to round; gives the table of medians.
pub(crate) async fn in_turns(
    rounds: u32,
    kinds: &[Kind],
    measure: impl AsyncFn(Kind) -> anyhow::Result<Figures>,
) -> anyhow::Result<String> {
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut order = kinds.to_vec();
        if round % 2 == 1 {
            order.reverse();
        }
        for kind in order {
            let figures = measure(kind).await.with_context(|| kind.name())?;
            progress(round, kind, &figures);
            all.push((kind, figures));
        }
    }
    Ok(table(kinds, &all))
}

#[expect(clippy::print_stderr, reason = "standard output is the report")]
fn progress(round: u32, kind: Kind, figures: &Figures) {
    eprintln!("round {}, {}: {figures:.2?}", round + 1, kind.name());
}

fn table(kinds: &[Kind], all: &[(Kind, Figures)]) -> String {
    let [ours, others @ ..] = kinds else { return String::new() };
    let names = kinds.iter().map(|kind| kind.name().to_owned());
    let ratios = others.iter().map(|kind| format!("{} : {}", kind.name(), ours.name()));
    let head: Vec<_> = names.chain(ratios).collect();
    let mut text = format!("| | {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len()));
    let rows = all.iter().find(|(kind, _)| kind == ours).map(|(_, figures)| figures);
    for (name, _) in rows.into_iter().flatten() {
        let values: Vec<_> = kinds.iter().map(|kind| median(all, *kind, name)).collect();
        let ratios = values.iter().skip(1).map(|theirs| theirs / values[0]);
        let cells = values.iter().copied().chain(ratios).map(cell);
        text.extend([format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "))]);
    }
    text
}

fn cell(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        1_000.0.. => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

fn median(all: &[(Kind, Figures)], kind: Kind, name: &str) -> f64 {
    let figures = all.iter().filter(|(measured, _)| *measured == kind).flat_map(|(_, all)| all);
    middle(figures.filter(|it| it.0 == name).map(|it| it.1).collect())
}

/// The median.
pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "a report has few digits")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

/// Microseconds of CPU time that a number of ticks are.
pub(crate) fn ticks_us(ticks: u64) -> anyhow::Result<f64> {
    Ok(number(ticks) * 1_000_000.0 / output("getconf", &["CLK_TCK"])?.parse::<f64>()?)
}

/// Prints a section, and puts it into a file where that is wanted, in the place of the one with the same
/// title.
#[expect(clippy::print_stdout, reason = "this is what was asked for")]
pub(crate) fn publish(
    title: &str,
    body: &str,
    kinds: &[Kind],
    save: Option<&Path>,
) -> anyhow::Result<()> {
    let section = format!("## {title}\n\n{body}\n{}\n", machine(kinds)?);
    print!("{section}");
    let Some(path) = save else { return Ok(()) };
    let old = fs::read_to_string(path).unwrap_or_else(|_| "# Benchmarks\n".into());
    fs::write(path, replaced(&old, title, &section))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// `text` with `section` in the place of the one with this title, or at its end.
fn replaced(text: &str, title: &str, section: &str) -> String {
    let mut sections: Vec<_> = text.split("\n## ").map(str::to_owned).collect();
    let new = section.strip_prefix("## ").unwrap_or(section).to_owned();
    let heading = format!("{title}\n");
    match sections.iter_mut().skip(1).find(|section| section.starts_with(&heading)) {
        Some(old) => *old = new,
        None => sections.push(new),
    }
    sections.iter().map(|section| section.trim_end()).collect::<Vec<_>>().join("\n\n## ") + "\n"
}

/// What was measured where.
fn machine(kinds: &[Kind]) -> anyhow::Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed CPU", |(_, model)| model);
    let load = fs::read_to_string("/proc/loadavg")?;
    let others = load.split(' ').next().unwrap_or_default();
    let mut text = String::new();
    for kind in kinds {
        write!(text, "{}, ", kind.version()?)?;
    }
    write!(
        text,
        "commit {}; {model}, {} cores, Linux {}; load average at the end {others}.",
        output("git", &["rev-parse", "--short", "HEAD"])?,
        output("nproc", &[])?,
        output("uname", &["-r"])?,
    )?;
    Ok(text)
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program} does not run"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
