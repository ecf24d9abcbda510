// The keyboard's short ways, wherever the focus is but in a field.
import { onCleanup } from "solid-js";
import type { PageName } from "../router";

/** The second key after `g`, for each page. */
export const pageKeys: Readonly<Record<string, PageName>> = {
  f: "fleet",
  c: "commands",
  a: "alerts",
  t: "topics",
  w: "gateway",
};

/** `g` counts for so long. */
const prefixMs = 1_200;

/** What keys do. */
export interface Keys {
  readonly openPalette: () => void;
  readonly go: (page: PageName) => void;
}

/** Follows the keyboard while the view is there. */
export function followKeys({ openPalette, go }: Keys): void {
  let prefixAt = 0;
  const pressed = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
      event.preventDefault();
      return openPalette();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]") !== null) return;
    const page = Date.now() - prefixAt < prefixMs ? pageKeys[event.key] : undefined;
    prefixAt = event.key === "g" ? Date.now() : 0;
    if (page !== undefined) return go(page);
    if (event.key === "?") return openPalette();
    if (event.key === "/") focusSearch(event);
  };
  addEventListener("keydown", pressed);
  onCleanup(() => removeEventListener("keydown", pressed));
}

/** The page's own search field, where it has one. */
function focusSearch(event: KeyboardEvent): void {
  const field = document.querySelector<HTMLInputElement>("main input[type='search']");
  if (field === null) return;
  event.preventDefault();
  field.focus();
  field.select();
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
}
