import assert from "node:assert/strict";
import { type Bytes, concat, encodeHex, equalBytes, label } from "../../lib/base/bytes.ts";
import { WHY } from "../../lib/protocol/frames.ts";
import { sha512 } from "../../lib/protocol/crypto/hash.ts";
import {
  CONTEXT_STAND_BY,
  CONTEXT_SUCCESSION,
  type Entry,
  type List,
  listMessage,
  offerMessage,
  type Place,
  type SignedList,
} from "../../lib/protocol/succession.ts";
import type { Target } from "../../lib/session/address_tests.ts";
import type { OwnRelay } from "../../lib/session/own_relay.ts";
import { EARLIER_MS, StandBys, type StandBysOptions } from "../../lib/session/stand_bys.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

const ROOM = new Uint8Array(32).fill(1);
const ME = new Uint8Array(32).fill(2);
const OWN = cheapKey(1).publicKey;
const bytes = (n: number) => new Uint8Array(32).fill(n);
const sid = (n: number) => `${n}`.padStart(16, "0");

/** Signs as cheapPrimitives verify it: the session key is all that is needed. */
const sign = (session: Bytes, context: string, message: Uint8Array) =>
  sha512(session, concat(label(context), message));

/** A host, its network, and what it has said. */
class Rig {
  readonly clock = new FakeClock();
  readonly lists: List[] = [];
  readonly told: [SignedList, string][] = [];
  readonly dialled: string[] = [];
  /** The session keys of the relays that answer, by `address:port`. */
  readonly answers = new Map<string, Bytes>();
  readonly sources = new Map<string, string>();
  addresses = ["10.0.0.1"];
  readonly verified = new Set<string>();
  readonly standBys: StandBys;

  constructor(options: Partial<StandBysOptions> & { strict?: boolean } = {}) {
    const { strict = false, ...rest } = options;
    const own = {
      key: OWN,
      port: 40000,
      addresses: () => this.addresses,
      sign: (context: string, message: Uint8Array) =>
        Promise.resolve(sign(OWN.fingerprint, context, message)),
      sourceOf: (sid: string) => this.sources.get(sid),
    } as unknown as OwnRelay;
    this.standBys = new StandBys({
      clock: this.clock,
      own,
      room: ROOM,
      person: ME,
      verify: (key, context, message, signature) =>
        Promise.resolve(equalBytes(sign(key, context, message), signature)),
      interfaces: () => [],
      prove: ({ address, port }: Target) => {
        this.dialled.push(`${address}:${port}`);
        return Promise.resolve(this.answers.get(`${address}:${port}`));
      },
      mayName: (person) => !strict || this.verified.has(encodeHex(person)),
      send: (signed, sid) => {
        if (sid === undefined) this.lists.push(signed.list);
        else this.told.push([signed, sid]);
      },
      ...rest,
    });
  }

  /** Person `n` offers its relay, which answers at its first address unless others are given. */
  offer(
    n: number,
    { addresses = [`10.0.0.${n}`], answering = addresses, relay = n, person = n }: {
      addresses?: string[];
      answering?: string[];
      relay?: number;
      person?: number;
    } = {},
  ): void {
    const place: Place = { relay: bytes(relay), port: 40000 + n, addresses };
    for (const address of answering) this.answers.set(`${address}:${place.port}`, bytes(relay));
    if (!this.sources.has(sid(n))) this.sources.set(sid(n), addresses[0]!);
    const message = offerMessage({ host: OWN.fingerprint, room: ROOM }, bytes(person), place);
    const signature = sign(bytes(relay), CONTEXT_STAND_BY, message);
    this.standBys.offered({ sid: sid(n), fingerprint: bytes(n) }, { signature, place });
  }

  get firstSerial(): number {
    return this.lists[0]!.serial;
  }

  /** The relays of the last list, the host's own as 0, with their addresses. */
  get last(): string[] {
    return this.lists.at(-1)!.entries.map(({ relay, addresses }) =>
      `${encodeHex(relay) === encodeHex(OWN.fingerprint) ? 0 : relay[0]} ${addresses.join(" ")}`
    );
  }
}

function entry(n: number, addresses = [`10.0.0.${n}`]): Entry {
  return { person: bytes(n), relay: bytes(n), port: 40000 + n, addresses };
}

async function begin(rig: Rig, from: { earlier?: Entry[]; behind?: Entry[] } = {}): Promise<void> {
  rig.standBys.begin({ earlier: from.earlier ?? [], behind: from.behind ?? [] });
  await settle();
}

Deno.test("StandBys names nobody at first, and signs it", async () => {
  const rig = new Rig();
  rig.standBys.ready(sid(1));
  await begin(rig);
  assert.deepEqual(rig.last, ["0 10.0.0.1"]);
  rig.standBys.ready(sid(1));
  const [[signed, to]] = rig.told as [[SignedList, string]];
  assert.equal(to, sid(1));
  const message = listMessage({ host: OWN.fingerprint, room: ROOM }, signed.list);
  assert.deepEqual(signed.signature, sign(OWN.fingerprint, CONTEXT_SUCCESSION, message));
  assert.equal(rig.told.length, 1, "nothing before it hosts");
});

