import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { WHY } from "../../lib/protocol/frames.ts";
import { IDS_REMEMBERED, STREAMS_REMEMBERED } from "../../lib/protocol/limits.ts";
import { NOTE, type NoteMessage } from "../../lib/protocol/messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import { MAX_KEPT_NOTES, NOTE_KEPT_MS, Notes, ShownMessages } from "../../lib/session/notes.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { ANNA, BERT, CARL, meet } from "../support/people.ts";
import { TestRoom } from "../support/test_room.ts";

const PEOPLE = {
  own: { name: "own", fingerprint: new Uint8Array(32).fill(1) },
  anna: { name: "anna", fingerprint: new Uint8Array(32).fill(2) },
  bert: { name: "bert", fingerprint: new Uint8Array(32).fill(3) },
};

function id(n: number): string {
  return n.toString(16).padStart(16, "0");
}

/** The receiving side of NOTEs. */
class Desk {
  readonly clock = new FakeClock();
  readonly shown = new ShownMessages();
  readonly notes = new Notes({ clock: this.clock, own: "own", shown: this.shown });
  readonly effects: string[] = [];

  /** Shows a message. @param other Of a private one: the other side. */
  show(who: keyof typeof PEOPLE, n: number, other?: string): void {
    this.notes.shown(this.shown.add(PEOPLE[who], id(n), other));
  }

  /** Takes a NOTE about message `n` of `whose`. */
  note(who: string, what: number, [whose, n]: [keyof typeof PEOPLE, number], text = ""): void {
    const ref = messageReference(PEOPLE[whose].fingerprint, id(n));
    const note: NoteMessage = { type: "note", seq: 1, ref, what, text };
    this.notes.take(who, note, (effect) => {
      this.effects.push(
        `${who}: ${effect.what} ${effect.text} of ${effect.message.fingerprint} ` +
          Number(`0x${effect.message.id}`),
      );
    });
  }
}

Deno.test("Notes: anybody may react to a message to the room, only its sender may change it", () => {
  const desk = new Desk();
  desk.show("anna", 1);
  desk.note("bert", NOTE.REACT, ["anna", 1], "👍🏽");
  desk.note("bert", NOTE.UNREACT, ["anna", 1]);
  desk.note("anna", NOTE.EDIT, ["anna", 1], "new");
  desk.note("anna", NOTE.RETRACT, ["anna", 1]);
  assert.deepEqual(desk.effects.splice(0), [
    "bert: reaction 👍🏽 of anna 1",
    "bert: unreaction  of anna 1",
    "anna: edit new of anna 1",
    "anna: retraction  of anna 1",
  ]);
  desk.note("bert", NOTE.EDIT, ["anna", 1], "forged");
  desk.note("bert", NOTE.RETRACT, ["anna", 1]);
  desk.note("bert", NOTE.REACT, ["anna", 1], "ab"); // two clusters
  desk.note("bert", 5, ["anna", 1]);
  assert.deepEqual(desk.effects, []);
});

Deno.test("Notes: a private message concerns its two sides alone", () => {
  const desk = new Desk();
  desk.show("anna", 1, "own"); // to us
  desk.show("own", 2, "anna"); // from us
  for (const about of [["anna", 1], ["own", 2]] as const) {
    desk.note("bert", NOTE.REACT, [...about], "x");
    desk.note("anna", NOTE.REACT, [...about], "y");
  }
  assert.deepEqual(desk.effects, ["anna: reaction y of anna 1", "anna: reaction y of own 2"]);
});

Deno.test("Notes about an unknown message are kept for 60 s, 32 of each person, and take effect when it is shown", async () => {
  for (const [age, isKept] of [[NOTE_KEPT_MS - 1, true], [NOTE_KEPT_MS, false]] as const) {
    const desk = new Desk();
    desk.note("bert", NOTE.REACT, ["anna", 1], "x");
    desk.note("bert", NOTE.EDIT, ["anna", 1], "forged");
    await desk.clock.advance(age);
    desk.show("anna", 1);
    assert.deepEqual(desk.effects, isKept ? ["bert: reaction x of anna 1"] : []);
    desk.show("anna", 2);
    assert.equal(desk.effects.length, isKept ? 1 : 0);
  }
  const desk = new Desk();
  for (let n = 0; n <= MAX_KEPT_NOTES; n++) desk.note("bert", NOTE.REACT, ["anna", n], "x");
  desk.note("anna", NOTE.EDIT, ["anna", 0], "y");
  for (let n = 0; n <= MAX_KEPT_NOTES; n++) desk.show("anna", n);
  assert.equal(desk.effects.length, MAX_KEPT_NOTES + 1);
  assert.equal(desk.effects[0], "anna: edit y of anna 0"); // bert's first one is forgotten
});

