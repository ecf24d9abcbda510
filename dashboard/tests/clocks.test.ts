// Clocks that are set while the page is open: ours, the gateway's.
import { expect, it } from "vitest";
import { ServerClock } from "../src/client/clock";
import type { GatewayStats } from "../src/generated/protocol";
import { StatsPast } from "../src/store/stats-past";

const hour = 3_600_000;

it("goes by the exchange that took the least time", () => {
  const clock = new ServerClock();
  clock.sample(1_050, 1_000, 1_020);
  clock.sample(2_300, 2_000, 2_400);
  expect(clock.offsetMs).toBe(40);
});

it("believes the first answer after our own clock was set, and nothing from before", () => {
  const clock = new ServerClock();
  for (const at of [0, 3_000, 6_000]) clock.sample(at + 2 * hour, at, at + 2);
  expect(clock.offsetMs).toBeCloseTo(2 * hour, -1);
  // The ping that was under way when it was set tells little.
  clock.sample(9_000 + 2 * hour, 9_000, 9_000 + 2 * hour);
  clock.sample(12_000 + 2 * hour, 12_000 + 2 * hour, 12_004 + 2 * hour);
  expect(clock.offsetMs).toBe(-2);
});

it("goes on with the gateway's figures where the clock was set back", () => {
  const past = new StatsPast();
  const figures = [1, 2, 3].map((devices_online) => ({ devices_online }) as GatewayStats);
  for (const [index, at] of [1_000, 2 * hour, 2_000].entries()) past.hear(figures[index] as GatewayStats, at);
  const { times, values } = past.series(({ devices_online }) => devices_online);
  expect([times.at(-1), values.at(-1)]).toEqual([2_000, 3]);
  expect(values).not.toContain(2);
});
