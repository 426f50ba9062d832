/** What servers that are one over NATS decide together: real servers, spoken to by clients that this test makes. */
import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { decodeFrame, encodeFrame, type Frame, REASON, WHY } from "../../lib/protocol/frames.ts";
import { generateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import { NO_SHARE } from "../../lib/protocol/password.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { type Connection, type End, openConnection } from "../../lib/transport/mod.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";

const options = { ignore: NO_NATS !== undefined };
const CAPACITY = 64;
const APPLICANTS = 160;

/** One of the clients, and what it was told. */
class Guest implements Disposable {
  connection: Connection | undefined;
  readonly frames: Frame[] = [];
  readonly ends: End[] = [];
  /** Who it sees, by sid, in order; itself not. */
  readonly present = new Set<string>();
  /** The most that were there at a time, itself included. */
  most = 0;

  constructor(readonly key: PrivateKey, readonly instance: Bytes = systemRandom(16)) {}

  get sid(): string | undefined {
    return this.#welcome?.sid;
  }

  get #welcome() {
    return this.frames.find((frame) => frame.type === "welcome");
  }

  get isAnswered(): boolean {
    return this.#welcome !== undefined || this.ends.length > 0;
  }

  get reason(): number | undefined {
    const [end] = this.ends;
    return end?.type === "closed" ? end.reason : undefined;
  }

  async join(server: Program): Promise<void> {
    const stream = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const { key, instance } = this;
    const join = { type: "join", share: NO_SHARE, room: roomTag("lobby"), instance } as const;
    const { connection } = await openConnection(stream, {
      key,
      join: () => Promise.resolve(encodeFrame(join)),
      handlers: {
        onFrame: (type, body) => this.#take(decodeFrame(type, body.slice())),
        onEnd: (end) => this.ends.push(end),
      },
    });
    this.connection = connection;
  }

  #take(frame: Frame): void {
    this.frames.push(frame);
    if (frame.type === "welcome") { for (const { sid } of frame.members) this.present.add(sid); }
    if (frame.type === "joined") this.present.add(frame.sid);
    if (frame.type === "left") this.present.delete(frame.sid);
    this.most = Math.max(this.most, this.present.size + 1);
  }

  [Symbol.dispose](): void {
    this.connection?.abort();
  }
}

/** Starts servers of one cluster. */
async function serve(world: World, nats: NatsServer, count: number): Promise<Program[]> {
  const home = await world.home("server", { file: "server.pem" });
  const args = ["--host", "127.0.0.1", "--port", "0", "--cluster", nats.url, "--json"];
  const capacity = ["--room-capacity", String(CAPACITY)];
  const servers = Array.from(
    { length: count },
    (_, i) => world.start("server", { args: [...args, ...capacity], home }, `server ${i}`),
  );
  for (const server of servers) await server.waitFor("listening");
  return servers;
}

Deno.test("of 160 who join four servers at once, a room takes 64", options, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const servers = await serve(world, nats, 4);
  const key = await generateKey(2048);
  using stack = new DisposableStack();
  const guests = Array.from({ length: APPLICANTS }, () => stack.use(new Guest(key)));
  await Promise.all(guests.map((guest, i) => guest.join(servers[i % 4]!)));
  await poll(() => guests.every((guest) => guest.isAnswered), () => "the answers to all");
  const members = guests.filter(({ ends }) => ends.length === 0);
  assert.equal(members.length, CAPACITY);
  const refused = guests.filter(({ ends }) => ends.length > 0);
  assert.ok(refused.every(({ reason }) => reason === REASON.FULL));
  const seen = ({ sid, present }: Guest) => [...present, sid!].sort().join();
  const all = members.map(({ sid }) => sid!).sort().join();
  await poll(() => members.every((it) => seen(it) === all), () => "what all see");
  assert.ok(members.every(({ most }) => most <= CAPACITY), "never more than its capacity");
  assert.deepEqual([...members[0]!.present].length, CAPACITY - 1);
});

Deno.test(
  "who comes again at another server takes their own place in a full room",
  options,
  async () => {
    await using nats = await NatsServer.start();
    await using world = await World.open(FROM_SOURCE);
    const [one, two] = await serve(world, nats, 2) as [Program, Program];
    const key = await generateKey(2048);
    using stack = new DisposableStack();
    const guests = Array.from({ length: CAPACITY }, () => stack.use(new Guest(key)));
    for (const guest of guests) await guest.join(one);
    await poll(() => guests.every(({ sid }) => sid), () => "a full room");
    const [old, witness] = guests as [Guest, Guest];
    const stranger = stack.use(new Guest(key));
    await stranger.join(two);
    await poll(() => stranger.ends.length > 0, () => "an answer");
    assert.equal(stranger.reason, REASON.FULL);
    const back = stack.use(new Guest(key, old.instance));
    await back.join(two);
    await poll(() => back.sid && old.ends.length > 0, () => "the place");
    assert.equal(old.reason, REASON.REPLACED);
    assert.ok(!back.present.has(old.sid!));
    await poll(() => witness.present.has(back.sid!), () => "the news");
    const news = witness.frames.flatMap((frame) =>
      frame.type === "left" || frame.type === "joined" && frame.sid === back.sid ? [frame] : []
    );
    assert.deepEqual(news.map(({ type }) => type), ["left", "joined"]);
    assert.deepEqual(news[0], { type: "left", sid: old.sid, why: WHY.REPLACED });
    assert.equal(witness.most, CAPACITY);
  },
);
