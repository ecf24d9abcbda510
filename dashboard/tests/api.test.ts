// What is read from the gateway, also where the answer breaks off.
import { expect, it } from "vitest";
import { Api } from "../src/api";

const base = new URL("http://gateway/api/v1/");

it("says that an answer which breaks off in the middle could not be read", async () => {
  const broken = () => new ReadableStream({ pull: (stream) => stream.error(new Error("signal timed out")) });
  const api = new Api(base, async () => new Response(broken()));
  const failed = { kind: "failed", status: null, code: "unreachable", message: "signal timed out" };
  expect(await api.session()).toEqual(failed);
  expect(await api.metrics()).toEqual(failed);
  expect(await api.desired("pump-1")).toEqual(failed);
});

it("says what the gateway said against it", async () => {
  const problem = { status: 404, title: "Not Found", detail: "no such device", code: "unknown_device" };
  const api = new Api(base, async () => new Response(JSON.stringify(problem), { status: 404 }));
  const failed = { kind: "failed", status: 404, code: "unknown_device", message: "no such device" };
  expect(await api.device("pump-1")).toEqual(failed);
});

it("says in its own words that nobody answered", async () => {
  const lost = new Api(base, () => Promise.reject(new TypeError("Failed to fetch")));
  expect(await lost.session()).toMatchObject({ message: "the gateway cannot be reached" });
  const late = new DOMException("signal timed out", "TimeoutError");
  const slow = new Api(base, () => Promise.reject(late));
  expect(await slow.session()).toMatchObject({ message: "the gateway did not answer within 10 s" });
});
