/**
 * The chat while another computer floods the network with multicast DNS packets.
 *
 * @module
 */

import { Avahi, NO_AVAHI } from "../support/avahi.ts";
import type { FlooderActions } from "./flooder.ts";
import { Remote } from "./remote.ts";
import { Segment, type SegmentOptions } from "./segment.ts";

const BYTES_PER_SECOND = 2_000_000;
/** The flood begins so much before the messages and ends so much after them. */
const MARGIN_SECONDS = 1;
/** A server that has stopped announcing itself has to come back in this time. */
const FOUND_WITHIN_MS = 120_000;

/** @throws {Error} When this computer cannot make network namespaces. */
export async function measureMulticast(options: SegmentOptions): Promise<void> {
  let avahi: Avahi | undefined;
  await Segment.attack("multicast", options, {
    async start(servers, there) {
      avahi = NO_AVAHI ? undefined : await Avahi.start(there, "bench-box");
      const server = servers.start("server", {
        args: ["--json"],
        home: await servers.home("server", { file: "server.pem" }),
        announce: true,
      });
      await server.waitFor("listening");
      return server;
    },
    async attack(segment) {
      await using _avahi = avahi;
      await flood(segment, options);
    },
  });
}

async function flood(segment: Segment, { values, seconds }: SegmentOptions): Promise<void> {
  await using clients = await segment.friend.world();
  const home = await clients.home("ann");
  const isFound = async () =>
    (await clients.run("client", { args: ["--list", "--json"], home })).stdout.includes(
      `"port":${segment.server.port}`,
    );
  if (!await waitUntil(isFound)) throw new Error("the server is not announced");
  const flooder = new Remote<FlooderActions>("flooder.ts", segment.attacker.command());
  try {
    const flooding = flooder.tell("flood", {
      address: "10.77.0.2",
      label: Deno.hostname().split(".", 1)[0]!,
      bytesPerSecond: BYTES_PER_SECOND,
      seconds: seconds + 2 * MARGIN_SECONDS,
    });
    await new Promise((resolve) => setTimeout(resolve, MARGIN_SECONDS * 1000));
    await segment.measure("multicast");
    const sent = await flooding;
    const ended = performance.now();
    values["multicast.packets_per_second"] = sent.packets / sent.seconds;
    values["multicast.bytes_per_second"] = sent.bytes / sent.seconds;
    if (await waitUntil(isFound)) {
      values["multicast.found_s"] = (performance.now() - ended) / 1000;
    }
  } finally {
    await flooder.stop();
  }
}

async function waitUntil(condition: () => Promise<boolean>): Promise<boolean> {
  for (const end = performance.now() + FOUND_WITHIN_MS; performance.now() < end;) {
    if (await condition()) return true;
  }
  return false;
}
