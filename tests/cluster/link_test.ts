import { deepEqual, equal, ok } from "node:assert/strict";
import { type Bytes, concat, decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import type { Bus } from "../../lib/cluster/bus.ts";
import {
  encodeForwardedHead,
  encodeLeft,
  ENTRY,
  forEachEntry,
  forEachPosition,
} from "../../lib/cluster/entries.ts";
import { ClusterKeys } from "../../lib/cluster/keys.ts";
import { IncomingLink } from "../../lib/cluster/incoming_link.ts";
import { OutgoingLink } from "../../lib/cluster/link.ts";
import { readSender } from "../../lib/cluster/link_message.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { SendCredit } from "../../lib/transport/send_credit.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

const KEYS = new ClusterKeys(Uint8Array.from({ length: 256 }, (_, i) => i));
const R = "00112233445566778899aabbccddeeff";
const OTHER = "ff".repeat(16);
const SID = "1122334455667788";

/** A link from {@linkcode R} to {@linkcode OTHER}, and the messages that it has published. */
function makeLink() {
  const clock = new FakeClock();
  const published: Bytes[] = [];
  const lost: SendCredit[] = [];
  const bus = {
    isUp: true,
    unwrittenBytes: 0,
    publish: (_to: string, message: Bytes) => void published.push(message),
  };
  const link = new OutgoingLink({
    bus: bus as unknown as Bus,
    clock,
    keys: KEYS,
    from: R,
    to: OTHER,
    defer: queueMicrotask,
    onLost: (credits) => lost.push(...credits),
  });
  return { clock, published, lost, bus, link };
}

type Rig = ReturnType<typeof makeLink>;

/** Sends a text as the body of a SEND; its length is what it is charged. */
function say(
  { link }: Rig,
  text: string,
  credit = new SendCredit(),
  bytes = text.length,
): SendCredit {
  const body = concat(
    new Uint8Array(8).fill(1),
    Uint8Array.of(4),
    new Uint8Array(4),
    encodeUtf8(text),
  );
  const head = encodeForwardedHead(ENTRY.SEND, decodeHex(SID), body.length);
  link.forward([head, body], SID, { credit, bytes });
  return credit;
}

/** The other side: takes messages, and answers as a relay does. */
function makeReceiver({ link, clock }: Rig) {
  const incoming = new IncomingLink({ keys: KEYS, from: R, to: OTHER });
  const texts: string[] = [];
  let asked = 0;
  const take = (message: Bytes): string => {
    const opened = incoming.open(message.slice());
    if (!opened) return "nothing";
    forEachPosition(opened.entries, () => {});
    if (opened.verdict === "next") {
      forEachEntry(opened.entries, {
        forwarded: (_type, _source, body) =>
          void texts.push(new TextDecoder().decode(body.subarray(13))),
        left: (sid) => void texts.push(`left ${encodeHex(sid)}`),
        credit: () => {},
        order: () => {},
        ask: () => void asked++,
      });
    }
    if (opened.verdict === "early") {
      const missing = incoming.missing(opened.at, clock.now());
      if (missing) link.takeLost(missing);
    } else link.takeGot(incoming.position);
    return opened.verdict;
  };
  return { incoming, texts, take, asked: () => asked };
}

await cipherReady();

Deno.test("the first message of a link has known bytes", async () => {
  const rig = makeLink();
  rig.link.tell(encodeLeft(SID, 0));
  await settle();
  // Computed with Python's cryptography.
  deepEqual(rig.published.map(encodeHex), [
    "0100112233445566778899aabbccddeeff0000000000000001000000000000" +
    "ffe77f73e570f863f4d5b1cb7630eac5bced6ab65035903d615c88",
  ]);
  equal(readSender(rig.published[0]!), R);
  equal(readSender(rig.published[0]!.subarray(0, 46)), undefined);
  rig.link.close();
  equal(rig.clock.timers, 0);
});

Deno.test("what is sent in one turn is one message, and is taken in order, once", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  say(rig, "one");
  say(rig, "two");
  await settle();
  say(rig, "three");
  await settle();
  equal(rig.published.length, 2);
  const [first, second] = rig.published;
  deepEqual([other.take(first!), other.take(second!)], ["next", "next"]);
  deepEqual([other.take(second!), other.take(first!)], ["again", "again"]);
  deepEqual(other.texts, ["one", "two", "three"]);
  equal(rig.link.windowBytes, 0);
});

Deno.test("what is lost is sent again, in order, also where nothing more is said", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  for (const text of ["one", "two", "three", "four"]) {
    say(rig, text);
    await settle();
  }
  const [first, , third] = rig.published.splice(0);
  equal(other.take(first!), "next");
  equal(other.take(third!), "early"); // the second is lost, and the fourth
  for (const message of rig.published.splice(0)) other.take(message);
  deepEqual(other.texts, ["one", "two", "three", "four"]);
  say(rig, "five");
  await settle();
  rig.published.splice(0); // lost
  await rig.clock.advance(1_100);
  equal(rig.published.length, 1); // asks
  equal(other.take(rig.published.shift()!), "early");
  for (const message of rig.published.splice(0)) other.take(message);
  deepEqual(other.texts.at(-1), "five");
  equal(other.asked(), 1);
  equal(rig.link.windowBytes, 0);
  await rig.clock.advance(120_000);
  equal(rig.published.length, 0); // nothing is left to ask for
});

