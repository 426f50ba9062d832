/**
 * The client, as a member who lies about who hosts: from its first own message on. `LIE` says how; see
 * {@linkcode LIES}. Used as a program, with the client's arguments.
 *
 * @module
 */

import { concat, encodeHex } from "../../lib/base/bytes.ts";
import { systemClock, systemRandom } from "../../lib/base/clock.ts";
import { ListeningRelay } from "../../lib/cli/own_relay.ts";
import { encodeFrame } from "../../lib/protocol/frames.ts";
import { generateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import {
  CONTEXT_STAND_BY,
  CONTEXT_SUCCESSION,
  encodeWhereabouts,
  type Entry,
  type List,
  listMessage,
  offerMessage,
  type Place,
  STATE,
} from "../../lib/protocol/succession.ts";
import { Relay } from "../../lib/relay/mod.ts";
import { Membership } from "../../lib/session/membership.ts";
import { Session } from "../../lib/session/session.ts";
import { openConnection } from "../../lib/transport/mod.ts";

const ROOM = roomTag("lobby");
const NOISE_MS = 200;
const MAX_SERIAL = 2 ** 48 - 1;

let relay: Relay;
let own: ListeningRelay;
let session: Session;
/** As the host has named this one. */
let me: Entry | undefined;
let sendToRelay: (bytes: Uint8Array<ArrayBuffer>) => void = () => {};

/** What this program lies about. */
const LIES: Readonly<Record<string, () => void>> = {
  /** Its relay has the room, with many others, and lets nobody in. */
  claim() {
    const { open } = Relay.prototype;
    relay.others = () => 50;
    relay.tell = () => {};
    relay.shut = () => {};
    relay.open = () => {};
    open.call(relay, encodeHex(ROOM), systemRandom(32));
  },
  /** It has lost the host, for ever. */
  lost() {
    const { tell } = relay;
    relay.open = () => {};
    relay.tell = (room) => tell.call(relay, room, { state: STATE.LOST });
    relay.tell(encodeHex(ROOM), { state: STATE.LOST });
  },
  /** Forged lists, offers that are not its own, and frames out of turn. */
  noise() {
    setInterval(() => void sayLists(), NOISE_MS);
    setInterval(() => void sayOffers(), NOISE_MS);
    setInterval(() => void sayFrames(), 1000);
    setTimeout(() => sendToRelay(encodePlace()), 3000); // after its JOIN
  },
};

function ownPlace(): Place {
  return { relay: own.key.fingerprint, port: own.port, addresses: own.addresses().slice(0, 4) };
}

function encodePlace(): Uint8Array<ArrayBuffer> {
  const body = encodeWhereabouts({ state: STATE.AT_PLACE, place: ownPlace() });
  return encodeFrame({ type: "place", body });
}

function hostEntry(): Entry | undefined {
  const list = session.succession!.list;
  me ??= list?.entries.find(({ relay }) => encodeHex(relay) === encodeHex(own.key.fingerprint));
  return list?.entries[list.at];
}

function* peers() {
  for (const { peer } of session.membership.roster.members.values()) if (peer) yield peer;
}

/** Lists that name this one as host, or that the host has not signed. */
async function sayLists(): Promise<void> {
  const host = hostEntry();
  if (!host || !me) return;
  const lists: List[] = [
    { serial: MAX_SERIAL, at: 0, entries: [me] },
    { serial: MAX_SERIAL, at: 0, entries: [host, me] },
    { serial: MAX_SERIAL, at: 1, entries: [host, me] },
    { serial: 0, at: 0, entries: [{ ...host, person: me.person }, me] },
  ];
  for (const list of lists) {
    for (const relay of [host.relay, own.key.fingerprint]) {
      const signature = await own.sign(
        CONTEXT_SUCCESSION,
        listMessage({ host: relay, room: ROOM }, list),
      );
      for (const peer of peers()) peer.send({ type: "succession", signature, list });
    }
  }
}

/** Relays of others, addresses where nobody is, and a wrong signature. */
async function sayOffers(): Promise<void> {
  const host = hostEntry();
  if (!host || !me) return;
  const place = ownPlace();
  const places: Place[] = [
    { ...place, relay: host.relay },
    { ...host },
    { ...place, addresses: ["224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0"] },
    { ...place, addresses: host.addresses },
    { ...place, port: 65535 },
  ];
  for (const place of places) {
    const message = offerMessage({ host: host.relay, room: ROOM }, me.person, place);
    const signature = await own.sign(CONTEXT_STAND_BY, message);
    for (const peer of peers()) peer.send({ type: "standby", offer: { signature, place } });
  }
}

/** SEEK twice, PLACE unasked, and JOIN before SEEK. */
async function sayFrames(): Promise<void> {
  const host = hostEntry();
  if (!host) return;
  const seek = encodeFrame({ type: "seek", room: ROOM });
  const [share, instance] = [new Uint8Array(32), systemRandom(16)];
  const join = encodeFrame({ type: "join", share, room: ROOM, instance });
  const place = encodePlace();
  const empty = encodeFrame({ type: "place", body: new Uint8Array(0) });
  for (const frames of [[seek, seek], [place], [join, seek], [seek, empty, place, place]]) {
    const stream = await Deno.connect({ hostname: host.addresses[0]!, port: host.port })
      .catch(() => undefined);
    if (!stream) continue;
    const opened = openConnection(stream, {
      key: stranger,
      clock: systemClock,
      random: systemRandom,
      join: () => Promise.resolve(concat(...frames)),
      handlers: { onFrame: () => {}, onEnd: () => {} },
    });
    opened.then(({ connection }) => setTimeout(() => connection.abort(), 500), () => {});
  }
}

const stranger: PrivateKey = await generateKey(2048);
const lie = Deno.env.get("LIE")!.split(",");

const { run, say } = Session.prototype;
Session.prototype.run = function () {
  session = this;
  return run.call(this);
};
let isLying = false;
Session.prototype.say = function (...message) {
  if (!isLying) { for (const name of lie) LIES[name]!(); }
  isLying = true;
  return say.apply(this, message);
};
const { tell } = ListeningRelay.prototype;
ListeningRelay.prototype.tell = function (...where) {
  own = this;
  return tell.apply(this, where);
};
const relayTell = Relay.prototype.tell;
Relay.prototype.tell = function (...where) {
  relay = this;
  return relayTell.apply(this, where);
};
const { welcome } = Membership.prototype;
Membership.prototype.welcome = function (frame, options) {
  sendToRelay = (bytes) => options.transport.send(bytes);
  return welcome.call(this, frame, options);
};

await import("../../client.ts");
