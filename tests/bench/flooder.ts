/**
 * One process that floods the network with multicast DNS packets.
 *
 * @module
 */

import { hostilePackets } from "../support/hostile_dns.ts";
import { serve } from "./remote.ts";

const TO = { transport: "udp", hostname: "224.0.0.251", port: 5353 } as const;
const TICK_MS = 5;

/**
 * Sends for so many seconds, of each shape as many bytes.
 *
 * @returns What was sent.
 */
async function flood(
  { address, label, bytesPerSecond, seconds }: {
    /** Of this computer, on the link to flood. */
    address: string;
    /** The announcement to claim. */
    label: string;
    bytesPerSecond: number;
    seconds: number;
  },
): Promise<{ packets: number; bytes: number; seconds: number }> {
  // From the port of multicast DNS, as responders send, and from another one, as simple resolvers do.
  const sockets = [5353, 0].map((port) =>
    Deno.listenDatagram({ transport: "udp", hostname: address, port, reuseAddress: true })
  );
  const shapes = [...hostilePackets(label).values()].map((bytes) => ({ bytes, sent: 0 }));
  const start = performance.now();
  let [packets, bytes] = [0, 0];
  for (let now = start; now < start + seconds * 1000; now = performance.now()) {
    const due = (now - start) / 1000 * bytesPerSecond;
    while (bytes < due) {
      const shape = shapes.reduce((a, b) => a.sent <= b.sent ? a : b);
      await sockets[packets % 2]!.send(shape.bytes, TO).catch(() => 0); // its buffer is full
      shape.sent += shape.bytes.length;
      bytes += shape.bytes.length;
      packets++;
      if (packets % 64 === 0 && performance.now() > start + seconds * 1000) break;
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  for (const socket of sockets) socket.close();
  return { packets, bytes, seconds: (performance.now() - start) / 1000 };
}

const actions = { flood };

/** What this process can be told. */
export type FlooderActions = typeof actions;

if (import.meta.main) await serve(actions);
