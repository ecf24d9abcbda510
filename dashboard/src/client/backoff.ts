// How long to wait before the next try.

const shortestMs = 500;
const longestMs = 20_000;

/**
 * The wait before the given attempt (1 is the first), in milliseconds: anywhere between 0.5 s and a
 * ceiling that doubles from 1 s to 20 s, so that a thousand pages do not come back together.
 *
 * @param random uniform in [0, 1)
 */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(longestMs, shortestMs * 2 ** Math.min(attempt, 10));
  return shortestMs + random() * (ceiling - shortestMs);
}
