// Holds golden messages against a gateway's /asyncapi.json and /openapi.json: asyncapi.mjs URL SNAPSHOTS
//
// AsyncAPI's own parser takes the document without an error (it also compares the examples with the
// schemas); then every golden message must be as the schemas say, without a member that they do not name,
// and every message that the schemas name must be among the golden ones or the examples. Prints how many
// golden messages were looked at; exits with 1 where something differs.

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Parser } from "@asyncapi/parser";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";

const [url, snapshots] = process.argv.slice(2);

const faults = [];
const asyncText = await text("/asyncapi.json");
const asyncapi = JSON.parse(asyncText);
const openapi = JSON.parse(await text("/openapi.json"));

const ERROR = 0;
const { diagnostics } = await new Parser().parse(asyncText);
for (const { severity, message, path } of diagnostics) {
  if (severity === ERROR) faults.push(`asyncapi.json: ${path.join(".")}: ${message}`);
}

const socket = checker(Ajv, asyncapi);
const http = checker(Ajv2020, openapi);

let count = 0;
const seen = new Set();
for (const file of await readdir(snapshots)) {
  const name = /^e2e__golden__(.+)\.snap$/.exec(basename(file))?.[1];
  if (name === undefined) continue;
  count += 1;
  const golden = filled(JSON.parse(body(await readFile(join(snapshots, file), "utf8"))));
  if (name === "device") http("Device", name, golden);
  else if (name === "command_with_its_story") http("CommandDetails", name, golden);
  else if (name.startsWith("problem_")) http("Problem", name, golden);
  else if (name === "delivery") socket("Delivery", name, golden);
  else if (name === "desired_delivery") socket("Desired", name, golden);
  else if (name === "desired_answer") http("DeviceState", name, golden);
  else if (name === "alert_answer") http("Alert", name, golden);
  else if (name === "audit_entry") http("AuditEntry", name, golden);
  else if (name === "stats") sameNames(asyncapi.components.schemas.GatewayStats, golden);
  else for (const message of [golden].flat()) look(name, message);
}
for (const { payload } of asyncapi.components.messages.frame.examples) {
  for (const message of payload) look("an example", message);
}
for (const { $ref } of asyncapi.components.schemas.Reply.oneOf) {
  const kind = asyncapi.components.schemas[$ref.split("/").at(-1)].properties.type.const;
  if (!seen.has(kind)) faults.push(`no golden message and no example is of type ${kind}`);
}

if (count === 0) faults.push(`there is no golden message in ${snapshots}`);
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
process.stdout.write(JSON.stringify(count));

async function text(path) {
  const answer = await fetch(url + path, { signal: AbortSignal.timeout(30_000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.text();
}

function look(name, message) {
  seen.add(message.type);
  socket("ServerMessage", name, message);
}

/** What follows the head of a snapshot. */
function body(snapshot) {
  return snapshot.split(/^---$/m).slice(2).join("---");
}

/** The message with what was hidden replaced by something of its kind. */
function filled(value) {
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value === "string") return stand(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filled(member)]));
}

function stand(text) {
  if (/^\[(address|epoch|node|session)\]$/.test(text)) return text;
  if (/^\[[a-z_]+\]$/.test(text) && text !== "[uuid]") return 1;
  return text.replaceAll("[uuid]", "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c");
}

function sameNames(schema, golden) {
  const [wanted, was] = [schema.properties, golden].map((one) => Object.keys(one).sort().join(", "));
  if (wanted !== was) faults.push(`stats: the schema has ${wanted}; the gateway ${was}`);
}

/** Checks values against the closed schemas of a document. */
function checker(Validator, document) {
  const ajv = new Validator({ strict: false, validateFormats: false, allErrors: true });
  const schemas = structuredClone(document.components.schemas);
  Object.values(schemas).forEach(close);
  ajv.addSchema({ $id: "https://sluice.invalid/document", components: { schemas } });
  return (schema, name, value) => {
    const validate = ajv.getSchema(`https://sluice.invalid/document#/components/schemas/${schema}`);
    if (!validate(value)) faults.push(`${name}: ${ajv.errorsText(validate.errors)}`);
  };
}

/** Lets an object have no members but those that are named; `if` and `allOf` name some of them only. */
function close(schema) {
  if (typeof schema !== "object" || schema === null) return;
  if (schema.properties) schema.additionalProperties ??= false;
  for (const part of Object.values(schema.properties ?? {})) close(part);
  for (const part of [schema.items, schema.oneOf, schema.anyOf].flat()) close(part);
}
