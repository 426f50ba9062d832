import { deepEqual } from "node:assert/strict";
import { entriesOf } from "../../../../lib/ui/web/page/history.js";

function chat(id: string, nick = "bob") {
  return {
    event: "chat",
    view: "same",
    ...{ id, nick, fingerprint: `SHA256:${nick}`, text: `text ${id}` },
    ...{ sent: "2026-11-29T10:00:00.000Z", at: "2026-11-29T10:00:05.000Z" },
    action: false,
  } as const;
}

function note(
  what: "reaction" | "unreaction" | "edit" | "retraction",
  ref: string,
  nick: string,
  text = "",
) {
  const of = "SHA256:bob";
  return { event: "note", what, ref, of, nick, fingerprint: `SHA256:${nick}`, text } as const;
}

Deno.test("entriesOf() gives the newest message first, at the time when it was shown", () => {
  const entries = entriesOf([chat("1"), { ...chat("2", "anna"), own: true }]);
  deepEqual(
    entries.map((
      { id, text, own, trust, at },
    ) => [id, text, own, trust, new Date(at).toISOString()]),
    [
      ["2", "text 2", true, "self", "2026-11-29T10:00:05.000Z"],
      ["1", "text 1", false, "known", "2026-11-29T10:00:05.000Z"],
    ],
  );
});

Deno.test("entriesOf() does to messages what was done to them", () => {
  const [second, first] = entriesOf([
    chat("1"),
    chat("2"),
    note("edit", "1", "bob", "changed"),
    note("reaction", "1", "carl", "👍"),
    note("reaction", "1", "anna", "👍"),
    note("reaction", "1", "carl", "🎉"),
    note("unreaction", "1", "anna"),
    note("retraction", "2", "bob"),
    note("edit", "9", "bob", "of none"),
    { ...note("edit", "1", "eve", "by somebody else"), of: "SHA256:eve" },
  ]);
  deepEqual([first!.text, first!.edited, first!.retracted], ["changed", true, false]);
  deepEqual(first!.reactions, [["🎉", [{ fingerprint: "SHA256:carl", nick: "carl" }]]]);
  deepEqual([second!.text, second!.retracted], ["", true]);
});
