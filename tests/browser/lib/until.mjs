// Waiting for what must come about, under a deadline.
import { setTimeout as pause } from "node:timers/promises";

/** How long things may take on a busy machine. */
export const patienceMs = 15_000;
const lookEveryMs = 40;

/**
 * Looks again and again until `look` gives something that is not false, null or undefined, and gives that.
 * What `look` throws counts as not yet; the last of it is the cause of the failure.
 */
export async function until(what, look, withinMs = patienceMs) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    let cause;
    try {
      const seen = await look();
      if (seen !== false && seen !== null && seen !== undefined) return seen;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(lateText(what, withinMs, cause), { cause });
    await pause(lookEveryMs);
  }
}

/** Waits until `read` gives `wanted` (compared as JSON), and says what it gave instead. */
export async function untilEqual(what, read, wanted, withinMs = patienceMs) {
  let last;
  const isEqual = async () => {
    last = await read();
    return JSON.stringify(last) === JSON.stringify(wanted);
  };
  try {
    await until(what, isEqual, withinMs);
  } catch (cause) {
    throw new Error(`${what}: it is ${JSON.stringify(last)}, not ${JSON.stringify(wanted)}`, { cause });
  }
}

function lateText(what, withinMs, cause) {
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  return `not within ${withinMs} ms: ${what}${why}`;
}
