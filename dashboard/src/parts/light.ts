// Lights up what has just changed, for a moment. Not by an animation: each of hundreds would have the page drawn in every
// frame while it runs, and once more when it ends. What is lit goes out with the next change of anything.

const litMs = 350;

/** What is lit and until when, the oldest first. */
const lit = new Map<Element, number>();
let isTimed = false;

/** Lights an element up, or keeps it lit. */
export function light(element: Element): void {
  const now = performance.now();
  putOut(now);
  element.classList.add("lit");
  lit.delete(element);
  lit.set(element, now + litMs);
  if (isTimed) return;
  isTimed = true;
  setTimeout(putOutLate, 2 * litMs);
}

function putOut(now: number): void {
  for (const [element, until] of lit) {
    if (until > now) return;
    element.classList.remove("lit");
    lit.delete(element);
  }
}

/** For when nothing else changes. */
function putOutLate(): void {
  putOut(performance.now());
  isTimed = lit.size > 0;
  if (isTimed) setTimeout(putOutLate, 2 * litMs);
}
