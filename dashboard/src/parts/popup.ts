// What opens over the page and is closed again.
import { onCleanup } from "solid-js";

/** The `ref` of a `details`: Escape closes it, and so does a click elsewhere. */
export function closeByItself(details: HTMLDetailsElement): void {
  const clicked = ({ target }: Event) => {
    if (target instanceof Node && !details.contains(target)) details.open = false;
  };
  const pressed = ({ key }: KeyboardEvent) => {
    if (key !== "Escape" || !details.open) return;
    details.open = false;
    details.querySelector("summary")?.focus();
  };
  addEventListener("click", clicked);
  details.addEventListener("keydown", pressed);
  onCleanup(() => removeEventListener("click", clicked));
}
