// What a person chose and the browser keeps; one that keeps nothing loses it with the page, and no more.

/** What was chosen last time. */
export function readChoice(name: string): string | null {
  try {
    return localStorage.getItem(`sluice.${name}`);
  } catch {
    return null;
  }
}

/** Keeps a choice. */
export function writeChoice(name: string, value: string): void {
  try {
    localStorage.setItem(`sluice.${name}`, value);
  } catch {}
}