Deno.test("what is altered, of another relay or of an earlier epoch is not taken", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  say(rig, "one");
  await settle();
  const [message] = rig.published;
  for (let i = 1; i < message!.length; i++) {
    const altered = message!.slice();
    altered[i]! ^= 1;
    equal(other.take(altered), "nothing");
  }
  const elsewhere = new IncomingLink({ keys: KEYS, from: R, to: "ee".repeat(16) });
  equal(elsewhere.open(message!.slice()), undefined);
  equal(other.take(message!), "next");
  equal(other.texts.length, 1);
});

Deno.test("a link that is not taken for a minute begins a new epoch, and names whose words are lost", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  const credit = say(rig, "one");
  await settle();
  const [old] = rig.published;
  await rig.clock.advance(62_000);
  deepEqual(rig.lost, [credit]);
  rig.published.splice(0);
  say(rig, "two");
  await settle();
  while (rig.published.length > 0) other.take(rig.published.shift()!);
  deepEqual(other.texts, ["two"]);
  equal(other.incoming.position.epoch, 2);
  equal(other.take(old!), "nothing"); // the earlier epoch is over
});

Deno.test("an epoch whose beginning is lost begins again", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  say(rig, "one");
  await settle();
  say(rig, "two");
  await settle();
  const [, second] = rig.published.splice(0);
  equal(other.take(second!), "early");
  for (const message of rig.published.splice(0)) other.take(message);
  deepEqual(other.texts, ["one", "two"]);
});

Deno.test("a sender is charged until credit comes back, and no more comes back than is out", async () => {
  const rig = makeLink();
  const credit = say(rig, "one", new SendCredit(), 1024 * 1024);
  equal(credit.exhausted, false);
  say(rig, "two", credit, 1);
  equal(credit.exhausted, true);
  rig.link.takeCredit("ab".repeat(8), 1e9); // of nobody
  rig.link.takeCredit(SID, 1024);
  equal(credit.exhausted, true);
  rig.link.takeCredit(SID, 1e9);
  equal(credit.exhausted, false);
  credit.charge(1024 * 1024);
  equal(credit.exhausted, false); // all of it came back, and nothing more
  credit.charge(1);
  equal(credit.exhausted, true);
  await settle();
});

Deno.test("a full link holds those who send to it, until half is taken", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  const credits: SendCredit[] = [];
  const text = "x".repeat(15_000);
  while (!credits.at(-1)?.exhausted) credits.push(say(rig, text, new SendCredit(), 1));
  await settle();
  ok(rig.link.windowBytes > 8 * 1024 * 1024 && rig.link.windowBytes < 8.1 * 1024 * 1024);
  equal(rig.link.held, 1);
  const messages = rig.published.splice(0);
  ok(messages.every(({ length }) => length <= 61_440));
  const half = Math.ceil(messages.length / 2) - 2;
  for (const message of messages.splice(0, half)) other.take(message);
  equal(rig.link.held, 1);
  for (const message of messages.splice(0, 4)) other.take(message);
  equal(rig.link.held, 0);
  equal(credits.at(-1)!.exhausted, false);
  rig.link.close();
});

Deno.test("a link that closes gives everything back", async () => {
  const rig = makeLink();
  const credit = say(rig, "one", new SendCredit(), 2 * 1024 * 1024);
  equal(credit.exhausted, true);
  rig.link.owe({ source: SID, due: 5 });
  rig.link.got({ epoch: 1, seq: 1 }, "soon");
  rig.link.close();
  equal(credit.exhausted, false);
  await settle();
  deepEqual([rig.clock.timers, rig.published.length], [0, 0]);
});

Deno.test("what is due goes with the next message, when it is much, or after half a second", async () => {
  const rig = makeLink();
  const debt = { source: SID, due: 100 };
  rig.link.owe(debt);
  await settle();
  equal(rig.published.length, 0);
  await rig.clock.advance(500);
  deepEqual([rig.published.length, debt.due], [1, 0]);
  debt.due = 100;
  rig.link.owe(debt);
  say(rig, "one");
  await settle();
  deepEqual([rig.published.length, debt.due], [2, 0]);
  debt.due = 70_000;
  rig.link.owe(debt);
  await settle();
  deepEqual([rig.published.length, debt.due], [3, 0]);
  rig.link.close();
});

Deno.test("more of the relay's own than 4096 entries do not wait", async () => {
  const rig = makeLink();
  const other = makeReceiver(rig);
  for (let i = 0; i < 5_000; i++) rig.link.tell(encodeLeft(SID, 0));
  await settle();
  for (const message of rig.published.splice(0)) other.take(message);
  equal(other.texts.length, 4096);
  rig.link.tell(encodeLeft(SID, 0));
  await settle();
  for (const message of rig.published.splice(0)) other.take(message);
  equal(other.texts.length, 4097);
  rig.link.close();
});
