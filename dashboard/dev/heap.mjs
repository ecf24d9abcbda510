// What a page and its worker keep in memory once nobody needs the rest, as the browser's debugger tells it. For the
// measurement in `bench` and for the tests in `tests/browser`.

const mebibyte = 1_048_576;
let asked = 0;

/** The heaps of a Playwright page and of its worker after collecting garbage, in MiB. */
export async function heapsOf(page) {
  const session = await page.context().newCDPSession(page);
  try {
    const worker = await workerOf(session);
    return {
      page: await heapOf((method) => session.send(method)),
      worker: await heapOf((method) => askWorker(session, worker, method)),
    };
  } finally {
    await session.detach();
  }
}

async function heapOf(send) {
  await send("HeapProfiler.enable");
  await send("HeapProfiler.collectGarbage");
  const { usedSize } = await send("Runtime.getHeapUsage");
  return usedSize / mebibyte;
}

/** The page's worker, as the debugger knows it. */
async function workerOf(session) {
  const found = new Promise((resolve) => session.once("Target.attachedToTarget", resolve));
  const options = { autoAttach: true, waitForDebuggerOnStart: false, flatten: false };
  await session.send("Target.setAutoAttach", options);
  const { sessionId, targetInfo } = await found;
  if (targetInfo.type !== "worker") throw new Error(`${targetInfo.type} is not the page's worker`);
  return sessionId;
}

function askWorker(session, sessionId, method) {
  asked += 1;
  const id = asked;
  return new Promise((resolve, reject) => {
    const hear = ({ message }) => {
      const answer = JSON.parse(message);
      if (answer.id !== id) return;
      session.off("Target.receivedMessageFromTarget", hear);
      if (answer.error === undefined) resolve(answer.result);
      else reject(new Error(answer.error.message));
    };
    session.on("Target.receivedMessageFromTarget", hear);
    const message = JSON.stringify({ id, method });
    session.send("Target.sendMessageToTarget", { sessionId, message }).catch(reject);
  });
}
