// What other sites' pages cannot do, and what the page itself may not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** Serves an empty page from an origin of its own. */
async function strangersSite(world) {
  const server = createServer((_, response) =>
    response.setHeader("content-type", "text/html").end("<!doctype html>"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  world.atEnd(() => server.close());
  return `http://127.0.0.1:${server.address().port}/`;
}

/** A page of the stranger's, open; what it may ask is not held against it. */
async function strangersPage(world) {
  const blank = await world.openBlank();
  await blank.goto(await strangersSite(world));
  blank.foreignRequests.length = 0;
  return blank;
}

/** Asks for `path` with a `Host` of one's own; gives the status. */
async function statusFor(gateway, host, path, headers = {}) {
  const asked = request(new URL(path, gateway.origin), { headers: { ...headers, host } });
  asked.end();
  const [response] = await once(asked, "response");
  response.resume();
  return response.statusCode;
}

scenario("a page of another origin gets no WebSocket", async (world) => {
  world.expectComplaints(/WebSocket connection to .* failed/);
  const stranger = await strangersPage(world);
  const outcome = await stranger.page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, "sluice.v1");
        socket.onopen = () => resolve("opened");
        socket.onclose = ({ code }) => resolve(`closed ${code}`);
      }),
    `ws://${world.gateway.http}/ws`,
  );
  assert.equal(outcome, "closed 1006");
});

scenario("a page of another origin reads nothing and commands nothing", async (world) => {
  world.expectComplaints(/403|CORS|ERR_FAILED/);
  await world.gateway.describe("pump-1", "pump");
  const stranger = await strangersPage(world);
  const answers = await stranger.page.evaluate(async (origin) => {
    const tried = async (path, options) =>
      fetch(`${origin}/api/v1/${path}`, options).then(
        (response) => `answered: ${response.type}`,
        () => "refused",
      );
    const body = JSON.stringify({ name: "reboot" });
    return [
      await tried("devices"),
      await tried("devices/pump-1/commands", { method: "POST", body }),
      await tried("devices/pump-1/commands", {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      }),
    ];
  }, world.gateway.origin);
  assert.deepEqual(answers, ["refused", "refused", "refused"]);
  const { items } = await world.gateway.get("commands?device=pump-1");
  assert.deepEqual(items, [], "no command came to be");
});

scenario("a page of another origin cannot frame the dashboard", async (world) => {
  world.expectComplaints(/frame-ancestors/, /ERR_BLOCKED_BY_RESPONSE/);
  const stranger = await strangersPage(world);
  await stranger.page.evaluate((origin) => {
    const frame = document.createElement("iframe");
    frame.src = origin;
    document.body.append(frame);
    return new Promise((resolve) => frame.addEventListener("load", resolve));
  }, world.gateway.origin);
  stranger.foreignRequests.length = 0;
  const [frame] = stranger.page.frames().filter((other) => other !== stranger.page.mainFrame());
  assert.notEqual(new URL(frame.url()).origin, world.gateway.origin);
});

scenario(
  "a name that was bent to the gateway's address shows nothing",
  async (world) => {
    world.expectComplaints(/403/);
    const page = await world.openBlank();
    const port = world.gateway.http.split(":").at(-1);
    const response = await page.goto(`http://rebound.example:${port}/`);
    page.foreignRequests.length = 0;
    assert.equal(response.status(), 403);
    assert.equal(await page.by("brand").count(), 0);
  },
  { browser: ["--host-resolver-rules=MAP rebound.example 127.0.0.1"] },
);

scenario("only the gateway's own names are answered, on every path", async ({ gateway }) => {
  const port = gateway.http.split(":").at(-1);
  const upgrade = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
  for (const path of ["/", "/api/v1/devices", "/metrics"]) {
    assert.equal(await statusFor(gateway, `rebound.example:${port}`, path), 403, path);
    assert.equal(await statusFor(gateway, `localhost:${port}`, path), 200, path);
  }
  assert.equal(await statusFor(gateway, `rebound.example:${port}`, "/ws", upgrade), 403);
});

scenario("the page works under a policy that lets it run and ask nothing foreign", async (world) => {
  const page = await world.openBlank();
  const response = await page.goto(world.gateway.origin);
  const headers = response.headers();
  const policy = headers["content-security-policy"];
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
  ]) {
    assert.ok(policy?.includes(rule), `${rule} in ${policy}`);
  }
  assert.ok(!/unsafe|\*|data:/.test(policy), policy);
  assert.equal(headers["x-content-type-options"], "nosniff");
  await page.state("live");
  await world.device("pump-1");
  await page.rowWith("pump-1", "online");
  await page.openDevice("pump-1");
  await untilEqual("the form", () => page.by("command-form").count(), 1);
});
