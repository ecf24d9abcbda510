// A command's parameters as a person types them.

/** A row of the form. */
export interface ParamRow {
  readonly key: string;
  /** JSON where it is valid JSON, else plain text. */
  readonly value: string;
}

/** What was typed, understood or not. */
export type Params = { kind: "ok"; params: Record<string, unknown> } | { kind: "bad"; message: string };

/** What stands in the form, in the shape a person chose. */
export type ParamsText =
  | { kind: "rows"; rows: readonly ParamRow[] }
  | { kind: "json"; json: string }
  /** Fields that a schema describes; those that were left empty are not in it. */
  | { kind: "form"; params: Readonly<Record<string, unknown>> };

/** A form nobody has typed into: one empty row. */
export const emptyParams: ParamsText = { kind: "rows", rows: [{ key: "", value: "" }] };

/** Reads what stands in the form. */
export function readParams(text: ParamsText): Params {
  if (text.kind === "form") return { kind: "ok", params: { ...text.params } };
  return text.kind === "rows" ? readRows(text.rows) : readJson(text.json);
}

/** Writes parameters in the shape `kind`. */
export function fromParams(kind: ParamsText["kind"], params: Record<string, unknown>): ParamsText {
  if (kind === "form") return { kind, params };
  if (kind === "json") return { kind, json: JSON.stringify(params, null, 2) };
  const rows = Object.entries(params).map(([key, value]) => ({ key, value: writeValue(value) }));
  return rows.length === 0 ? emptyParams : { kind, rows };
}

/** What kind of value a row's text will be sent as. */
export function kindOf(text: string): string {
  const value = readValue(text);
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  return typeof value === "string" ? "text" : typeof value;
}

/** Rows that are wholly empty count for nothing. */
function readRows(rows: readonly ParamRow[]): Params {
  const params: Record<string, unknown> = {};
  for (const { key, value } of rows) {
    const name = key.trim();
    if (name === "" && value.trim() === "") continue;
    if (name === "") return { kind: "bad", message: `the value ${value} has no name` };
    if (Object.hasOwn(params, name)) return { kind: "bad", message: `${name} stands there twice` };
    params[name] = readValue(value);
  }
  return { kind: "ok", params };
}

/** Nothing at all is the empty one. */
function readJson(text: string): Params {
  if (text.trim() === "") return { kind: "ok", params: {} };
  const parsed = tryJson(text);
  if (parsed.kind === "bad") return parsed;
  const { value } = parsed;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { kind: "ok", params: value as Record<string, unknown> };
  }
  return { kind: "bad", message: 'parameters are an object, such as {"percent": 50}' };
}

function readValue(text: string): unknown {
  const parsed = tryJson(text.trim());
  return parsed.kind === "ok" ? parsed.value : text;
}

/** Text that would be read as something else is written as JSON text. */
function writeValue(value: unknown): string {
  if (typeof value === "string" && tryJson(value.trim()).kind === "bad") return value;
  return JSON.stringify(value);
}

/** Reads JSON, or says why it is none. */
export function tryJson(text: string): { kind: "ok"; value: unknown } | { kind: "bad"; message: string } {
  try {
    return { kind: "ok", value: JSON.parse(text) };
  } catch (error) {
    return { kind: "bad", message: error instanceof Error ? error.message : String(error) };
  }
}
