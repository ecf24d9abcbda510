// What becomes of a command that is sent.
import { beforeEach, expect, it, vi } from "vitest";
import { anAnsweredCommand } from "../../dev/samples.mjs";
import type { CommandDetails } from "../../src/generated/protocol";
import { settled, World } from "./fake-gateway";

let world: World;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  world = new World();
});

const reboot = { name: "reboot" };

it("answers with the command that was made", async () => {
  world.goLive();
  const answer = world.client.command("pump-1", { name: "set_speed", params: { rpm: 900 } });
  const sent = world.gateway.last("command");
  expect(sent).toMatchObject({ device: "pump-1", name: "set_speed", params: { rpm: 900 } });
  const command: CommandDetails = anAnsweredCommand({ device: "pump-1" });
  world.gateway.frame({ type: "ok", id: sent.id, command });
  expect(await settled(answer)).toEqual({ kind: "ok", reply: command });
});

it("keeps two requests apart by their ids", async () => {
  world.goLive();
  const first = world.client.command("a", reboot);
  const second = world.client.command("b", reboot);
  const [one, two] = world.gateway.ofType("command");
  world.gateway.frame({ type: "ok", id: two?.id ?? 0, command: anAnsweredCommand({ device: "b" }) });
  world.gateway.frame({ type: "error", id: one?.id ?? 0, code: "unknown_device", message: "a is not known" });
  expect(await settled(first)).toEqual({ kind: "error", code: "unknown_device", message: "a is not known" });
  expect(await settled(second)).toMatchObject({ kind: "ok", reply: { device: "b" } });
});

it("says timeout when no answer comes in 10 s", async () => {
  world.goLive();
  world.gateway.pong();
  const answer = world.client.cancel("c1");
  vi.advanceTimersByTime(10_000);
  expect(await settled(answer)).toEqual({ kind: "timeout" });
});

it("says broken when the connection ends after it was sent, and does not send it again", async () => {
  world.goLive();
  const answer = world.client.command("a", reboot);
  world.gateway.close(1006);
  expect(await settled(answer)).toEqual({ kind: "broken" });
  vi.advanceTimersByTime(1_000);
  world.gateway.welcome();
  expect(world.gateway.ofType("command")).toEqual([]);
});

it("says unsent while there is no connection", async () => {
  world.client.start();
  expect(await settled(world.client.command("a", reboot))).toEqual({ kind: "unsent", why: "not_connected" });
  world.gateway.close(1006);
  expect(await settled(world.client.command("a", reboot))).toEqual({ kind: "unsent", why: "not_connected" });
});

it("refuses what is longer than the gateway takes", async () => {
  world.client.start();
  world.gateway.welcome({ message_bytes: 200 });
  const answer = world.client.command("a", { name: "note", params: { text: "ü".repeat(100) } });
  expect(await settled(answer)).toEqual({ kind: "unsent", why: "too_big" });
});

it("keeps the gateway's pace", () => {
  world.client.start();
  world.gateway.welcome({ messages_per_s: 20 });
  for (let n = 0; n < 30; n += 1) void world.client.command("a", reboot);
  vi.advanceTimersByTime(999);
  expect(world.gateway.sent.length).toBeLessThanOrEqual(20);
  vi.advanceTimersByTime(2_000);
  expect(world.gateway.ofType("command")).toHaveLength(30);
});

it("refuses when too much waits already, and says that what waited was never sent", async () => {
  world.goLive();
  world.gateway.bufferedBytes = 1_000_000;
  const waiting = Array.from({ length: 64 }, () => world.client.command("a", reboot));
  expect(await settled(world.client.command("a", reboot))).toEqual({ kind: "unsent", why: "outbox_full" });
  world.gateway.close(1006);
  expect(await settled(waiting[0] ?? Promise.reject())).toEqual({ kind: "unsent", why: "not_connected" });
  expect(world.gateway.ofType("command")).toEqual([]);
});

it("takes an answer once", async () => {
  world.goLive();
  const answer = world.client.command("a", reboot);
  const { id } = world.gateway.last("command");
  world.gateway.frame(
    { type: "error", id, code: "offline", message: "first" },
    { type: "ok", id, command: anAnsweredCommand({}) },
  );
  expect(await settled(answer)).toMatchObject({ kind: "error", message: "first" });
});
