/**
 * A relay that misbehaves as a test wants, and real sessions connected to it: virtual time, cheap identities, streams in
 * memory.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Bytes, concat, encodeHex } from "../../lib/base/bytes.ts";
import { acceptConnection, type Accepted, type ByteStream } from "../../lib/transport/mod.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import {
  BOX_BYTES,
  decodeFrame,
  encodeFrame,
  type Frame,
  FRAME_HEADER_BYTES,
  KIND,
  WHY,
} from "../../lib/protocol/frames.ts";
import { encodeFingerprint, type PrivateKey } from "../../lib/protocol/identity.ts";
import { Session } from "../../lib/session/session.ts";
import { memoryPeers, memoryServers } from "../simulation/books.ts";
import { Random } from "../simulation/random.ts";
import { makeSessionKey } from "../../lib/protocol/session_key.ts";
import { cheapKey, cheapPrimitives } from "./cheap_key.ts";
import { FakeClock } from "./fake_clock.ts";
import { memoryPair, type MemoryStream } from "./memory_stream.ts";

/**
 * A frame routed from one client to another; an entry of a CAST as if it were a SEND of kind 4, with box and common
 * as its payload.
 */
export type Routed = Extract<Frame, { type: "send" | "recv" }> & { readonly isPart?: boolean };

/** A payload sent by a client. */
export interface Sent {
  readonly from: Line;
  /** The addressee, if there is one. */
  readonly to: Line | undefined;
  readonly frame: Routed;
}

/** The connection of a client that has joined. */
export interface Line {
  readonly accepted: Accepted;
  readonly sid: string;
  readonly who: Victim;
}

/** Options of {@linkcode Victim}. */
export interface VictimOptions {
  /** None if empty or absent. */
  readonly password?: string;
  readonly nick?: string;
  /** This client's clock, if not the relay's. */
  readonly clock?: FakeClock;
}

/** An honest client: a session, the messages it accepted, and its events. */
export class Victim {
  readonly name: string;
  readonly key: PrivateKey;
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  /** Texts by id, in the order they were accepted. */
  readonly said: Map<string, string> = new Map();
  /** Why the session ended by itself. */
  failure: unknown;
  readonly #relay: HostileRelay;

  /** @param seed The number of its identity. */
  constructor(relay: HostileRelay, seed: number, options: VictimOptions) {
    this.#relay = relay;
    this.key = cheapKey(seed);
    this.name = encodeFingerprint(this.key.publicKey.fingerprint);
    this.session = new Session({
      key: this.key,
      nick: options.nick ?? `nick${seed}`,
      room: "lobby",
      ...(options.password === undefined ? {} : { password: options.password }),
      minKeyBits: 2048,
      address: "relay:40623",
      knownServers: memoryServers(),
      knownPeers: memoryPeers(new Set()),
      dial: () => relay.dial(this),
      emit: (event) => void this.events.push(event),
      clock: options.clock ?? relay.clock,
      random: new Random(seed, "victim").bytes,
      primitives: cheapPrimitives,
    });
    this.session.run().catch((error) => this.failure = error);
  }

  /** Sends a message to the room. */
  say(text: string): string {
    const id = this.session.say(text);
    this.said.set(id, text);
    return id;
  }

  /** Sends a private message. */
  whisper(to: Victim, text: string): string {
    const id = this.session.sendPrivate(to.name, text);
    this.said.set(id, text);
    return id;
  }

  /** The events of a kind. */
  all<Name extends SessionEvent["event"]>(name: Name) {
    return this.events.filter((event): event is Extract<SessionEvent, { event: Name }> =>
      event.event === name
    );
  }

  /** Texts shown, with a mark where the sender's view differs. */
  get shown(): string[] {
    return this.all("chat").map(({ text, view }) => view === "same" ? text : `${text} (differs)`);
  }

  /** Its current connection. */
  get line(): Line {
    const line = this.#relay.lines.findLast(({ who }) => who === this);
    assert.ok(line, `${this.name} is not connected: ${JSON.stringify(this.events.slice(-3))}`);
    return line;
  }
}

/** What was sent on one connection. */
interface Recording {
  /** What was written to the client, write by write. */
  readonly chunks: Uint8Array[];
}

/** The relay, honest until a test changes one of its hooks. */
export class HostileRelay {
  readonly clock = new FakeClock();
  readonly random: Random;
  readonly victims: Victim[] = [];
  readonly lines: Line[] = [];
  /** What was sent on each connection, in order of connecting. */
  readonly recordings: Recording[] = [];
  /** The reasons in CLOSE frames of clients. */
  readonly reasons: number[] = [];
  key: PrivateKey = cheapKey(1);
  /** Routes a payload: the frames to deliver, and where to. */
  route: (sent: Sent) => readonly (readonly [Line, Routed])[] = deliver;
  /** The fingerprint under which a member is shown to another; undefined hides it. */
  claim: (member: Line, to: Line) => Bytes | undefined = ({ accepted }) =>
    accepted.peer.fingerprint;
  /** Replaces WELCOME. */
  welcome: ((line: Line) => Uint8Array | undefined) | undefined;
  /** Replaces the whole relay for a new stream. */
  answer: ((stream: ByteStream) => void) | undefined;