Deno.test("StandBys names who answers, the longest-standing first, at most one list a second", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.offer(3);
  rig.offer(2);
  await settle();
  assert.equal(rig.lists.length, 1);
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["0 10.0.0.1", "3 10.0.0.3", "2 10.0.0.2"]);
  assert.deepEqual(rig.lists.map(({ serial, at }) => [serial - rig.firstSerial, at]), [[0, 0], [
    1,
    0,
  ]]);
  await rig.clock.advance(30_000);
  assert.equal(rig.lists.length, 2, "only changes are said");
  rig.offer(4);
  await settle();
  assert.equal(rig.lists.length, 3, "at once after a quiet second");
});

Deno.test("StandBys names of one computer two in all, and rather a stand-by than a host of earlier", async () => {
  const rig = new Rig();
  await begin(rig, { earlier: [entry(9, ["10.0.0.1", "10.0.0.9"]), entry(8, ["10.0.0.1"])] });
  assert.deepEqual(rig.last, ["9 10.0.0.1 10.0.0.9", "0 10.0.0.1"]);
  for (const n of [2, 3]) rig.offer(n, { addresses: ["10.0.0.1"] });
  await settle();
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["9 10.0.0.9", "0 10.0.0.1", "2 10.0.0.1"]);
  assert.equal(rig.lists.at(-1)!.at, 1);
});

Deno.test("StandBys names the addresses that answer, that of the connection first", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.sources.set(sid(2), "10.9.9.9");
  const addresses = ["10.0.0.2", "192.168.0.2", "fe80::2", "169.254.0.2"];
  rig.offer(2, { addresses, answering: ["10.9.9.9", "192.168.0.2", "fe80::2"] });
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["0 10.0.0.1", "2 10.9.9.9 192.168.0.2 fe80::2"]);
  assert.equal(rig.dialled.length, 4, "no more than four are tried");
});

Deno.test("StandBys never tries what may not be dialled", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.offer(2, { addresses: ["127.0.0.1", "224.0.0.1", "8.8.8.8"] });
  rig.sources.set(sid(2), "10.0.0.2");
  rig.offer(2, { addresses: ["127.0.0.1", "224.0.0.1", "8.8.8.8"], answering: [] });
  rig.sources.set(sid(3), "198.51.100.3");
  rig.offer(3, { addresses: ["198.51.100.4"], answering: ["198.51.100.3"] });
  await rig.clock.advance(1000);
  assert.deepEqual(rig.dialled, ["127.0.0.1:40002", "10.0.0.2:40002", "198.51.100.3:40003"]);
  assert.deepEqual(rig.last.slice(1), ["3 198.51.100.3"], "a public one is that of the connection");
});

Deno.test("StandBys names nobody whose relay has not signed the offer, or says another's", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.offer(2, { answering: [] }); // nobody there
  rig.answers.set("10.0.0.3:40003", bytes(9)); // another session key
  rig.offer(3, { answering: [] });
  rig.offer(4, { person: 5 }); // signed for somebody else
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["0 10.0.0.1"]);
});

Deno.test("StandBys lets nobody take the relay of another", async () => {
  const rig = new Rig();
  await begin(rig);
  const place: Place = { relay: bytes(2), port: 40002, addresses: ["10.0.0.2"] };
  const signature = new Uint8Array(64);
  rig.standBys.offered({ sid: sid(7), fingerprint: bytes(7) }, { signature, place });
  rig.offer(2);
  await rig.clock.advance(12_000);
  assert.deepEqual(rig.last, ["0 10.0.0.1", "2 10.0.0.2"]);
  rig.standBys.offered({ sid: sid(7), fingerprint: bytes(7) }, { signature, place });
  await rig.clock.advance(70_000);
  assert.deepEqual(rig.last, ["0 10.0.0.1", "2 10.0.0.2"]);
});

Deno.test("StandBys tests again every minute, also what has failed", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.offer(2, { answering: [] });
  rig.offer(3);
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["0 10.0.0.1", "3 10.0.0.3"]);
  rig.answers.set("10.0.0.2:40002", bytes(2));
  rig.answers.delete("10.0.0.3:40003");
  await rig.clock.advance(61_000);
  assert.deepEqual(rig.last, ["0 10.0.0.1", "2 10.0.0.2"]);
});

Deno.test("StandBys dials one address once in 10 s, and counts six offers of a person a minute", async () => {
  const rig = new Rig();
  await begin(rig);
  for (let i = 0; i < 20; i++) rig.offer(2);
  await rig.clock.advance(9_000);
  assert.equal(rig.dialled.length, 1);
  await rig.clock.advance(40_000);
  assert.equal(rig.dialled.length, 2, "one that waits replaces another");
  for (let i = 0; i < 20; i++) {
    rig.offer(2);
    await rig.clock.advance(1000);
  }
  assert.ok(rig.dialled.length <= 3);
});

