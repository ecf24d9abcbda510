// Lists of several states, page by page.
import { expect, it } from "vitest";
import type { Read } from "../../src/api";
import type { Page } from "../../src/generated/protocol";
import { beginningOf, readPages } from "../../src/store/pages";

const pages: Record<string, Page<string>> = {
  queued: { items: ["q1"], next: "q" },
  "queued q": { items: ["q2"], next: null },
  sent: { items: ["s1"], next: null },
};

it("reads a page of each state, and then of those that go on", async () => {
  const first = await readPages(beginningOf(["queued", "sent"]), page);
  if (first.kind !== "ok") throw new Error(first.message);
  expect(first.value.items).toEqual(["q1", "s1"]);
  const second = await readPages(first.value.next, page);
  expect(second).toEqual({ kind: "ok", value: { items: ["q2"], next: new Map() } });
});

it("gives nothing of it where one state could not be read", async () => {
  expect(await readPages(beginningOf(["queued", "failed"]), page)).toMatchObject({ message: "no failed" });
});

async function page(state: string, cursor: string | null): Promise<Read<Page<string>>> {
  const value = pages[[state, cursor].filter(Boolean).join(" ")];
  if (value !== undefined) return { kind: "ok", value };
  return { kind: "failed", status: 500, code: "", message: `no ${state}` };
}
