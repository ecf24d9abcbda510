// Brings the charts' program when it is first needed, or a little before.

type ChartModule = typeof import("./chart");

/** Between two tries to load it. */
const retryMs = 2_000;
let loading: Promise<ChartModule> | undefined;

/** Loads it once; a gateway that is away just then is asked again until it is back. */
export function loadChart(): Promise<ChartModule> {
  loading ??= load();
  return loading;
}

async function load(): Promise<ChartModule> {
  for (;;) {
    try {
      return await import("./chart");
    } catch {
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}
