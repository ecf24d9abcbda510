// Pages of comma-separated values as one table.
import { expect, it } from "vitest";
import { CsvPages } from "../src/text/csv";

function tableOf(...texts: string[]): [rows: number, text: string] {
  const pages = new CsvPages();
  const rows = texts.reduce((sum, text) => sum + pages.add(text), 0);
  return [rows, pages.parts().join("")];
}

it("puts pages with the same columns one after the other", () => {
  expect(tableOf("timestamp,a\n1,10\n2,20\n", "timestamp,a\n3,30\n")).toEqual([
    3,
    "timestamp,a\n1,10\n2,20\n3,30\n",
  ]);
  expect(tableOf("timestamp\n")).toEqual([0, "timestamp\n"]);
});

it("keeps a column that only some pages have, in its place", () => {
  expect(tableOf("timestamp,a,b\n1,10,11\n", "timestamp,b,c\n2,,22\n", "timestamp,a\n3,30\n")).toEqual([
    3,
    "timestamp,a,b,c\n1,10,11,\n2,,,22\n3,30,,\n",
  ]);
});

it("lets a line break, a comma and a quote in a name or a value be", () => {
  const first = 'timestamp,"odd\nname, ""so""",a\n1,"line\r\nline",10\n';
  expect(tableOf(first, 'timestamp,"odd\nname, ""so"""\n2,"x,""y"""\n')).toEqual([
    2,
    'timestamp,"odd\nname, ""so""",a\n1,"line\r\nline",10\n2,"x,""y""",\n',
  ]);
});
