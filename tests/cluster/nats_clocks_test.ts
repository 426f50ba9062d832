import assert from "node:assert/strict";
import { examineNats } from "../../lib/cluster/nats_check.ts";
import { enterCluster } from "../support/nats_relay.ts";
import { poll } from "../support/programs.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";

const options = { ignore: NO_NATS !== undefined };
const SECRET = new Uint8Array(384).fill(9);

Deno.test(
  "examineNats() finds the server whose clock is wrong, and none of another cluster",
  options,
  async () => {
    await using nats = await NatsServer.start();
    const place = { servers: [nats.url] };
    assert.deepEqual((await examineNats(place, SECRET)).clocks, []);
    const relays = [
      await enterCluster(nats, { secret: SECRET, address: "right", aheadMs: 0 }),
      await enterCluster(nats, { secret: SECRET, address: "fast", aheadMs: 50_000 }),
    ];
    const ahead = await poll(async () => {
      const { clocks } = await examineNats(place, SECRET);
      if (clocks!.length < 2) return undefined;
      return new Map(clocks!.map(({ server, aheadMs }) => [server, aheadMs]));
    }, () => "both servers");
    assert.deepEqual([...ahead.keys()].toSorted(), ["fast", "right"]);
    assert.ok(ahead.get("fast")! > 25_000 && ahead.get("fast")! <= 50_000, `${ahead.get("fast")}`);
    assert.ok(Math.abs(ahead.get("right")!) < 25_000, `${ahead.get("right")}`);
    assert.deepEqual((await examineNats(place, new Uint8Array(384).fill(8))).clocks, []);
    assert.equal((await examineNats(place)).clocks, undefined);
    await Promise.all(relays.map((relay) => relay.stop()));
  },
);
