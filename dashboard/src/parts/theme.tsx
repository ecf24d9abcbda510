// Light or dark: as the system says, unless a person chose otherwise.
import { createSignal } from "solid-js";
import { readChoice, writeChoice } from "../store/choices";

type Theme = "auto" | "light" | "dark";

const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const names: Record<Theme, string> = { auto: "Auto", light: "Light", dark: "Dark" };

const [theme, setTheme] = createSignal<Theme>(stored());

/** The chosen theme, followed; charts redraw their colours with it. */
export { theme };

/** Takes the theme that was chosen last time. */
export function applyTheme(): void {
  if (theme() === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
}

/** Goes on from auto to light, to dark and round again. */
export function advanceTheme(): void {
  setTheme((before) => next[before]);
  applyTheme();
  writeChoice("theme", theme());
}

/** Goes through auto, light and dark. */
export function ThemeButton() {
  return (
    <button type="button" class="quiet" data-testid="theme" onClick={advanceTheme} title="Change the colours">
      <span class="theme-icon" aria-hidden="true" />
      <span>{names[theme()]}</span>
    </button>
  );
}

function stored(): Theme {
  const value = readChoice("theme");
  return value === "light" || value === "dark" ? value : "auto";
}
