// What is in view, so that what is not costs little: no plot is kept of it, and its values follow once a second.
import { type Accessor, createMemo, createSignal, onCleanup, untrack } from "solid-js";
import { useApp } from "../store/app";

/** What is so near to the edge counts as in view: it is drawn when it is scrolled to. */
const margin = "240px";

/** One observer for all: there may be hundreds of rows. */
const observed = new WeakMap<Element, (isInView: boolean) => void>();
let observer: IntersectionObserver | undefined;

/** Whether an element is in view, and the `ref` that says which. */
export function createInView(): [isInView: Accessor<boolean>, ref: (element: Element) => void] {
  const [isInView, setInView] = createSignal(false);
  const see = (element: Element) => {
    observer ??= new IntersectionObserver(tell, { rootMargin: margin });
    observed.set(element, setInView);
    observer.observe(element);
    onCleanup(() => observer?.unobserve(element));
  };
  return [isInView, see];
}

/** What `read` gives: followed while it is in view, else looked at once a second. */
export function createGlance<T>(isInView: Accessor<boolean>, read: () => T): Accessor<T> {
  const { now } = useApp();
  return createMemo(() => {
    if (isInView()) return read();
    now();
    return untrack(read);
  });
}

function tell(entries: readonly IntersectionObserverEntry[]): void {
  for (const { target, isIntersecting } of entries) observed.get(target)?.(isIntersecting);
}
