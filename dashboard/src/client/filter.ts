// MQTT's filters over channel names: `+` stands for one level, `#` for all that follow.

/** A filter made ready to be asked often. */
export type Matcher = (channel: string) => boolean;

/** Prepares a filter; `a/#` matches `a` too, as in MQTT. */
export function matcher(filter: string): Matcher {
  if (!filter.includes("+") && !filter.includes("#")) return (channel) => channel === filter;
  const wanted = filter.split("/");
  return (channel) => matchesLevels(wanted, channel.split("/"));
}

/** Whether options may thin this channel out; all others always come whole. */
export function isConflatable(channel: string): boolean {
  return channel.startsWith("telemetry/") || channel.startsWith("topics/") || channel === "gateway/stats";
}

/** Whether any channel could match both filters; a name is a filter too. */
export function overlaps(one: string, other: string): boolean {
  const [ones, others] = [one.split("/"), other.split("/")];
  for (let index = 0; ; index += 1) {
    const [a, b] = [ones[index], others[index]];
    if (a === "#" || b === "#") return true;
    if (a === undefined || b === undefined) return a === b;
    if (a !== b && a !== "+" && b !== "+") return false;
  }
}

function matchesLevels(wanted: readonly string[], levels: readonly string[]): boolean {
  for (const [index, level] of wanted.entries()) {
    if (level === "#") return true;
    if (index >= levels.length) return false;
    if (level !== "+" && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}
