// Times and durations as text.

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

// Made once: a formatter costs far more to make than to use, and tables have hundreds of times.
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dateTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** How long ago, in one unit: `now`, `12 s`, `5 min`, `3 h`, `2 d`. A time ahead of us counts as now. */
export function formatAgo(ms: number): string {
  if (ms < 2 * second) return "now";
  if (ms < minute) return `${Math.floor(ms / second)} s`;
  if (ms < hour) return `${Math.floor(ms / minute)} min`;
  if (ms < day) return `${Math.floor(ms / hour)} h`;
  return `${Math.floor(ms / day)} d`;
}

/** A duration in whole seconds at least, for what is still running: `4 s`, `3 min 5 s`. */
export function formatSpan(ms: number): string {
  return ms < minute ? `${Math.floor(Math.max(0, ms) / second)} s` : formatDuration(ms);
}

/** A duration in two units at most: `40 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function formatDuration(ms: number): string {
  const positive = Math.max(0, ms);
  if (positive < second) return `${Math.round(positive)} ms`;
  if (positive < minute) return `${(Math.floor(positive / 100) / 10).toFixed(1)} s`;
  if (positive < hour) return twoUnits(positive, minute, "min", second, "s");
  if (positive < day) return twoUnits(positive, hour, "h", minute, "min");
  return twoUnits(positive, day, "d", hour, "h");
}

/** The time of day, to the second, as the reader's own clock shows it. */
export function formatClock(at: number): string {
  return clock.format(at);
}

/** Date and time, to the second. */
export function formatDateTime(at: number): string {
  return dateTime.format(at);
}

/** A moment in full: local, and in UTC for who compares with logs. */
export function formatMoment(at: number): string {
  return `${formatDateTime(at)} (${new Date(at).toISOString().replace("T", " ").slice(0, 19)} UTC)`;
}

function twoUnits(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small);
  const whole = `${Math.floor(ms / large)} ${largeName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}
