// Random updates from a seed: a failing test names the seed, and runs the same again.
import type { Update } from "../../src/generated/protocol";

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
export type Dice = () => number;

/** Dice with a seed. */
export function dice(seed: number): Dice {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** True this often: 0 never, 1 always. */
export function chance(random: Dice, share: number): boolean {
  return random() < share;
}

/** Updates of a few channels with metrics of all kinds, in the order of their offsets from `offset` on. */
export function randomUpdates(random: Dice, offset: number): Update[] {
  const count = 1 + Math.floor(random() * 40);
  return Array.from({ length: count }, (_, n) => {
    const update: Update = {
      channel: `telemetry/${pick(random, channels)}`,
      seq: 1 + Math.floor(random() * 2 ** pick(random, [4, 12, 33])),
      offset: offset + n,
      timestamp: 1_700_000_000_000 + Math.floor((random() - 0.5) * 2 ** pick(random, [6, 16, 40])),
      data: randomData(random),
    };
    const roll = random();
    if (roll < 0.1) update.snapshot = true;
    else if (roll < 0.2) update.replayed = true;
    return update;
  });
}

const channels = ["a", "b", "c", "d:1", "ü", "pump-1", "pump-2"];
const shapes = [["t"], ["t", "u"], ["u", "t"], [], ["on", "mode", "t"], ["naïve", "a,b", '"q"']];

function randomData(random: Dice): Record<string, unknown> {
  // Mostly numbers, so that columns are often of one kind.
  const kind = chance(random, 0.7) ? randomNumber : randomValue;
  return Object.fromEntries(pick(random, shapes).map((metric) => [metric, kind(random)]));
}

function randomNumber(random: Dice): number {
  const digits = Math.floor(random() * 6);
  return Number(((random() - 0.4) * 10 ** Math.floor(random() * 9)).toFixed(digits)) + 0;
}

function randomValue(random: Dice): unknown {
  return pick<(random: Dice) => unknown>(random, [
    randomNumber,
    () => null,
    () => chance(random, 0.5),
    () => `text ${Math.floor(random() * 99)} ü`,
    () => ({ low: randomNumber(random), list: [1, "x", null] }),
    () => random() * 10 ** Math.floor(random() * 300),
  ])(random);
}

function pick<T>(random: Dice, from: readonly T[]): T {
  const item = from[Math.floor(random() * from.length)];
  if (item === undefined) throw new Error("there is something to pick from");
  return item;
}