Deno.test("ShownMessages remember 1024 messages of each of 1024 people", () => {
  const shown = new ShownMessages();
  for (let n = 0; n <= IDS_REMEMBERED; n++) shown.add(PEOPLE.anna, id(n), undefined);
  assert.deepEqual([0, 1, IDS_REMEMBERED].map((n) => shown.has("anna", id(n))), [
    false,
    true,
    true,
  ]);
  const first = messageReference(PEOPLE.anna.fingerprint, id(0));
  assert.equal(shown.byReference(first), undefined);
  for (let i = 1; i < STREAMS_REMEMBERED; i++) {
    shown.add({ name: `p${i}`, fingerprint: PEOPLE.bert.fingerprint }, id(i), undefined);
  }
  assert.ok(shown.has("anna", id(1)));
  shown.add({ name: "one more", fingerprint: PEOPLE.own.fingerprint }, id(1), undefined);
  assert.ok(!shown.has("anna", id(1)));
  assert.equal(
    shown.byReference(messageReference(PEOPLE.anna.fingerprint, id(1))),
    undefined,
  );
});

Deno.test("ShownMessages: where two people used one id, the first one shown counts unless it is said whose", () => {
  const shown = new ShownMessages();
  shown.add(PEOPLE.bert, id(7), undefined);
  const only = shown.byId(id(7))!;
  assert.deepEqual(shown.name(only), { id: id(7) });
  shown.add(PEOPLE.anna, id(7), undefined);
  assert.equal(shown.byId(id(7))!.fingerprint, "bert");
  assert.equal(shown.byId(id(7), "anna")!.fingerprint, "anna");
  assert.deepEqual(shown.name(only), { id: id(7), of: "bert" });
  assert.equal(shown.byId(id(8)), undefined);
});

Deno.test("Sender: a reaction, an edit and a retraction reach everybody, and nobody else's message can be changed", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    const message = anna.say("hello");
    await room.advance(1000);
    bert.sendNote({ id: message }, "reaction", "👍");
    bert.sendNote({ id: message }, "unreaction");
    anna.sendNote({ id: message }, "edit", "hallo");
    anna.sendNote({ id: message }, "retraction");
    for (const what of ["edit", "retraction"] as const) {
      assert.throws(() => bert.sendNote({ id: message }, what, "x"), UsageError);
    }
    assert.throws(() => bert.sendNote({ id: message }, "reaction", "no"), UsageError);
    assert.throws(() => bert.sendNote({ id: id(1) }, "reaction", "x"), UsageError);
    await room.advance(1000);
    const ofBert = ["bert: reaction 👍 of hello", "bert: unreaction  of hello"];
    const ofAnna = ["anna: edit hallo of hello", "anna: retraction  of hello"];
    assert.deepEqual(anna.take("note"), ofBert);
    assert.deepEqual(bert.take("note"), ofAnna);
    assert.deepEqual(carl.take("note").sort(), [...ofAnna, ...ofBert].sort());
    assert.deepEqual(bert.take("delivered", "undelivered"), []); // a NOTE is not reported
    assert.ok(!anna.membership.outbox.owed);
  });
});

Deno.test("Sender: a note about a private message goes to its other side only, and waits if that is lost", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    const message = anna.sendPrivate(bert, "psst");
    await room.advance(1000);
    bert.sendNote({ id: message }, "reaction", "x");
    await room.leave(bert, WHY.LOST);
    anna.sendNote({ id: message }, "edit", "pst");
    await room.join(bert);
    await room.advance(1000);
    assert.deepEqual(anna.take("note"), ["bert: reaction x of psst"]);
    assert.deepEqual(bert.take("note"), ["anna: edit pst of psst"]);
    assert.deepEqual(carl.take("note"), []);
    await room.leave(bert);
    assert.throws(() => anna.sendNote({ id: message }, "edit", "x"), UsageError);
  });
});

Deno.test("Sender: an answer names its message by id, for those who know it", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const asked = anna.say("ready?");
    await room.advance(1000);
    const carl = await room.enter(CARL);
    bert.say("yes", { reply: { id: asked } });
    assert.throws(() => bert.say("what?", { reply: { id: id(9) } }), UsageError);
    await room.advance(1000);
    const replyOf = (client: typeof anna) => {
      const event = client.events.findLast((each) => each.event === "chat" && each.text === "yes");
      return event?.event === "chat" ? event.reply : "not shown";
    };
    assert.equal(replyOf(anna), asked);
    assert.equal(replyOf(carl), undefined);
    const sent = bert.events.find(({ event }) => event === "sent");
    assert.equal(sent?.event === "sent" && sent.reply, asked);
  });
});
