// Brings parts of the program when they are first needed, or a little before.
import { type Component, lazy } from "solid-js";

/** Between two tries to load one. */
const retryMs = 2_000;

/** A component of its own file; a gateway that is away just then is asked again until it is back. */
export function lazyView<T extends Component<never>>(
  load: () => Promise<{ default: T }>,
): T & { preload: () => Promise<{ default: T }> } {
  let loading: Promise<{ default: T }> | undefined;
  // Solid's type wants a component of any properties; `never` is what all of them have in common.
  const retried = () => {
    loading ??= persist(load);
    return loading;
  };
  return lazy(retried as never) as unknown as T & { preload: typeof retried };
}

async function persist<T>(load: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}
