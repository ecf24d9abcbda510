// The page's end of its worker: when it asks for more, and what it says when there is none.
import { beforeEach, expect, it, vi } from "vitest";
import { aCommand } from "../../dev/samples.mjs";
import { Backstage, type WorkerLike } from "../../src/store/backstage";
import type { Patch, ToPage, ToWorker } from "../../src/worker/messages";

let told: ToWorker[];
let patches: Patch[];
let failures: string[];
let frames: (() => void)[];
let worker: WorkerLike;

beforeEach(() => {
  vi.useFakeTimers();
  [told, patches, failures, frames] = [[], [], [], []];
  worker = { postMessage: (message) => told.push(message), onmessage: null, onerror: null };
});

it("tells the worker where the gateway is before anything else", () => {
  started(() => worker);
  expect(told).toEqual([{ kind: "start", base: "http://gateway/", hasNetwork: true }]);
});

it("asks for more when the frame was drawn, and not before", () => {
  started(() => worker);
  say({ kind: "patch", patch: { lastLiveAt: 5 } });
  expect(patches).toEqual([{ lastLiveAt: 5 }]);
  expect(told).toHaveLength(1);
  for (const draw of frames) draw();
  expect(told.at(-1)).toEqual({ kind: "drawn" });
});

it("keeps the answers of two commands apart", async () => {
  const backstage = started(() => worker);
  const first = backstage.command("a", { name: "one" });
  const second = backstage.cancel("c1");
  say({ kind: "answer", request: 2, answer: { kind: "timeout" } });
  say({ kind: "answer", request: 1, answer: { kind: "ok", reply: aCommand({}) } });
  expect(await first).toEqual({ kind: "ok", reply: aCommand({}) });
  expect(await second).toEqual({ kind: "timeout" });
});

it("says why a worker could not be started, and that nothing was sent", async () => {
  const backstage = started(() => {
    throw new Error("workers are not allowed here");
  });
  expect(failures).toEqual(["workers are not allowed here"]);
  expect(await backstage.command("a", { name: "one" })).toEqual({ kind: "unsent", why: "not_connected" });
});

it("says that a worker broke, and that what was asked may have been done", async () => {
  const backstage = started(() => worker);
  const answer = backstage.command("a", { name: "one" });
  worker.onerror?.({ message: "x is not a function" } as ErrorEvent);
  expect(failures).toEqual(["x is not a function"]);
  expect(await answer).toEqual({ kind: "broken" });
});

it("says so when a worker does not answer, but not when it has", () => {
  started(() => worker);
  vi.advanceTimersByTime(15_000);
  expect(failures).toEqual(["it did not answer"]);
  started(() => worker);
  say({ kind: "patch", patch: {} });
  vi.advanceTimersByTime(60_000);
  expect(failures).toHaveLength(1);
});

function started(start: () => WorkerLike): Backstage {
  const backstage = new Backstage({
    start,
    base: new URL("http://gateway/"),
    hasNetwork: true,
    patched: (patch) => patches.push(patch),
    alarmed: () => {},
    failed: (why) => failures.push(why),
    schedule: (run) => frames.push(run),
  });
  backstage.start();
  return backstage;
}

function say(message: ToPage): void {
  worker.onmessage?.({ data: message } as MessageEvent<ToPage>);
}
