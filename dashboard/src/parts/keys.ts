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
    const key = keyOf(event);
    if (key === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
      event.preventDefault();
      return openPalette();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]") !== null) return;
    const page = Date.now() - prefixAt < prefixMs ? pageKeys[key] : undefined;
    prefixAt = key === "g" ? Date.now() : 0;
    if (page !== undefined) return go(page);
    if (key === "?") return openPalette();
    if (key === "/") focusSearch(event);
  };
  addEventListener("keydown", pressed);
  onCleanup(() => removeEventListener("keydown", pressed));
}

/** The Latin letter of a key: on a keyboard that writes others, the one that stands at its place. */
function keyOf({ key, code }: KeyboardEvent): string {
  const place = /^Key([A-Z])$/.exec(code)?.[1];
  const isLatin = /^[\x20-\x7e]$/.test(key);
  return (isLatin || place === undefined ? key : place).toLowerCase();
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
