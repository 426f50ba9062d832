import { deepEqual, equal, ok } from "node:assert/strict";
import type { MessageEntry } from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import type { LayoutContext } from "../../lib/ui/layout.ts";
import { type Row, Typesetter } from "../../lib/ui/terminal/rows.ts";
import { chooseTheme, NickColors } from "../../lib/ui/theme.ts";
import { Viewport } from "../../lib/ui/viewport.ts";

const NOON = new Date(2026, 10, 29, 12, 0).getTime();
const CONTEXT: LayoutContext = {
  width: 60,
  nickWidth: 6,
  text: new Typesetter({ utf8: true }),
  theme: chooseTheme("none", "unknown"),
  colors: new NickColors(),
  ownNick: "anna",
  maxRows: 16,
  query: "",
  timestamps: true,
  now: NOON,
};

function written(rows: readonly Row[]): string[] {
  return rows.map((row) => row.map((segment) => segment.text).join("").trimEnd());
}

/** A conversation whose messages have `heights` rows, each its number and its row. */
function rig(heights: readonly number[]) {
  const model = new Conversations();
  const conversation = model.open("room:lobby", "lobby");
  let count = 0;
  const add = (height: number, rest: Partial<MessageEntry> = {}) => {
    const number = count++;
    const text = Array.from({ length: height }, (_, row) => `${number}.${row}`).join("\n");
    return model.add<MessageEntry>(conversation, {
      type: "message",
      at: NOON,
      id: String(number),
      from: `SHA256:${number}`,
      nick: "bob",
      trust: "known",
      own: false,
      via: "lobby",
      action: false,
      text,
      mention: false,
      view: "same",
      reactions: new Map(),
      edited: false,
      retracted: false,
      ...rest,
    });
  };
  heights.forEach((height) => add(height));
  const view = new Viewport(conversation);
  /** The rows on the screen, without what stands left of the text. */
  const seen = (height: number, context = CONTEXT) =>
    written(view.rows(height, context, undefined)).map((row) =>
      row.includes("──") ? "rule" : row.slice(14)
    );
  return { model, conversation, view, add, seen };
}

Deno.test("what is newest is at the bottom", () => {
  const { seen, add } = rig([1, 2, 1]);
  deepEqual(seen(3), ["1.0", "1.1", "2.0"]);
  deepEqual(seen(9).length, 5, "with the line of the day");
  add(1);
  deepEqual(seen(2), ["2.0", "3.0"]);
});

Deno.test("scrolling goes row by row, to the first and not beyond", () => {
  const { view, seen } = rig([1, 2, 1]);
  seen(2);
  view.scroll(1, 2);
  deepEqual(seen(2), ["1.0", "1.1"]);
  ok(!view.isFollowing);
  view.scroll(9, 2);
  deepEqual(seen(2)[1], "0.0");
  view.scroll(1, 2);
  deepEqual(seen(2)[1], "0.0");
  view.scroll(-9, 2);
  deepEqual(seen(2), ["1.1", "2.0"]);
  ok(view.isFollowing);
});

Deno.test("a conversation that fits does not scroll", () => {
  const { view, seen } = rig([1, 1]);
  const before = seen(9);
  view.scroll(3, 9);
  deepEqual(seen(9), before);
  ok(view.isFollowing);
});

Deno.test("each page up shows the rows above, each page down those below, none left out", () => {
  const heights = Array.from({ length: 60 }, (_, i) => 1 + (i * 7) % 5);
  const all = heights.flatMap((height, i) =>
    Array.from({ length: height }, (_, row) => `${i}.${row}`)
  );
  for (const height of [1, 2, 3, 7, 20]) {
    const { view, seen } = rig(heights);
    let rows = seen(height);
    let collected = [...rows];
    for (let i = 0; i < 400; i++) {
      view.scroll(height, height);
      const next = seen(height);
      equal(next.length, height);
      const added = next.filter((row) => !collected.includes(row));
      collected = [...added, ...collected];
      if (added.length === 0) break;
      rows = next;
    }
    deepEqual(collected.filter((row) => row !== "rule"), all);
    collected = [...rows];
    while (!view.isFollowing) {
      view.scroll(-height, height);
      collected.push(...seen(height).filter((row) => !collected.includes(row)));
    }
    deepEqual(collected.filter((row) => row !== "rule"), all);
  }
});

