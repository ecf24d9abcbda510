// Whom a command reaches, in words.
import type { Census } from "../worker/census";

/** `1 device`, `142 devices`. */
export function devicesText(count: number): string {
  return count === 1 ? "1 device" : `${count.toLocaleString("en")} devices`;
}

/** How many they are, and how many of those are offline or unknown. */
export function reachText({ total, offline, unknown }: Census): string {
  const share = (part: number, is: string) => {
    if (part === 0) return [];
    if (total === 1) return [`which is ${is}`];
    return [part === total ? `all of them ${is}` : `${part.toLocaleString("en")} of them ${is}`];
  };
  const parts = [...share(offline, "offline"), ...share(unknown, "not known to this page")];
  return [devicesText(total), ...parts].join(", ");
}

/** Of which types they are, where they are of several; else null. */
export function typesText({ types }: Census): string | null {
  if (types.length < 2) return null;
  const shown = types.slice(0, 4).map(([type, count]) => `${type || "without a type"} ${count}`);
  return `They are of ${types.length} types, which no form fits: ${shown.join(", ")}${types.length > 4 ? " …" : ""}.`;
}
