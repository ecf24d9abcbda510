import { type Accessor, createSignal, onCleanup } from "solid-js";

/** The local clock in steps, while the view is there. */
export function createTicker(stepMs: number): Accessor<number> {
  const [now, setNow] = createSignal(Date.now());
  const timer = setInterval(() => setNow(Date.now()), stepMs);
  onCleanup(() => clearInterval(timer));
  return now;
}