Deno.test("StandBys dials at most 16 addresses at a time", async () => {
  let running = 0;
  let most = 0;
  const rig = new Rig({
    prove: async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => rig.clock.after(500, resolve));
      running--;
      return undefined;
    },
  });
  await begin(rig);
  for (let n = 2; n < 40; n++) rig.offer(n);
  await rig.clock.advance(3000);
  assert.deepEqual([most, running], [16, 0]);
});

Deno.test("StandBys names at most eight, one for each person, and an address twice", async () => {
  const rig = new Rig();
  await begin(rig);
  for (let n = 2; n < 14; n++) rig.offer(n);
  await rig.clock.advance(1000);
  assert.equal(rig.last.length, 9);
  const shared = new Rig();
  await begin(shared);
  for (const n of [2, 3, 4]) shared.offer(n, { addresses: ["10.0.0.9"] });
  await shared.clock.advance(40_000);
  assert.deepEqual(shared.last, ["0 10.0.0.1", "2 10.0.0.9", "3 10.0.0.9"]);
});

Deno.test("StandBys with --strict names only verified people", async () => {
  const rig = new Rig({ strict: true });
  rig.verified.add(encodeHex(bytes(3)));
  await begin(rig);
  rig.offer(2);
  rig.offer(3);
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last.slice(1), ["3 10.0.0.3"]);
  rig.verified.add(encodeHex(bytes(2)));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last.slice(1), ["2 10.0.0.2", "3 10.0.0.3"]);
});

Deno.test("StandBys forgets who leaves, and names before itself who was cut off", async () => {
  const rig = new Rig();
  await begin(rig, { earlier: [entry(9)] });
  for (const n of [2, 3, 4, 5]) rig.offer(n);
  await rig.clock.advance(1000);
  rig.standBys.left(sid(2), WHY.LOST);
  rig.standBys.left(sid(3), WHY.LEFT);
  rig.standBys.left(sid(4), WHY.REMOVED);
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["9 10.0.0.9", "2 10.0.0.2", "0 10.0.0.1", "5 10.0.0.5"]);
  assert.equal(rig.lists.at(-1)!.at, 2);
  rig.standBys.offered({ sid: sid(5), fingerprint: bytes(5) }, undefined);
  rig.standBys.joined(bytes(9));
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["2 10.0.0.2", "0 10.0.0.1"]);
  await rig.clock.advance(EARLIER_MS);
  assert.deepEqual(rig.last, ["0 10.0.0.1"], "for a day");
});

Deno.test("StandBys names whom the last host has named for 30 s, then whom it has tested", async () => {
  const rig = new Rig();
  await begin(rig, { behind: [entry(2), entry(3)] });
  assert.deepEqual(rig.last, ["0 10.0.0.1", "2 10.0.0.2", "3 10.0.0.3"]);
  rig.offer(4);
  rig.offer(3);
  await rig.clock.advance(29_000);
  assert.deepEqual(rig.last.slice(1), ["2 10.0.0.2", "3 10.0.0.3", "4 10.0.0.4"]);
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.last.slice(1), ["3 10.0.0.3", "4 10.0.0.4"]);
});

Deno.test("StandBys keeps the place of one whose connection was replaced", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.offer(2);
  rig.offer(3);
  await rig.clock.advance(1000);
  rig.standBys.left(sid(2), WHY.REPLACED);
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last.slice(1), ["2 10.0.0.2", "3 10.0.0.3"]);
});

Deno.test("StandBys names first whom the host gives way to", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.offer(2);
  rig.offer(3);
  await rig.clock.advance(1000);
  await rig.standBys.nameFirst(entry(3));
  assert.deepEqual(rig.last.slice(1), ["3 10.0.0.3", "2 10.0.0.2"]);
  rig.offer(4);
  await rig.clock.advance(3000);
  assert.equal(rig.lists.length, 3, "and nothing after it");
});

Deno.test("StandBys never lists loopback beside other addresses", async () => {
  const rig = new Rig();
  rig.addresses = ["127.0.0.1"];
  await begin(rig);
  rig.offer(2, { addresses: ["127.0.0.1"] });
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["0 127.0.0.1", "2 127.0.0.1"]);
  rig.addresses = ["10.0.0.1"];
  await rig.clock.advance(1000);
  assert.deepEqual(rig.last, ["0 10.0.0.1"]);
});

Deno.test("StandBys says nothing once it hosts no more, and goes on with the serial later", async () => {
  const rig = new Rig();
  await begin(rig);
  rig.standBys.end();
  rig.offer(2);
  await rig.clock.advance(90_000);
  assert.equal(rig.lists.length, 1);
  assert.equal(rig.clock.timers, 0);
  assert.deepEqual(rig.dialled, []);
  await begin(rig);
  assert.deepEqual(rig.lists.map(({ serial }) => serial - rig.firstSerial), [0, 1]);
});
