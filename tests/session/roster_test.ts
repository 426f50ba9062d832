import assert from "node:assert/strict";
import { WHY } from "../../lib/protocol/frames.ts";
import { shortFingerprint } from "../../lib/protocol/identity.ts";
import { ANNA, BERT, CARL, DORA, meet, texts } from "../support/people.ts";
import { TestRoom } from "../support/test_room.ts";

Deno.test("Roster.find(): a fingerprint means that key or nobody, even if somebody uses it as a nick", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const { roster } = anna.membership;
    assert.equal(roster.find(bert.name).name, bert.name);
    await room.leave(bert);
    for (const nick of [bert.name, bert.name.toLowerCase(), bert.name.slice(0, 20)]) {
      const mallory = await room.enter({ ...CARL, nick });
      assert.equal(roster.people().length, 1);
      assert.throws(() => roster.find(nick), /nobody here is called/);
      assert.throws(() => anna.sendPrivate(nick, "secret"), /nobody here is called/);
      assert.deepEqual(texts(mallory), []);
      await room.leave(mallory);
    }
    const mallory = await room.enter({ ...CARL, nick: bert.name });
    await room.enter(BERT);
    assert.equal(roster.find(bert.name).name, bert.name);
    assert.equal(roster.find(mallory.name).name, mallory.name);
  });
});

Deno.test("Roster.find(): a nick that breaks a rule of §9 is found by its shown form only", async () => {
  await TestRoom.use(async (room) => {
    const bert = await room.client(BERT);
    const looks = [
      `bert#${shortFingerprint(bert.name, 4)}`,
      `?${shortFingerprint(bert.name, 4)}`,
      "-bert",
      "bеrt",
    ];
    for (const nick of looks) {
      await TestRoom.use(async (room) => {
        const [anna, mallory] = await meet(room, ANNA, { ...CARL, nick });
        const { roster } = anna.membership;
        assert.throws(() => roster.find(nick), /nobody here is called/);
        assert.equal(roster.find(`?${shortFingerprint(mallory.name, 4)}`).name, mallory.name);
      });
    }
  });
});

Deno.test("Roster.find(): without case in the nick, but with it in what follows the #", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, { ...CARL, nick: "Bert" });
    const { roster } = anna.membership;
    const start = shortFingerprint(bert.name, 4);
    assert.equal(roster.find(`bert#${start}`).name, bert.name);
    assert.equal(roster.find(`BERT#${start}`).name, bert.name);
    assert.equal(roster.find(`bert#${shortFingerprint(carl.name, 4)}`).name, carl.name);
    const swapped = start.replace(
      /[a-z]/i,
      (letter) => letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    );
    assert.notEqual(swapped, start);
    assert.throws(() => roster.find(`bert#${swapped}`), /nobody here is called/);
    assert.throws(() => roster.find("bert"), /more than one person is called bert/);
  });
});

Deno.test("Roster.find(): a nick that looks like another one means more than one person", async () => {
  await TestRoom.use(async (room) => {
    const latin = { ...BERT, nick: "coco" };
    const [anna, bert, carl] = await meet(room, ANNA, latin, { ...CARL, nick: "сосо" });
    const { roster } = anna.membership;
    const shown = `сосо#${shortFingerprint(carl.name, 4)}`;
    assert.equal(roster.find(shown).name, carl.name);
    for (const nick of ["coco", "сосо", "COCO"]) {
      assert.throws(() => roster.find(nick), /more than one person is called/);
    }
    await room.leave(bert);
    assert.equal(roster.find("сосо").name, carl.name);
    assert.throws(() => roster.find("coco"), /nobody here is called/);
  });
});

Deno.test("Sender: a private message to the fingerprint of a lost person waits for their key", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, dora] = await meet(room, ANNA, BERT, DORA);
    await room.leave(bert, WHY.LOST);
    anna.sendPrivate(bert, "important");
    const mallory = await room.enter({ ...CARL, nick: "bert" });
    await room.advance(1000);
    assert.ok(anna.membership.outbox.owed);
    assert.deepEqual([texts(mallory), texts(dora)], [[], []]);
    await room.join(bert);
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["important"]);
    assert.ok(!anna.membership.outbox.owed);
    await room.leave(bert);
    assert.throws(() => anna.sendPrivate(bert, "gone"), /nobody here is called/);
  });
});

Deno.test("Sender: a lost person whose nick belongs to another key gets nothing private", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.leave(bert);
    const mallory = await room.enter({ ...CARL, nick: "bert" });
    await room.leave(mallory, WHY.LOST);
    assert.throws(() => anna.sendPrivate(mallory, "secret"), /known nick with another key/);
  });
});
