// Pages of comma-separated values put together: each has the columns of its own time. Fields stay as they are written.

interface Page {
  readonly columns: readonly string[];
  readonly body: string;
}

/** The pages, which become one table. */
export class CsvPages {
  readonly #columns = new Set<string>();
  readonly #pages: Page[] = [];

  /** Takes a page; gives how many rows it has. */
  add(text: string): number {
    const length = firstRecord(text);
    const columns = recordsOf(text.slice(0, length))[0] ?? [];
    for (const column of columns) this.#columns.add(column);
    const body = text.slice(length + 1);
    this.#pages.push({ columns, body });
    return rowsOf(body);
  }

  /** The table, in parts: all columns that there are in the order in which they came. */
  parts(): string[] {
    const all = [...this.#columns];
    return [`${all.join(",")}\n`, ...this.#pages.map((page) => under(all, page))];
  }
}

/** A page's rows under the columns of all pages. */
function under(all: readonly string[], { columns, body }: Page): string {
  // Most pages have all of them, and need not be read.
  if (all.length === columns.length && all.every((name, at) => name === columns[at])) return body;
  const places = all.map((name) => columns.indexOf(name));
  const rows = recordsOf(body).map((fields) => places.map((at) => fields[at] ?? "").join(","));
  return rows.map((row) => `${row}\n`).join("");
}

/** The fields of each record, with their quotes: a line may break within them. */
function recordsOf(text: string): string[][] {
  const records: string[][] = [];
  let fields: string[] = [];
  for (const [, field = "", end] of text.matchAll(/("(?:[^"]|"")*"|[^,\n]*)(,|\n|$)/g)) {
    fields.push(field);
    if (end === ",") continue;
    if (fields.length > 1 || field !== "") records.push(fields);
    fields = [];
  }
  return records;
}

/** Where the first record ends. */
function firstRecord(text: string): number {
  for (const { 0: found, index } of text.matchAll(/"[^"]*"|\n/g)) if (found === "\n") return index;
  return text.length;
}

function rowsOf(text: string): number {
  let rows = 0;
  for (const [found] of text.matchAll(/"[^"]*"|\n/g)) if (found === "\n") rows += 1;
  return rows;
}
