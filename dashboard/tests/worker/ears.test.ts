// What a page listens to besides the fleet: in order, and bounded while it draws nothing.
import { beforeEach, expect, it } from "vitest";
import type { Wish } from "../../src/client/subscriptions";
import { Ears } from "../../src/worker/ears";
import { update } from "../client/fake-gateway";

let wishes: Wish[];
let ended: number;
let ears: Ears;

beforeEach(() => {
  wishes = [];
  ended = 0;
  ears = new Ears({
    listen: (wish) => {
      wishes.push(wish);
      return {
        close: () => {
          ended += 1;
        },
        cursor: () => null,
      };
    },
    changed: () => {},
  });
});

it("hands on what came since the last time, in order", () => {
  ears.open(7, ["batches/1"]);
  wishes[0]?.updated(update("batches/1", 1));
  wishes[0]?.live?.();
  const [heard] = ears.take();
  expect(heard?.ear).toBe(7);
  expect(heard?.events.map(({ kind }) => kind)).toEqual(["update", "live"]);
  expect(ears.take()).toEqual([]);
});

it("says that what was told is void where continuity is lost", () => {
  ears.open(1, ["state/a"]);
  wishes[0]?.reset?.(["state/a"], "expired");
  expect(ears.take()[0]?.events).toEqual([{ kind: "void" }]);
});

it("begins anew for a page that drew nothing for long", () => {
  ears.open(1, ["commands/#"], { snapshot: false });
  for (let seq = 1; seq <= 6_000; seq += 1) wishes[0]?.updated(update("commands/a", seq));
  expect(ears.take()[0]?.events).toEqual([{ kind: "void" }]);
  expect([wishes.length, ended]).toEqual([2, 1]);
  expect(wishes[1]?.options).toEqual({ snapshot: false });
});

it("ends what is not listened to any more", () => {
  ears.open(1, ["state/a"]);
  ears.close(1);
  expect(ended).toBe(1);
  expect(ears.take()).toEqual([]);
});
