// How much a page has to do: the processor's time that its own thread took, frame by frame, which does not depend on
// what else the machine does.

const categories = ["devtools.timeline", "disabled-by-default-devtools.timeline", "v8"];
/** What is told apart of a task. */
const kinds = {
  FunctionCall: "script",
  FireAnimationFrame: "script",
  TimerFire: "script",
  UpdateLayoutTree: "style",
  Layout: "layout",
  PrePaint: "paint",
  Paint: "paint",
  Layerize: "paint",
  Commit: "paint",
  MinorGC: "garbage",
  MajorGC: "garbage",
};

/** The times between a page's frames by the clock, in milliseconds, while nothing else watches it. */
export function watchClock({ page }, forMs) {
  return page.evaluate(drawFor, forMs);
}

/** Watches the work of a page for a time, in milliseconds. The watching itself takes its share of the processors. */
export async function watchWork(browser, watched, forMs) {
  await browser.startTracing(watched.page, { categories });
  await watchClock(watched, forMs);
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const events = mainThread(traceEvents);
  const tasks = events.filter(({ name, tdur }) => name === "RunTask" && tdur !== undefined);
  const commits = events.filter(({ name }) => name === "Commit").map(({ ts }) => ts);
  return {
    frames: workOfFrames(tasks, commits),
    tasks: longest(tasks, events),
    wholeLayouts: events.filter(({ name, args }) => name === "Layout" && args.beginData?.partialLayout === false).length,
    kinds: share(events),
  };
}

/** The values at some shares of the sorted whole. */
export function quantiles(values, shares = [0.5, 0.95, 0.99, 1]) {
  const sorted = values.toSorted((a, b) => a - b);
  return shares.map((at) => sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))]);
}

/** Runs in the page: the times between its frames. */
function drawFor(forMs) {
  return new Promise((resolve) => {
    const intervals = [];
    const begun = performance.now();
    let last = begun;
    const draw = (now) => {
      intervals.push(now - last);
      last = now;
      if (now - begun < forMs) requestAnimationFrame(draw);
      else resolve(intervals.slice(1));
    };
    requestAnimationFrame(draw);
  });
}

/** The events of the thread that drew the most frames, which is the page's. */
function mainThread(events) {
  const counts = new Map();
  for (const { name, pid, tid } of events) {
    if (name === "FireAnimationFrame") counts.set(`${pid}.${tid}`, (counts.get(`${pid}.${tid}`) ?? 0) + 1);
  }
  const [thread] = [...counts].sort(([, a], [, b]) => b - a)[0];
  return events.filter(({ pid, tid }) => `${pid}.${tid}` === thread).sort((a, b) => a.ts - b.ts);
}

/** What was done for each frame, up to the task that hands it on. */
function workOfFrames(tasks, commits) {
  const work = [];
  let [frame, sum] = [0, 0];
  for (const { ts, dur, tdur } of tasks) {
    sum += tdur / 1_000;
    if (frame === commits.length || commits[frame] > ts + dur) continue;
    work.push(sum);
    [frame, sum] = [frame + 1, 0];
  }
  return work;
}

/** The longest tasks, each with what it was made of. */
function longest(tasks, events) {
  const first = tasks.toSorted((a, b) => b.tdur - a.tdur).slice(0, 5);
  return first.map(({ ts, dur, tdur }) => {
    const within = events.filter((event) => event.ts >= ts && event.ts < ts + dur);
    return { ms: tdur / 1_000, ...share(within) };
  });
}

/** The time of each kind. Of calls within calls of the same kind the outer one counts. */
function share(events) {
  const sums = {};
  const ends = {};
  for (const { name, ts, dur, tdur } of events) {
    const kind = kinds[name];
    if (kind === undefined || tdur === undefined || ts < (ends[kind] ?? 0)) continue;
    ends[kind] = ts + dur;
    sums[kind] = Math.round(((sums[kind] ?? 0) + tdur / 1_000) * 10) / 10;
  }
  return sums;
}
