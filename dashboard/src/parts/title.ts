// The title in the browser's tab.
import { type Accessor, createEffect, onCleanup } from "solid-js";

/** The alerts that it counts may come many a second, and each other title costs the page a few milliseconds. */
const everyMs = 1_000;

/** Keeps the title to what it should be, a second late at most. */
export function keepTitle(title: Accessor<string>): void {
  let setAt = Number.NEGATIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const set = () => {
    timer = undefined;
    setAt = performance.now();
    document.title = title();
  };
  createEffect(() => {
    title();
    timer ??= setTimeout(set, Math.max(0, setAt + everyMs - performance.now()));
  });
  onCleanup(() => clearTimeout(timer));
}
