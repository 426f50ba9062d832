/**
 * Faults in a cluster, to show that its runs find them: each is a change to the text of a file in a copy of lib/.
 *
 * @module
 */

import { type Edit, makeMutant, type Mutant } from "./mutants.ts";

const ROOM = "lib/cluster/shared_room.ts";
const AUDIENCE = "lib/cluster/audience.ts";
const PLAN = "lib/cluster/roster_plan.ts";
const CLUSTER = "lib/cluster/cluster.ts";
const LINK = "lib/cluster/link.ts";
const INCOMING = "lib/cluster/incoming_link.ts";
const FORWARDING = "lib/cluster/forwarding.ts";
const LIVES = "lib/cluster/lives.ts";

/** What each fault does, and where. */
export const CLUSTER_FAULTS = {
  "update-lost": {
    what: "a roster is written over whatever is there",
    edits: [[
      ROOM,
      'if (written.type === "conflict") return await this.#waitForChange();',
      `if (written.type === "conflict") {
        const found = await this.#around.bus.get(this.key);
        return void await this.#around.bus.write(this.key, value && this.#around.seal(this.key, value), found?.revision ?? 0);
      }`,
    ]],
  },
  "capacity-ignored": {
    what: "a room is never full",
    edits: [[PLAN, "entries.length >= capacity", "false"]],
  },
  "replacement-forgotten": {
    what: "who comes again gets a second place",
    edits: [[PLAN, "if (old >= 0) {", "if (old >= 1e9) {"]],
  },
  "ghosts-kept": {
    what: "who was cut off while they joined stays in the roster",
    edits: [
      [PLAN, "relay === own && !locals.has(sid)", "relay === own && departed.has(sid)"],
      [
        ROOM,
        "this.#departed.set(member.sid, why);",
        "if (this.isMember(member.sid)) this.#departed.set(member.sid, why);",
      ],
    ],
  },
  "dead-kept": {
    what: "the members of a dead relay stay",
    edits: [[PLAN, "relay !== own && isDead(relay)", "false"]],
  },
  "stale-applied": {
    what: "an older roster counts after a newer one",
    edits: [[ROOM, "if (entry.revision <= this.#revision) return;", ""]],
  },
  "gone-return": {
    what: "who has left may be in the roster again",
    edits: [[CLUSTER, "hasGone: (sid) => this.#gone.has(sid)", "hasGone: () => false"]],
  },
  "order-changed": {
    what: "a WELCOME has the others in another order",
    edits: [[
      AUDIENCE,
      "const others = [...this.#shown.values()];",
      "const others = [...this.#shown.values()].reverse();",
    ]],
  },
  "joined-late": {
    what: "who comes is told to those who are there last of all",
    edits: [[
      AUDIENCE,
      'this.#broadcast(encodeFrame({ type: "joined", sid, fingerprint }));\n    this.#room',
      `queueMicrotask(() => this.#around.clock.after(100, () =>
        this.#broadcast(encodeFrame({ type: "joined", sid, fingerprint }))));\n    this.#room`,
    ]],
  },
  "welcome-overtaken": {
    what: "a SEND reaches somebody before their WELCOME",
    edits: [[FORWARDING, "if (to && !to.room.isMember(to.member.sid))", "if (false)"]],
  },
  "room-unchecked": {
    what: "members of other rooms are reached",
    edits: [
      [
        FORWARDING,
        "remote && remote.room === this.#options.locals.get(from)?.room ? remote : undefined",
        "remote",
      ],
      [FORWARDING, "return to?.room === remote.room ? to : undefined;", "return to;"],
    ],
  },
  "gap-ignored": {
    what: "what comes early is taken",
    edits: [[
      INCOMING,
      'if (seq !== this.#next) return seq < this.#next ? "again" : "early";',
      'if (seq < this.#next) return "again"; this.#next = seq;',
    ]],
  },
  "repeat-taken": {
    what: "what comes twice is taken twice",
    edits: [[
      INCOMING,
      'return seq < this.#next ? "again" : "early";',
      'return seq < this.#next ? "next" : "early";',
    ]],
  },
  "resend-left-out": {
    what: "what is missing is not sent again",
    edits: [[LINK, "for (const { message } of this.#kept) bus.publish(to, message);", ""]],
  },
  "ask-forgotten": {
    what: "nobody asks whether what was sent last has come",
    edits: [
      [
        LINK,
        "if (now - since >= ASK_MS && this.#end === 0) this.#push([Uint8Array.of(ENTRY.ASK)]);",
        "",
      ],
      [LINK, "if (this.#keptSince < Infinity) this.#push([Uint8Array.of(ENTRY.ASK)]);", ""],
    ],
  },
  "credit-kept": {
    what: "what was dropped is not given back",
    edits: [[
      "lib/cluster/remote.ts",
      "if (this.due > 0) this.#owe(this);",
      "this.due = Math.min(0, this.due);",
    ]],
  },
  "outage-loses": {
    what: "what was sent while the bus was away is forgotten",
    edits: [[
      LINK,
      "bus.publish(to, message);\n    if (cost > 0)",
      "if (bus.isUp) bus.publish(to, message); else this.#kept.pop(), this.#seq--;\n    if (cost > 0)",
    ]],
  },
  "fence-ignored": {
    what: "a relay goes on that was taken for dead",
    edits: [[CLUSTER, "onFenced: () => this.#fence(),", "onFenced: () => {},"]],
  },
  "death-unnoticed": {
    what: "a lease is never taken away",
    edits: [[LIVES, "const written = await bus.write(key, undefined, revision);", "return;"]],
  },
  "outage-kills": {
    what: "leases end while nobody can renew them",
    edits: [
      [
        LIVES,
        "const since = Math.max(other.renewedAt, this.#watchedSince);",
        "const since = other.renewedAt;",
      ],
    ],
  },
  "alone-never": {
    what: "a relay without the bus never goes on alone",
    edits: [[LIVES, "const ALONE_MS = 20_000;", "const ALONE_MS = Infinity;"]],
  },
  "alone-with-others": {
    what: "those elsewhere are still shown at a relay that is alone",
    edits: [[ROOM, "this.#island.mayReturn = false;", "this.#island.mayReturn = false; return;"]],
  },
  "return-never": {
    what: "what was a room of one relay never becomes one of all",
    edits: [[ROOM, "this.#island.mayReturn = true;", ""]],
  },
  "return-unchanged": {
    what: "members of whom others were told that they LEFT keep their sids",
    edits: [[
      "lib/cluster/island.ts",
      "return this.#wasShared || revision !== this.#revision;",
      "return false;",
    ]],
  },
  "parted-forever": {
    what: "who was elsewhere while a relay was alone is never shown there again",
    edits: [[ROOM, "this.#around.forgetGone(parted);", ""]],
  },
  "nonce-reused": {
    what: "a link begins anew within its epoch",
    edits: [
      [LINK, "this.#epoch++;", ""],
      [
        LINK,
        "if (this.#keptSince < Infinity) this.#push([Uint8Array.of(ENTRY.ASK)]);",
        "if (this.#seq > 0) this.#startOver();",
      ],
    ],
  },
} as const satisfies Record<string, { readonly what: string; readonly edits: readonly Edit[] }>;

/** A fault of {@linkcode CLUSTER_FAULTS}. */
export type ClusterFault = keyof typeof CLUSTER_FAULTS;

/** Tells whether there is a fault of this name. */
export function isClusterFault(name: string): name is ClusterFault {
  return Object.hasOwn(CLUSTER_FAULTS, name);
}

/** Plants a fault into a copy of the project. */
export function makeClusterMutant(fault: ClusterFault): Promise<Mutant> {
  return makeMutant(CLUSTER_FAULTS[fault].edits, "cluster.ts");
}
