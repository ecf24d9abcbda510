// Objects whose fields change in place, and who is told of it.
import { createSignal } from "solid-js";

/** Something whose fields change in place. Who reads it through `read` is told when `tell` is called. */
export abstract class Watched {
  readonly #follow: () => void;
  /** Tells all readers that something changed. */
  readonly tell: () => void;

  constructor() {
    const [follow, tell] = createSignal(undefined, { equals: false });
    this.#follow = follow;
    this.tell = () => tell(undefined);
  }

  /** The object itself, followed. */
  read(): this {
    this.#follow();
    return this;
  }
}
