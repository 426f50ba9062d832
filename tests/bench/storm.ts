/**
 * Joining and chatting while another computer with 200 addresses storms the relay.
 *
 * @module
 */

import type { Computer } from "../support/netns.ts";
import { Remote } from "./remote.ts";
import { Segment, type SegmentOptions } from "./segment.ts";
import type { StrangerActions } from "./stranger.ts";

const ADDRESSES = Array.from({ length: 200 }, (_, i) => `fd77::1:${i.toString(16)}`);
const RELAY = "fd77::a";
const JOINS = 15;
const M1S_PER_SECOND = 150;
/** More than can be opened: as many as the attacker manages. */
const MANY_PER_SECOND = 5_000;

/** @throws {Error} When this computer cannot make network namespaces. */
export async function measureStorm(options: SegmentOptions): Promise<void> {
  await Segment.attack("storm", options, {
    async prepare([there, attacker, friend]) {
      await give(there, [RELAY]);
      await give(attacker, ADDRESSES);
      await give(friend, ["fd77::b"]);
    },
    start: (servers) => servers.server(),
    attack: (segment) => storm(segment, options),
  });
}

async function storm(
  segment: Segment,
  { values, seconds, keyPem }: SegmentOptions,
): Promise<void> {
  const { port } = segment.server;
  const strangers = new Remote<StrangerActions>("stranger.ts", segment.attacker.command());
  const friend = new Remote<StrangerActions>("stranger.ts", segment.friend.command());
  const join = async (times: number) =>
    (await friend.tell("join", { host: RELAY, port, keyPem, times })).toSorted((a, b) => a - b);
  try {
    await join(3); // until everything is compiled
    for (const sends of ["m1", "half", "nothing"] as const) {
      const perSecond = sends === "m1" ? M1S_PER_SECOND : MANY_PER_SECOND;
      let isOver = false;
      const storming = strangers.tell("storm", {
        ...{ host: RELAY, port, addresses: ADDRESSES, sends, perSecond, seconds: 2 * seconds },
      }).finally(() => isOver = true);
      await segment.measure(`storm.${sends}`);
      const joins = isOver ? [] : await join(JOINS);
      values[`storm.${sends}.join_ms`] = joins[JOINS >> 1] ?? NaN;
      values[`storm.${sends}.join_max_ms`] = joins.at(-1) ?? NaN;
      values[`storm.${sends}.per_second`] = (await storming).perSecond;
    }
  } finally {
    await Promise.all([strangers, friend].map((remote) => remote.stop()));
  }
}

async function give(computer: Computer, addresses: readonly string[]): Promise<void> {
  const lines = addresses.map((address) => `ip addr add ${address}/64 dev ${computer.link} nodad`);
  await computer.run("sh", "-ec", lines.join("\n"));
}
