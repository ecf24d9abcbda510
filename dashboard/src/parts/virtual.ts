// Which rows of a long table are in view.

/** The rows to draw, and the room to leave for the others. */
export interface Window {
  /** Index of the first row, and of the one after the last. */
  readonly start: number;
  readonly end: number;
  /** Pixels above and below. */
  readonly before: number;
  readonly after: number;
}

/** Rows drawn beyond either edge, so that scrolling and the Tab key always find the next one. */
const overscan = 8;

/** The window onto `count` rows of `rowHeight` pixels each. */
export function windowOnto(scrollTop: number, viewHeight: number, rowHeight: number, count: number): Window {
  const first = Math.floor(scrollTop / rowHeight) - overscan;
  const last = Math.ceil((scrollTop + viewHeight) / rowHeight) + overscan;
  const end = Math.min(count, Math.max(0, last));
  const start = Math.min(end, Math.max(0, first));
  return { start, end, before: start * rowHeight, after: (count - end) * rowHeight };
}
