//! How it is drawn: two lines of the gateway, the chosen list (on a wide terminal beside it what needs attention),
//! and a line of keys.

use super::{
    cut::{self, Cells},
    fleet::{Fleet, Row as Device},
    keys::{Choice, Order, Pane},
    rows,
    theme::Theme,
};
use crate::{
    command::color_number,
    text::{ago, bar, clean, compact},
};
use protocol::{Alert, Command, Timestamp};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Table},
};

/// From this width on alerts and commands stand beside the devices.
const WIDE: u16 = 120;

/// What is drawn.
pub(super) struct View<'a> {
    pub(super) fleet: &'a Fleet,
    /// Where the gateway is.
    pub(super) place: &'a str,
    /// How the connection is, if it is not well.
    pub(super) trouble: Option<&'a str>,
    pub(super) now: Timestamp,
    pub(super) theme: Theme,
}

/// How many rows of a list fit.
pub(super) fn page(height: u16) -> usize {
    usize::from(height.saturating_sub(4))
}

impl View<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>, choice: &mut Choice) {
        let area = frame.area();
        let line = Constraint::Length(1);
        let [first, second, body, foot] =
            Layout::vertical([line, line, Constraint::Min(0), line]).areas(area);
        cut::line(frame, first, &self.gateway());
        cut::line(frame, second, &self.figures());
        if area.width >= WIDE {
            let [left, right] =
                Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)])
                    .spacing(2)
                    .areas(body);
            let [above, below] =
                Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)])
                    .areas(right);
            self.devices(frame, left, choice);
            self.alerts(frame, above, choice);
            self.commands(frame, below, choice);
        } else {
            match choice.pane {
                Pane::Devices => self.devices(frame, body, choice),
                Pane::Alerts => self.alerts(frame, body, choice),
                Pane::Commands => self.commands(frame, body, choice),
            }
        }
        cut::line(frame, foot, &self.keys(choice));
    }

    fn gateway(&self) -> Line<'_> {
        let mut line = vec![Span::styled("sluice top  ", self.theme.heading()), self.place.into()];
        let silent = self.fleet.silent_s().map(|silent| format!("no figures for {silent:.0} s"));
        match (self.trouble.or(silent.as_deref()), &self.fleet.stats) {
            (Some(trouble), _) => line.push(Span::styled(format!("  {trouble}"), self.theme.bad())),
            (None, None) => line.push("  connecting".into()),
            (None, Some(stats)) => line.push(
                format!(
                    "  {}, up {}  {} MiB",
                    clean(&stats.version),
                    up(stats.uptime_ms.0 / 1_000),
                    stats.memory_bytes / (1 << 20)
                )
                .into(),
            ),
        }
        if self.fleet.lagging {
            line.push(Span::styled("  we lag", self.theme.bad()));
        }
        Line::from(line)
    }

    fn figures(&self) -> Line<'_> {
        let Fleet { devices, alerts, commands, stats, left_out, .. } = self.fleet;
        let mut line = vec![
            Span::raw(format!("{} of {} devices online", self.fleet.online(), devices.len())),
            Span::raw(format!(
                "  {}  {}",
                counted(alerts.len(), "alert"),
                counted(commands.len(), "command")
            )),
        ];
        if let Some(stats) = stats {
            let (heard, delivered) = (stats.messages_in_per_s, stats.deliveries_per_s);
            line.push(
                format!("  {heard:.0} messages/s in, {delivered:.0} deliveries/s out").into(),
            );
        }
        if *left_out > 0 {
            line.push(Span::styled(format!("  {left_out} do not fit"), self.theme.bad()));
        }
        Line::from(line)
    }

    fn devices(&self, frame: &mut Frame<'_>, area: Rect, choice: &mut Choice) {
        let all = rows::devices(self.fleet, choice);
        let order = match choice.order {
            Order::Name => "by name",
            Order::Rate => "most updates first",
            Order::Slowest => "heard of longest ago first",
            Order::Offline => "offline first",
        };
        let filter = format!(" with '{}'", clean(&choice.filter));
        let filter = if choice.filter.is_empty() { "" } else { &filter };
        let title = format!("{}{filter}, {order}", counted(all.len(), "device"));
        let widths = [
            Constraint::Max(24),
            Constraint::Length(8),
            Constraint::Length(7),
            Constraint::Length(8),
            Constraint::Min(10),
        ];
        let shown = self.shown(area, choice, Pane::Devices, &all);
        let shown = shown.iter().map(|(id, row)| self.device(id, row));
        self.list(frame, area, (Pane::Devices, title), choice, widths, shown.collect());
    }

    fn device(&self, id: &str, row: &Device) -> Cells<5> {
        let online = row.is_online();
        let status = row.status.map_or("-", |status| status.name());
        let style = if online { Style::new() } else { self.theme.quiet() };
        let seen = row.seen.map_or_else(|| "never".into(), |seen| ago(self.now, seen));
        let seen = seen.trim_end_matches(" ago").to_owned();
        let rate = if row.rate == 0.0 { "-".into() } else { format!("{:.1}/s", row.rate) };
        Cells { texts: [clean(id), status.into(), rate, seen, row.values()], style }
    }

    fn alerts(&self, frame: &mut Frame<'_>, area: Rect, choice: &mut Choice) {
        let all = rows::alerts(self.fleet);
        let widths = [
            Constraint::Length(8),
            Constraint::Max(20),
            Constraint::Length(8),
            Constraint::Min(10),
        ];
        let shown = self.shown(area, choice, Pane::Alerts, &all);
        let shown = shown.iter().map(|alert| self.alert(alert)).collect();
        let title = counted(all.len(), "alert");
        self.list(frame, area, (Pane::Alerts, title), choice, widths, shown);
    }

    fn alert(&self, alert: &Alert) -> Cells<4> {
        let known = alert.acknowledged_by.as_ref().map(|by| format!(" (known to {})", clean(by)));
        let message = if alert.message.is_empty() { &alert.code } else { &alert.message };
        let what = format!("{}{}", clean(message), known.unwrap_or_default());
        let raised = ago(self.now, alert.raised_at).trim_end_matches(" ago").to_owned();
        let texts = [alert.severity.to_string(), alert.device.to_string(), raised, what];
        Cells { texts, style: self.theme.severity(alert.severity) }
    }

    fn commands(&self, frame: &mut Frame<'_>, area: Rect, choice: &mut Choice) {
        let all = rows::commands(self.fleet);
        let widths = [
            Constraint::Max(20),
            Constraint::Length(10),
            Constraint::Length(8),
            Constraint::Min(10),
        ];
        let shown = self.shown(area, choice, Pane::Commands, &all);
        let shown = shown.iter().map(|command| self.command(command)).collect();
        let title = format!("{} under way", counted(all.len(), "command"));
        self.list(frame, area, (Pane::Commands, title), choice, widths, shown);
    }

    fn command(&self, command: &Command) -> Cells<4> {
        let created = ago(self.now, command.created_at).trim_end_matches(" ago").to_owned();
        let progress = command.progress.filter(|_| !command.state.is_final());
        let progress = progress.map(|percent| format!(" {}", bar(percent / 100.0)));
        let params = command.params.as_object().filter(|params| !params.is_empty());
        let params = params.map(|_| format!(" {}", compact(&command.params))).unwrap_or_default();
        let what = format!("{}{}{params}", clean(&command.name), progress.unwrap_or_default());
        let texts = [command.device.to_string(), command.state.to_string(), created, what];
        Cells { texts, style: self.theme.numbered(color_number(command.state)) }
    }

    /// The rows that are in sight: only the chosen list is scrolled.
    fn shown<'r, T>(&self, area: Rect, choice: &mut Choice, pane: Pane, all: &'r [T]) -> &'r [T] {
        let page = usize::from(area.height.saturating_sub(1));
        let first = if choice.pane == pane { choice.first(all.len(), page) } else { 0 };
        let last = all.len().min(first.saturating_add(page));
        all.get(first..last).unwrap_or_default()
    }

    fn list<const N: usize>(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        (pane, title): (Pane, String),
        choice: &Choice,
        widths: [Constraint; N],
        rows: Vec<Cells<N>>,
    ) {
        let style = if choice.pane == pane { self.theme.heading() } else { self.theme.quiet() };
        let block = Block::new().borders(Borders::TOP).title(Span::styled(title, style));
        let (rows, widths) = cut::rows(area, widths, rows);
        frame.render_widget(Table::new(rows, widths).block(block), area);
    }

    fn keys(&self, choice: &Choice) -> Line<'static> {
        if choice.writes {
            return Line::from(format!("only devices with: {}_", clean(&choice.filter)));
        }
        let mut line = Vec::new();
        for (number, pane) in (1..).zip(Pane::ALL) {
            let name = match pane {
                Pane::Devices => "devices",
                Pane::Alerts => "alerts",
                Pane::Commands => "commands",
            };
            let style = if pane == choice.pane { self.theme.chosen() } else { self.theme.quiet() };
            line.push(Span::styled(format!("{number} {name}"), style));
            line.push("  ".into());
        }
        let rest = "n name  r rate  s slowest  o offline  / filter  q leave";
        line.push(Span::styled(rest, self.theme.quiet()));
        Line::from(line)
    }
}

/// So many of a thing.
fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// How long a gateway is up, in its two largest units.
fn up(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        86_400.. => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests;
