// What the form for a command offers to begin from.
import { expect, it } from "vitest";
import { aCommand } from "../dev/samples.mjs";
import { suggestionsFor } from "../src/views/suggestions";

it("offers what was sent before, each command once and as it was sent last, where nothing is known of the type", () => {
  const sent = [
    aCommand({ name: "open_window", params: { percent: 40 } }),
    aCommand({ name: "water", params: {} }),
    aCommand({ name: "open_window", params: { percent: 10 } }),
  ];
  expect(suggestionsFor(null, sent)).toEqual([
    { name: "open_window", params: { percent: 40 } },
    { name: "water", params: {} },
  ]);
});

it("offers nothing that nobody ever sent or declared", () => {
  expect(suggestionsFor(null, [])).toEqual([]);
  expect(suggestionsFor("greenhouse", [])).toEqual([]);
});

it("offers a few at most", () => {
  const sent = Array.from({ length: 20 }, (_, index) => aCommand({ name: `command_${index}` }));
  expect(suggestionsFor(null, sent)).toHaveLength(6);
});
