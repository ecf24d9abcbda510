// All that the gateway counts and measures.
import { createEffect, createMemo, createSignal, Index, onCleanup } from "solid-js";
import { Problem, unread } from "../parts/problem";
import { useApp } from "../store/app";
import { readMetrics, type Sample } from "../text/metrics";
import { formatNumber, formatRate } from "../text/number";

const everyMs = 5_000;

/** The table, read again while it is looked at. */
export function GatewayMetrics() {
  const app = useApp();
  const { query, setQuery } = app.place;
  const [samples, setSamples] = createSignal<readonly Sample[]>([]);
  const [problem, setProblem] = createSignal<string | null>(null);
  const read = async () => {
    const answer = await app.api.metrics();
    setProblem(answer.kind === "ok" ? null : answer.message);
    if (answer.kind === "ok") setSamples(readMetrics(answer.value));
  };
  createEffect(() => {
    if (!app.isLive()) return;
    void read();
    const timer = setInterval(() => {
      if (!document.hidden) void read();
    }, everyMs);
    onCleanup(() => clearInterval(timer));
  });
  const shown = createMemo(() => {
    const words = (query().q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    return samples().filter(({ name, labels, help }) => {
      const text = `${name} ${labels} ${help}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  });
  return (
    <div class="card">
      <div class="card-title">
        <h2 id="metrics-title">Everything it counts</h2>
        <label>
          <span class="sr-only">Metrics that contain</span>
          <input
            type="search"
            placeholder="Metrics that contain …"
            data-testid="metrics-text"
            value={query().q ?? ""}
            onInput={({ currentTarget }) => setQuery({ q: currentTarget.value })}
          />
        </label>
        <span class="muted num">{shown().length}</span>
      </div>
      <Problem text={unread("They", problem())} />
      <section class="table-frame" tabindex="0" aria-label="Everything it counts">
        <table class="plain dense values" data-testid="metrics">
          <tbody>
            <Index each={shown()}>
              {(sample) => (
                <tr>
                  <th scope="row" class="mono" title={sample().help}>
                    {sample().name.replace(/^sluice_/, "")}
                    <span class="muted"> {sample().labels.replaceAll('"', "")}</span>
                  </th>
                  <td class="muted wide-only">{sample().help}</td>
                  <td class="end num">{valueText(sample())}</td>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
      </section>
    </div>
  );
}

function valueText({ value }: Sample): string {
  return Number.isInteger(value) ? formatRate(value) : formatNumber(value, 4);
}