  /** @param seed For all randomness. */
  constructor(seed = 1) {
    this.random = new Random(seed, "relay");
  }

  /** Runs a test against a relay, then ends all sessions. */
  static async use(test: (relay: HostileRelay) => Promise<void>, seed = 1): Promise<void> {
    const relay = new HostileRelay(seed);
    try {
      await test(relay);
    } finally {
      relay.answer = (stream) => stream.close();
      for (const line of relay.lines.splice(0)) line.accepted.connection.abort();
      const ending = relay.victims.map(({ session }) => session.stop());
      for (let i = 0; i < 5; i++) await relay.clock.advance(1000);
      await Promise.all(ending);
    }
  }

  /** Adds a client. */
  victim(seed: number, options: VictimOptions = {}): Victim {
    const victim = new Victim(this, seed, options);
    this.victims.push(victim);
    return victim;
  }

  /** Adds several clients, and waits until all see each other. */
  async meet(...seeds: readonly number[]): Promise<Victim[]> {
    const victims: Victim[] = [];
    for (const seed of seeds) {
      victims.push(this.victim(seed));
      await this.advance(100);
    }
    await this.advance(2000);
    for (const victim of victims) {
      assert.equal(victim.session.people().length, seeds.length - 1);
    }
    return victims;
  }

  /** Advances the clock. */
  async advance(delay: number): Promise<void> {
    await this.clock.advance(delay);
  }

  /** Connects a client. */
  dial(victim: Victim): Promise<ByteStream> {
    const [near, far] = memoryPair();
    const chunks: Uint8Array[] = [];
    this.recordings.push({ chunks });
    if (this.answer) this.answer(far);
    else void this.#serve(recorded(far, chunks), victim);
    return Promise.resolve(near);
  }

