// Light or dark: as the system says, unless a person chose otherwise.
import { createSignal } from "solid-js";

type Theme = "auto" | "light" | "dark";

const storageKey = "sluice.theme";
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

/** Goes through auto, light and dark. */
export function ThemeButton() {
  const advance = () => {
    setTheme((before) => next[before]);
    applyTheme();
    store(theme());
  };
  return (
    <button type="button" class="quiet" data-testid="theme" onClick={advance} title="Change the colours">
      <span class="theme-icon" aria-hidden="true" />
      <span>
        <span class="sr-only">Colours: </span>
        {names[theme()]}
      </span>
    </button>
  );
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(storageKey);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto";
  }
}

/** A browser that keeps nothing loses the choice with the page, and no more. */
function store(value: Theme): void {
  try {
    localStorage.setItem(storageKey, value);
  } catch {}
}
