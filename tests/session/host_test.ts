import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { WHY } from "../../lib/protocol/frames.ts";
import { type Entry, type List, STATE } from "../../lib/protocol/succession.ts";
import { Host } from "../../lib/session/host.ts";
import type { HostingOptions } from "../../lib/session/hosting.ts";
import type { Inquiry } from "../../lib/session/inquiry.ts";
import { LastShown } from "../../lib/session/last_shown.ts";
import { PassedOver } from "../../lib/session/passed_over.ts";
import type { RosterMember } from "../../lib/session/roster.ts";
import { FakeClock } from "../support/fake_clock.ts";

const bytes = (n: number): Bytes => new Uint8Array(32).fill(n);
/** Person `n` with the relay `n`. */
const entry = (n: number): Entry => ({
  person: bytes(n),
  relay: bytes(n),
  port: 40000 + n,
  addresses: [`10.0.0.${n}`],
});
const member = (n: number) =>
  ({ sid: `0${n}`.repeat(8), fingerprint: bytes(n), shown: true }) as RosterMember;
const OWN = 5;

/** A host after another, 1, which has the room, too. */
function makeHost({ others, elsewhere }: { others: number; elsewhere: number }) {
  const clock = new FakeClock();
  const said: List[] = [];
  const gaveWay: { to: number; at: number }[] = [];
  let asked = 0;
  const { relay: fingerprint, port, addresses } = entry(OWN);
  const own = {
    key: { fingerprint },
    port,
    addresses: () => addresses,
    sign: () => Promise.resolve(new Uint8Array(64)),
    others: () => others,
    isHeard: () => true,
  };
  const options = {
    own,
    clock,
    room: bytes(9),
    person: bytes(OWN),
    passedOver: new PassedOver(clock),
    lastShown: new LastShown(clock),
    network: { interfaces: () => [], look: () => Promise.resolve([]) },
    mayName: () => true,
    before: [entry(1), entry(OWN)],
    behind: [],
    members: () => [member(2)],
    send: (_: RosterMember, message: { list: List }) => said.push(message.list),
    ask(_: unknown, listener: { answered(where: unknown): void }) {
      asked++;
      queueMicrotask(() => listener.answered({ state: STATE.HERE, others: elsewhere }));
      return { close() {} } as unknown as Inquiry;
    },
    giveWay: (to: Entry) => gaveWay.push({ to: to.person[0]!, at: clock.now() }),
  };
  const host = new Host(options as unknown as HostingOptions);
  return { host, clock, said, gaveWay, asked: () => asked };
}

Deno.test("Host names itself and the host before it, and not itself as one before", async () => {
  const { host, clock, said } = makeHost({ others: 1, elsewhere: 0 });
  await clock.advance(100);
  assert.deepEqual(said.at(-1)!.entries.map(({ person }) => person[0]), [1, OWN]);
  assert.equal(host.list.at, 1);
  host.stop();
});

Deno.test("Host gives way at once where it is alone, without a further list", async () => {
  const { host, clock, said, gaveWay } = makeHost({ others: 0, elsewhere: 1 });
  await clock.advance(9000);
  assert.equal(gaveWay[0]?.to, 1);
  assert.equal(said.length, 1);
  host.stop();
});

Deno.test("Host tells everybody 150 ms before it gives way whom it gives way to", async () => {
  const { host, clock, said, gaveWay } = makeHost({ others: 1, elsewhere: 1 });
  while (said.length < 2 && clock.now() < 30_000) await clock.advance(10);
  const { at, entries } = said[1]!;
  assert.deepEqual(entries.slice(at).map(({ person }) => person[0]), [OWN, 1]);
  assert.equal(gaveWay.length, 0);
  await clock.advance(160);
  assert.equal(gaveWay[0]?.to, 1);
  host.stop();
});

Deno.test("Host asks nobody who has left for good, and nobody at all once stopped", async () => {
  const { host, clock, asked } = makeHost({ others: 1, elsewhere: 0 });
  await clock.advance(5000);
  assert.ok(asked() > 0);
  host.left(member(1), WHY.LEFT);
  const before = asked();
  await clock.advance(30_000);
  assert.equal(asked(), before);
  host.stop();
  await clock.advance(60_000);
  assert.equal(asked(), before);
});