  async #serve(stream: ByteStream, who: Victim): Promise<void> {
    let accepted: Accepted;
    try {
      const { key, clock } = this;
      const primitives = cheapPrimitives;
      const session = makeSessionKey(key, { primitives });
      accepted = await acceptConnection(stream, { key, clock, session, primitives });
    } catch {
      return; // the client refused this relay
    }
    let line: Line | undefined;
    accepted.connection.start({
      onFrame: (type, body) => {
        const frame = decodeFrame(type, body.slice());
        if (frame.type === "join") line = this.#join(accepted, who);
        else if (line && frame.type === "send") this.#take(line, frame);
        else if (line && frame.type === "cast") this.#takeCast(line, frame);
      },
      onEnd: (end) => {
        if (end.type === "closed") this.reasons.push(end.reason);
        if (line) this.#leave(line);
      },
    });
  }

  #join(accepted: Accepted, who: Victim): Line {
    const sid = encodeHex(this.random.bytes(8));
    const line = { accepted, sid, who };
    const bytes = this.welcome?.(line) ?? encodeFrame(this.welcomeOf(line));
    for (const other of this.lines) {
      const fingerprint = this.claim(line, other);
      if (fingerprint) this.tell(other, { type: "joined", sid, fingerprint });
    }
    this.lines.push(line);
    accepted.connection.send(bytes);
    return line;
  }

  /** The correct WELCOME, apart from {@linkcode HostileRelay.claim}. */
  welcomeOf(line: Line): Extract<Frame, { type: "welcome" }> {
    const members = this.lines.filter((other) => other !== line).flatMap((other) => {
      const fingerprint = this.claim(other, line);
      return fingerprint ? [{ sid: other.sid, fingerprint }] : [];
    });
    return { type: "welcome", sid: line.sid, capacity: 64, members };
  }

  #leave(line: Line): void {
    const place = this.lines.indexOf(line);
    if (place < 0) return;
    this.lines.splice(place, 1);
    for (const other of this.lines) {
      if (this.claim(line, other)) this.tell(other, { type: "left", sid: line.sid, why: WHY.LOST });
    }
  }

  #take(from: Line, frame: Routed): void {
    const to = this.lines.find(({ sid }) => sid === frame.sid);
    for (const [line, routed] of this.route({ from, to, frame })) this.tell(line, routed);
  }

  #takeCast(from: Line, { entries, common }: Extract<Frame, { type: "cast" }>): void {
    for (const { sid, tag, box } of entries) {
      const payload = concat(box, common);
      this.#take(from, { type: "send", sid, kind: KIND.RECORD, tag, payload, isPart: true });
    }
  }

  /** Sends a frame to a client. */
  tell(line: Line, frame: Frame | Routed): void {
    line.accepted.connection.send(encodeFrame("isPart" in frame ? toPart(frame) : frame));
  }

  /** Sends any bytes as the body of a frame. */
  tellRaw(line: Line, type: number, body: Uint8Array): void {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES + body.length);
    bytes.set([type, body.length >> 8, body.length]);
    bytes.set(body, FRAME_HEADER_BYTES);
    line.accepted.connection.send(bytes);
  }

  /** Cuts some connections, or all; with `reform`, the relay is honest from here on. */
  cut(lines: readonly Line[] = this.lines, { reform = false } = {}): void {
    if (reform) {
      const honest = new HostileRelay();
      Object.assign(this, { route: honest.route, claim: honest.claim });
      this.welcome = this.answer = undefined;
    }
    for (const line of [...lines]) {
      this.#leave(line);
      line.accepted.connection.abort();
    }
  }

  /** Asserts that clients recover once the relay is honest: they reconnect, new messages arrive, nothing was forged. */
  async assertHeals(): Promise<void> {
    this.cut(this.lines, { reform: true });
    await this.advance(150_000);
    for (const victim of this.victims) {
      assert.equal(victim.failure, undefined);
      victim.say(`healed, says ${victim.name}`);
    }
    await this.advance(15_000);
    for (const victim of this.victims) {
      for (const other of this.victims) {
        if (other === victim) continue;
        assert.ok(victim.shown.includes(`healed, says ${other.name}`), `not healed: ${other.name}`);
      }
    }
    this.assertTruth();
  }

  /**
   * Asserts that every message shown was sent by the member it was attributed to, once and in order; that everybody
   * shown is a real client; and that every message reported as delivered was shown.
   */
  assertTruth(): void {
    const byName = new Map(this.victims.map((victim) => [victim.name, victim]));
    for (const victim of this.victims) {
      for (const { fingerprint } of victim.all("joined")) {
        assert.ok(byName.has(fingerprint), `${fingerprint} was shown as a person`);
      }
      const places = new Map<string, number>();
      for (const { id, fingerprint, text, late } of victim.all("chat")) {
        const said = byName.get(fingerprint)?.said;
        assert.equal(said?.get(id), text, "a forged text was shown");
        const place = [...said!.keys()].indexOf(id);
        assert.ok(
          late || place > (places.get(fingerprint) ?? -1),
          `out of order or twice: ${text}`,
        );
        places.set(fingerprint, Math.max(place, places.get(fingerprint) ?? -1));
      }
      const ids = victim.all("chat").map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, "a text was shown twice");
      for (const { id, to } of victim.all("delivered")) {
        for (const name of to) {
          const has = byName.get(name)!.all("chat").some((event) => event.id === id);
          assert.ok(has, `said to be delivered, and is not: ${victim.said.get(id)}`);
        }
      }
    }
  }

  /** Asserts that each message was shown to everybody else, or reported to its sender as undelivered. */
  assertNothingLost(): void {
    for (const victim of this.victims) {
      const undelivered = victim.all("undelivered");
      const sent = new Map(victim.all("sent").map(({ id, to }) => [id, to]));
      for (const [id, text] of victim.said) {
        for (const other of this.victims) {
          // It is for those who were shown or lost when it was accepted.
          if (other === victim || !sent.get(id)?.includes(other.name)) continue;
          if (other.all("chat").some((event) => event.id === id)) continue;
          const reported = undelivered.some((event) =>
            event.id === id && (event.to.length === 0 || event.to.includes(other.name))
          );
          assert.ok(reported, `lost without a word: ${text}`);
        }
      }
    }
  }
}

function toPart({ sid, tag, payload }: Routed): Frame {
  const [box, common] = [payload.subarray(0, BOX_BYTES), payload.subarray(BOX_BYTES)];
  return { type: "part", sid, tag, box, common };
}

/** Routes like an honest relay. */
export function deliver({ from, to, frame }: Sent): readonly (readonly [Line, Routed])[] {
  return to && to !== from ? [[to, { ...frame, type: "recv", sid: from.sid }]] : [];
}

/** A stream that records what is written to it. */
function recorded(stream: MemoryStream, chunks: Uint8Array[]): ByteStream {
  return {
    read: (into) => stream.read(into),
    async write(bytes) {
      const length = await stream.write(bytes);
      chunks.push(bytes.slice(0, length));
      return length;
    },
    closeWrite: () => stream.closeWrite(),
    close: () => stream.close(),
  };
}
