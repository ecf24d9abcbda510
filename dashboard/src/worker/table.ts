// The sorted and filtered table of the fleet, of which the page shows some rows.
import type { Fleet } from "./fleet";
import type { FleetView, Rows } from "./messages";
import type { DeviceState } from "./record";
import { isRestless, isSameFilter, select } from "./select";

/** A fleet that changes all the time is put in order again this often. */
const reorderMs = 250;
/** A table that is sorted by what changes all the time is put in order again this often. */
const restlessMs = 2_000;

/** The table. */
export class Table {
  readonly #fleet: Fleet;
  readonly #changed: () => void;
  #view: FleetView | null = null;
  #order: readonly DeviceState[] = [];
  #orderedAt = 0;
  /** The list of devices as it was then. */
  #ordered = -1;
  /** Whether the rows in view may be others than those that were told. */
  #isStale = false;
  /** Nothing may move: somebody is about to click. */
  #isHeld = false;
  /** Whether another order waits for the end of that. */
  #isDue = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `changed` is called when there may be other rows. */
  constructor(fleet: Fleet, changed: () => void) {
    this.#fleet = fleet;
    this.#changed = changed;
  }

  /** Shows other rows; null: none. */
  look(view: FleetView | null): void {
    if (view === null || this.#view === null || !isSameOrder(view, this.#view)) this.#ordered = -1;
    this.#view = view;
    this.#isStale = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#changed();
  }

  /** Keeps the order as it is, or lets it change again. Another filter or another column counts all the same. */
  hold(on: boolean): void {
    this.#isHeld = on;
    if (on) return;
    this.#isStale ||= this.#isDue;
    this.#isDue = false;
    this.#changed();
  }

  /** The rows in view, if they are others than before. */
  take(): Rows | null {
    const view = this.#view;
    this.#reorder(view);
    if (view === null || !this.#isStale) return null;
    this.#isStale = false;
    return { shown: this.#order.length, from: view.from, ids: this.inView(), isHeld: this.#isDue };
  }

  /** Whether the order is that of the list of devices as it is now: the fleet as a whole is told then, too. */
  isCurrent(): boolean {
    return this.#isDue || this.#ordered === this.#fleet.listRevision;
  }

  /** The devices in view. */
  inView(): string[] {
    if (this.#view === null) return [];
    return this.#order.slice(this.#view.from, this.#view.to).map(({ id }) => id);
  }

  #reorder(view: FleetView | null): void {
    const isFirst = this.#ordered === -1;
    const hasChanged = this.#ordered !== this.#fleet.listRevision;
    const isUnrest = view !== null && isRestless(view.sort);
    if (!hasChanged && !isUnrest) return;
    const waitMs = this.#orderedAt + (hasChanged ? reorderMs : restlessMs) - Date.now();
    if (!isFirst && waitMs > 0) return this.#later(waitMs);
    if (!isFirst && this.#isHeld) return this.#postpone();
    this.#order = view === null ? [] : select(this.#fleet.sorted(), view.filter, view.sort);
    this.#orderedAt = Date.now();
    this.#ordered = this.#fleet.listRevision;
    this.#isStale = true;
    this.#isDue = false;
    if (isUnrest) this.#later(restlessMs);
  }

  #postpone(): void {
    if (!this.#isDue) this.#isStale = true;
    this.#isDue = true;
  }

  #later(waitMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#changed();
    }, waitMs);
  }
}

function isSameOrder(one: FleetView, other: FleetView): boolean {
  return (
    one.sort.key === other.sort.key &&
    one.sort.descending === other.sort.descending &&
    isSameFilter(one.filter, other.filter)
  );
}
