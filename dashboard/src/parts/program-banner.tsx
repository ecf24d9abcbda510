// Says that the gateway has been upgraded under the open page: parts that were not fetched yet are gone from it.
import { createEffect, createSignal, on, Show } from "solid-js";
import { useApp } from "../store/app";

/** The banner; nothing while the gateway gives the program that runs here. */
export function ProgramBanner() {
  const app = useApp();
  const [isOld, setOld] = createSignal(false);
  let connections = 0;
  createEffect(
    on(app.isLive, async (isLive) => {
      if (!isLive) return;
      connections += 1;
      // The first connection is to the gateway that the page has just come from.
      if (connections > 1) setOld(await isReplaced());
    }),
  );
  return (
    <Show when={isOld()}>
      <div class="banner" data-kind="program" data-testid="program-banner">
        <span role="status">The gateway has been upgraded, and has a newer version of this page.</span>
        <span class="grow" />
        <button type="button" data-testid="load-program" onClick={() => location.reload()}>
          Load it
        </button>
      </div>
    </Show>
  );
}

/** Whether the page, asked for now, would begin with another script. */
async function isReplaced(): Promise<boolean> {
  const script = document.querySelector("script[type=module][src]")?.getAttribute("src");
  try {
    const response = await fetch(document.baseURI, {
      cache: "no-store",
      signal: AbortSignal.timeout(10_000),
    });
    return response.ok && !(await response.text()).includes(`"${script}"`);
  } catch {
    // Nobody answered: the next connection asks again.
    return false;
  }
}
