// A list that the gateway gives page by page and of one state at a time, read for several states at once.
import type { Read } from "../api";
import type { Page } from "../generated/protocol";

/** Where the list of each state goes on: null where it begins; those that have been read to their end are not in it. */
export type Cursors = ReadonlyMap<string, string | null>;

/** From the beginning. */
export function beginningOf(states: readonly string[]): Cursors {
  return new Map(states.map((state) => [state, null]));
}

/** Reads a page of each state that is left. One that cannot be read leaves all of it as it was. */
export async function readPages<T>(
  from: Cursors,
  readPage: (state: string, cursor: string | null) => Promise<Read<Page<T>>>,
): Promise<Read<{ items: T[]; next: Cursors }>> {
  const items: T[] = [];
  const next = new Map<string, string>();
  const asked = [...from].map(async ([state, cursor]) => [state, await readPage(state, cursor)] as const);
  for (const [state, read] of await Promise.all(asked)) {
    if (read.kind === "failed") return read;
    items.push(...read.value.items);
    if (read.value.next !== null) next.set(state, read.value.next);
  }
  return { kind: "ok", value: { items, next } };
}
