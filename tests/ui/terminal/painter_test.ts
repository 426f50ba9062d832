import { deepEqual, equal, ok } from "node:assert/strict";
import { type Frame, Painter } from "../../../lib/ui/terminal/painter.ts";
import { pad, type Segment, Typesetter } from "../../../lib/ui/terminal/rows.ts";
import { Grid } from "../../support/grid.ts";

const OPTIONS = { sync: true, links: true };
const text = new Typesetter({ utf8: true });

function frame(rows: readonly (readonly Segment[])[]): Frame {
  return { rows, cursor: { row: 0, column: 0 } };
}

Deno.test("a frame that is shown is not written again", () => {
  const painter = new Painter(OPTIONS);
  ok(painter.paint(frame([text.segments("one"), []]), 10).includes("one"));
  equal(painter.paint(frame([text.segments("one"), []]), 10), "");
});

Deno.test("only a row that has changed is written, between the marks of a frame", () => {
  const painter = new Painter(OPTIONS);
  painter.paint(frame([text.segments("one"), text.segments("two")]), 10);
  equal(
    painter.paint(frame([text.segments("one"), text.segments("three", "1")]), 10),
    "\x1b[?2026h\x1b[?25l\x1b[2;1H\x1b[1mthree\x1b[m\x1b[K\x1b[1;1H\x1b[?25h\x1b[?2026l",
  );
});

Deno.test("a cursor that moves alone is written alone", () => {
  const painter = new Painter(OPTIONS);
  const rows = [text.segments("one")];
  painter.paint({ rows, cursor: { row: 0, column: 1 } }, 10);
  equal(painter.paint({ rows, cursor: { row: 0, column: 2 } }, 10), "\x1b[1;3H\x1b[?25h");
  equal(painter.paint({ rows, cursor: undefined }, 10), "\x1b[?25l");
});

Deno.test("behind a full row nothing is erased", () => {
  const painter = new Painter({ ...OPTIONS, sync: false });
  ok(!painter.paint(frame([text.segments("0123456789")]), 10).includes("\x1b[K"));
});

Deno.test("a row with an uncertain width is cleared first, and the column set behind it", () => {
  const painter = new Painter({ ...OPTIONS, sync: false });
  const output = painter.paint(frame([text.segments("a👍b")]), 10);
  ok(output.includes("\x1b[1;1H\x1b[2Ka👍\x1b[4Gb"), JSON.stringify(output));
});

Deno.test("after forgetting, or at another size, everything is written", () => {
  const painter = new Painter(OPTIONS);
  const rows = [text.segments("one")];
  painter.paint(frame(rows), 10);
  painter.forget();
  ok(painter.paint(frame(rows), 10).includes("\x1b[2J"));
  ok(painter.paint(frame(rows), 11).includes("\x1b[2J"));
  equal(painter.paint(frame(rows), 11), "");
});

Deno.test("the parts of a link have one id, and what is behind it is no link", () => {
  const painter = new Painter(OPTIONS);
  const [first, second] = [
    text.segments("http://", "4", "http://a"),
    text.segments("a", "4", "http://a"),
  ];
  const output = painter.paint(frame([first, [...second, ...text.segments(" b")]]), 10);
  // deno-lint-ignore no-control-regex
  const links = [...output.matchAll(/\x1b\]8;(.*?)\x1b\\/g)].map((match) => match[1]!);
  equal(links.length, 4);
  ok(links[0]!.endsWith(";http://a"));
  deepEqual(links, [links[0], ";", links[0], ";"]);
  ok(!new Painter({ sync: true, links: false }).paint(frame([first]), 10).includes("]8;"));
});

const CLUSTERS = ["a", "日", "👍", "e\u0301", "👩\u200d👧", "❤\ufe0f", "🇩🇪", "ш", "\u0301"];

Deno.test("whatever widths the terminal has, fields stay in their columns, and changes end like a repaint", () => {
  let seed = 5;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * n);
  };
  const widths = new Map<string, number>();
  const width = (cluster: string): number => {
    const { width: ours, certain } = text.measure(cluster);
    if (certain) return ours;
    if (!widths.has(cluster)) widths.set(cluster, 1 + random(Math.max(2, ours)));
    return widths.get(cluster)!;
  };
  const word = (): string =>
    Array.from({ length: random(9) }, () => CLUSTERS[random(CLUSTERS.length)]).join("");
  for (let run = 0; run < 40; run++) {
    widths.clear();
    const painter = new Painter(OPTIONS);
    const grid = new Grid(40, 4, width);
    let rows: Segment[][] = [];
    for (let step = 0; step < 6; step++) {
      rows = Array.from({ length: 4 }, (_, i) => {
        if (rows[i] !== undefined && random(2) === 0) return rows[i]!;
        const field = pad(text.segments(word(), String(random(3))), 30);
        return [...field, ...text.segments("|end", "1")];
      });
      grid.write(painter.paint(frame(rows), 40));
      const repainted = new Grid(40, 4, width);
      repainted.write(new Painter(OPTIONS).paint(frame(rows), 40));
      deepEqual(grid.cells, repainted.cells);
      for (const cells of grid.cells) equal(cells.slice(30).join(""), "|end      ");
    }
  }
});
