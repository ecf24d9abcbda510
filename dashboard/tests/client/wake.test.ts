// After a sleep nothing is believed until the gateway has answered; and what is asked for once more.
import { beforeEach, expect, it, vi } from "vitest";
import { update, World } from "./fake-gateway";

const now = 1_700_000_000_000;
let world: World;

beforeEach(() => {
  vi.useFakeTimers({ now });
  world = new World();
  world.listen(["presence/#"]);
  world.goLive();
  world.gateway.pong();
});

it("doubts its values at once after a sleep, until the gateway answers", () => {
  const pings = world.gateway.ofType("ping").length;
  vi.setSystemTime(now + 60_000);
  world.client.wake();
  expect(world.health?.silentSince).toBe(now);
  expect(world.gateway.ofType("ping")).toHaveLength(pings + 1);
  world.gateway.pong();
  expect(world.health?.silentSince).toBeNull();
});

it("does not doubt what it heard a moment ago", () => {
  vi.setSystemTime(now + 1_000);
  world.client.wake();
  expect(world.health?.silentSince).toBeNull();
});

it("leaves a gateway that does not answer after a sleep, and comes back", () => {
  vi.setSystemTime(now + 60_000);
  world.client.wake();
  vi.advanceTimersByTime(10_000);
  expect(world.state.kind).toBe("recovering");
});

it("tries at once when somebody looks again, but not where it was refused", () => {
  world.gateway.close(1006);
  world.client.wake();
  expect(world.connections).toHaveLength(2);
  world.gateway.close(4003);
  world.client.wake();
  expect(world.connections).toHaveLength(2);
});

it("recalls what a channel said, without telling those who listen to it", async () => {
  const heard = world.listen(["presence/a"]);
  world.gateway.grant(undefined, update("presence/a", 3, { snapshot: true }));
  world.gateway.live();
  const recalled = world.client.recall("presence/a", { from: 1, to: 3 });
  const { id } = world.gateway.last("replay");
  for (const seq of [1, 2, 3]) world.gateway.frame(update("presence/a", seq, { replayed: true }));
  world.gateway.frame({ type: "ok", id });
  const answer = await recalled;
  expect(answer.kind === "ok" && answer.reply.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(heard.updates.map(({ seq }) => seq)).toEqual([3]);
});
