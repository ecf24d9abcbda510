// A form's fields from the JSON Schema of a command's parameters.

/** How a field is filled in. */
export type FieldKind = "number" | "integer" | "boolean" | "text" | "choice" | "json";

/** A parameter, as a form asks for it. */
export interface Field {
  readonly name: string;
  readonly title: string;
  readonly hint: string;
  readonly kind: FieldKind;
  readonly isRequired: boolean;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly step: number | "any";
  readonly lengthMax: number | undefined;
  readonly choices: readonly unknown[];
  readonly initial: unknown;
}

/** The fields, in the schema's order; null where a form cannot say all that the schema allows. */
export function fieldsOf(schema: unknown): Field[] | null {
  if (!isObject(schema)) return null;
  const { type, properties = {}, required = [] } = schema;
  if (type !== undefined && type !== "object") return null;
  if (!isObject(properties) || composing.some((word) => word in schema)) return null;
  const needed = new Set(Array.isArray(required) ? required : []);
  return Object.entries(properties).map(([name, property]) => fieldOf(name, property, needed.has(name)));
}

/** What stands in the form at first: what the schema gives, and of choices the only one. */
export function initialOf(fields: readonly Field[]): Record<string, unknown> {
  const given = fields.filter(({ initial }) => initial !== undefined);
  return Object.fromEntries(given.map(({ name, initial }) => [name, initial]));
}

const composing = ["oneOf", "anyOf", "allOf", "if", "$ref", "patternProperties"];

function fieldOf(name: string, property: unknown, isRequired: boolean): Field {
  const schema = isObject(property) ? property : {};
  const kind = kindOf(schema);
  const choices = Array.isArray(schema.enum) ? schema.enum : "const" in schema ? [schema.const] : [];
  const step = number(schema.multipleOf) ?? (kind === "integer" ? 1 : "any");
  const first = kind === "boolean" && isRequired ? false : choices.length === 1 ? choices[0] : undefined;
  return {
    name,
    title: text(schema.title) ?? name,
    hint: text(schema.description) ?? "",
    kind,
    isRequired,
    min: onStep(number(schema.minimum) ?? number(schema.exclusiveMinimum), step),
    max: number(schema.maximum) ?? number(schema.exclusiveMaximum),
    step,
    lengthMax: number(schema.maxLength),
    choices,
    initial: "default" in schema ? schema.default : first,
  };
}

function kindOf(schema: Record<string, unknown>): FieldKind {
  if (Array.isArray(schema.enum) || "const" in schema) return "choice";
  switch (schema.type) {
    case "number":
    case "integer":
    case "boolean":
      return schema.type;
    case "string":
      return "text";
    default:
      return "json";
  }
}

/** A field counts its steps from its least value, a schema from 0: the least that is in both. */
function onStep(min: number | undefined, step: number | "any"): number | undefined {
  if (min === undefined || step === "any" || step <= 0) return min;
  return Number((Math.ceil(min / step - 1e-9) * step).toPrecision(12));
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
