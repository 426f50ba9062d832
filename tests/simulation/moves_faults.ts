/**
 * Faults in how a room moves, to show that the runs find them: each is a change to the text of a file in a copy of lib/.
 *
 * @module
 */

import { type Edit, makeMutant, type Mutant } from "./mutants.ts";

/** What each fault does, and where. */
export const MOVE_FAULTS = {
  "signature-unchecked": {
    what: "a list counts, whatever its signature",
    edits: [[
      "lib/session/held_lists.ts",
      "return primitives.verifyEd25519(session, signed, signature);",
      "return Promise.resolve(signed.length + signature.length + session.length > 0);",
    ]],
  },
  "serial-unchecked": {
    what: "an older list counts after a newer one",
    edits: [["lib/session/held_lists.ts", "list.serial < this.#serial", "false"]],
  },
  "key-unchecked": {
    what: "a list counts that any relay has signed whose list has counted before",
    edits: [
      ["lib/session/held_lists.ts", "#serial = -1;", "#serial = -1; #keys: Bytes[] = [];"],
      [
        "lib/session/held_lists.ts",
        "listMessage({ host: relay, room }, list)",
        "listMessage({ host: list.entries[list.at]!.relay, room }, list)",
      ],
      [
        "lib/session/held_lists.ts",
        "return primitives.verifyEd25519(session, signed, signature);",
        `this.#keys.push(session);
         const all = this.#keys.map((key) => primitives.verifyEd25519(key, signed, signature));
         return Promise.all(all).then((results) => results.includes(true));`,
      ],
      [
        "lib/session/succession.ts",
        'if (!equalBytes(entry.relay, host.relay)) return "ignored";',
        "",
      ],
    ],
  },
  "relay-unproven": {
    what: "a relay counts as the one that was named, whatever key it proves",
    edits: [["lib/session/inquiry.ts", "...(expected && { expected }),", ""]],
  },
  "streams-new": {
    what: "in each new channel a stream begins anew",
    edits: [[
      "lib/session/people.ts",
      "const stream = this.#streams.get(keyOf({ fingerprint, instance })) ??",
      "const stream =",
    ]],
  },
  "all-host": {
    what: "a stand-by waits for nobody who stands before it",
    edits: [["lib/session/search.ts", "if (!candidate) return true; //", "return true; //"]],
  },
  "silent-waited-for": {
    what: "who does not answer is waited for",
    edits: [["lib/session/search.ts", " || now - silentSince >= OUT_MS;", ";"]],
  },
  "first-here": {
    what: 'the first "here" counts',
    edits: [["lib/session/search.ts", "if (told >= HERE_MS) return true;", "return true;"]],
  },
  "dead-counted": {
    what: "members count as others whose connections are dead",
    edits: [["lib/relay/relay.ts", "connection.heardWallTime < HEARD_MS", "0 < Infinity"]],
  },
  "way-given": {
    what: "a host with others gives way to whoever claims to have others",
    edits: [["lib/session/other_hosts.ts", "isBefore && others > 0 ?", "others > 0 ?"]],
  },
  "lost-waited-for": {
    what: 'who says "lost" is waited for',
    edits: [[
      "lib/session/search.ts",
      " && now - this.#begunAt >= HELD_MS * rank;",
      " && false;",
    ]],
  },
  "liar-believed": {
    what: "who does not do what it said is believed again",
    edits: [["lib/session/passed_over.ts", "this.#records.renew(key, { until, lies });", ""]],
  },
  "dormant-admits": {
    what: "a relay that stands by admits to the room",
    edits: [[
      "lib/relay/open_rooms.ts",
      "return !this.#isDormant && !this.#shut.has(room);",
      "return true;",
    ]],
  },
  "view-of-first": {
    what: "views have the fingerprint of the first relay",
    edits: [[
      "lib/session/room_view.ts",
      "this.#relay = connection.relay;",
      "if (!this.#relay.some((byte) => byte > 0)) this.#relay = connection.relay;",
    ]],
  },
  "quit-like-a-cut": {
    what: "a host that has said CLOSE(7) is waited for like one that was cut off",
    edits: [[
      "lib/session/succession.ts",
      "const hostClosed = closed === REASON.SHUTTING_DOWN && !this.#lists.isNewestOwn;",
      "const hostClosed = false;",
    ]],
  },
  "lost-given-up": {
    what: "who has not come along with the others is given up",
    edits: [[
      "lib/session/people.ts",
      "this.#connected.start();",
      `this.#connected.start();
       for (const it of this.streams()) if (it.lostAt !== undefined) this.leave(it, "left");`,
    ]],
  },
  "named-untested": {
    what: "a stand-by is named before it was reached",
    edits: [[
      "lib/session/stand_bys.ts",
      "return this.#options.clock.now() < oldWordUntil ? [...addresses] : [];",
      "return oldWordUntil ? [...addresses] : [];",
    ]],
  },
  "loss-unnoticed": {
    what: "no search begins when a connection has ended",
    edits: [[
      "lib/session/succession.ts",
      "ended(how: Ended): void {",
      "ended(how: Ended): void { if (how) return;",
    ]],
  },
} as const satisfies Record<string, { readonly what: string; readonly edits: readonly Edit[] }>;

/** A fault of {@linkcode MOVE_FAULTS}. */
export type MoveFault = keyof typeof MOVE_FAULTS;

/** Tells whether there is a fault of this name. */
export function isMoveFault(name: string): name is MoveFault {
  return Object.hasOwn(MOVE_FAULTS, name);
}

/** Plants a fault into a copy of the project. */
export function makeMoveMutant(fault: MoveFault): Promise<Mutant> {
  return makeMutant(MOVE_FAULTS[fault].edits, "moves.ts");
}
