// When the page is told what has changed: after it has drawn what it was told before, so that a page that draws nothing
// costs nothing.

/** What devices measure is told no more often than this: an eye does not follow more, and each drawing costs. */
const drawEveryMs = 100;

/** Calls `send`, which gives whether there was anything to tell. */
export class Pace {
  readonly #send: () => boolean;
  #isDrawn = true;
  /** Whether what has changed should be seen with the next frame. */
  #isUrgent = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sentAt = 0;
  #laterTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: () => boolean) {
    this.#send = send;
  }

  /** Something has changed: all that does in one go is told together, with the next frame. */
  wake(): void {
    this.#isUrgent = true;
    if (!this.#isDrawn || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, 0);
  }

  /** The same, but not before the next drawing of values is due. */
  wakeLater(): void {
    this.#laterTimer ??= setTimeout(
      () => {
        this.#laterTimer = undefined;
        this.wake();
      },
      Math.max(0, this.#sentAt + drawEveryMs - Date.now()),
    );
  }

  /** The page has drawn what it was told last. */
  drawn(): void {
    this.#isDrawn = true;
    if (this.#isUrgent) this.wake();
    else this.wakeLater();
  }

  #tell(): void {
    this.#isUrgent = false;
    // What is found to wait while it is told comes with the frame after it.
    this.#isDrawn = false;
    if (this.#send()) this.#sentAt = Date.now();
    else this.#isDrawn = true;
  }
}