Deno.test("what arrives and what is dropped moves nothing that is on the screen", () => {
  const { view, seen, add, conversation } = rig(Array.from({ length: 30 }, () => 2));
  seen(6);
  view.scroll(20, 6);
  const before = seen(6);
  add(3);
  deepEqual(seen(6), before);
  conversation.entries.splice(0, 10);
  deepEqual(seen(6), before);
  // What was on the screen is gone: the oldest is shown.
  conversation.entries.splice(0, 15);
  equal(seen(6).at(-1), "25.1");
});

Deno.test("at another width and back the place is the same", () => {
  const { view, seen } = rig(Array.from({ length: 30 }, () => 3));
  seen(6);
  view.scroll(22, 6);
  const before = seen(6);
  for (const width of [30, 140, 20]) written(view.rows(6, { ...CONTEXT, width }, undefined));
  deepEqual(seen(6), before);
});

Deno.test("an entry that has changed is laid out anew", () => {
  const { model, seen, conversation } = rig([1, 1]);
  deepEqual(seen(2), ["0.0", "1.0"]);
  const entry = conversation.entries[0] as MessageEntry;
  entry.text = "edited";
  model.changed(conversation, entry);
  deepEqual(seen(2), ["edited", "1.0"]);
});

Deno.test("revealing brings an entry into view, and moves nothing if it is", () => {
  const { view, seen, conversation } = rig(Array.from({ length: 30 }, () => 1));
  seen(5);
  view.reveal(conversation.entries[28]!.seq, { height: 5, context: CONTEXT }, {
    firstNew: undefined,
  });
  ok(view.isFollowing);
  view.reveal(conversation.entries[10]!.seq, { height: 5, context: CONTEXT }, {
    firstNew: undefined,
  });
  deepEqual(seen(5), ["8.0", "9.0", "10.0", "11.0", "12.0"]);
});

Deno.test("the rows of an entry are without the lines above it", () => {
  const { view, conversation } = rig([2]);
  view.rows(9, CONTEXT, conversation.entries[0]!.seq);
  equal(view.rowsOf(conversation.entries[0]!.seq).length, 2);
});

Deno.test("the new line and the line of a day stand above their entries", () => {
  const { view, conversation, add } = rig([1, 1]);
  add(1, { at: NOON + 86_400_000 });
  const rows = written(view.rows(9, CONTEXT, conversation.entries[1]!.seq));
  deepEqual(rows.map((row) => row.replaceAll("─", "").trim()), [
    "Sunday, 29 November",
    "12:00    bob∙ 0.0",
    "new",
    "12:00    bob∙ 1.0",
    "Monday, 30 November",
    "12:00    bob∙ 2.0",
  ]);
});

Deno.test("messages of one person within five minutes are grouped, unless something differs", () => {
  const cases: [Partial<MessageEntry>, boolean][] = [
    [{}, true],
    [{ at: NOON + 301_000 }, false],
    [{ nick: "bobby" }, false],
    [{ trust: "verified" }, false],
    [{ action: true }, false],
    [{ view: "differs" }, false],
    [{ late: "2026-11-29T08:00:00Z" }, false],
    [{ from: "SHA256:other" }, false],
  ];
  for (const [rest, isGrouped] of cases) {
    const { view, add } = rig([]);
    add(1, { from: "SHA256:bob" });
    add(1, { from: "SHA256:bob", ...rest });
    const last = written(view.rows(1, CONTEXT, undefined))[0]!;
    equal(!/bob|\*/.test(last), isGrouped, JSON.stringify(rest));
  }
});

Deno.test("what was said before this run stands under its day, apart from what is said now", () => {
  const { add, seen, view } = rig([]);
  const bob = { from: "SHA256:bob" };
  const yesterday = NOON - 86_400_000;
  add(1, { ...bob, at: yesterday, past: "" });
  add(1, { ...bob, at: NOON - 2, past: "" });
  add(1, { ...bob, at: NOON - 1, past: "" });
  add(1, { ...bob });
  deepEqual(seen(9), ["rule", "0.0", "rule", "1.0", "2.0", "3.0"]);
  const rows = written(view.rows(9, CONTEXT, undefined));
  deepEqual([rows[0], rows[2]].map((row) => row!.replace(/^─+ | ─+$/g, "")), [
    "Saturday, 28 November",
    "Sunday, 29 November",
  ]);
  deepEqual(rows.map((row) => row.includes("bob")), [false, true, false, true, false, true]);
});
