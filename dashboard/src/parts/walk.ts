// The arrows walk through rows.

/** What can be walked to, row by row. */
const kinds = ["input", "a", ".tree-name"];

/** Moves the focus by as many rows as `keys` says for the key, to the same kind of control there. */
export function walk(event: KeyboardEvent, keys: Readonly<Record<string, number>>): void {
  const { key, target } = event;
  const rows = keys[key];
  if (rows === undefined || !(target instanceof HTMLElement)) return;
  let row = target.closest("tr, li");
  for (let left = Math.abs(rows); left > 0; left -= 1) {
    row = (rows > 0 ? row?.nextElementSibling : row?.previousElementSibling) ?? null;
  }
  const kind = kinds.find((known) => target.matches(known)) ?? ".tree-name";
  const control = row?.querySelector<HTMLElement>(kind);
  if (control === undefined || control === null) return;
  event.preventDefault();
  control.focus();
}
