/** The bus over three servers of NATS that are one, of which one is killed. */
import assert from "node:assert/strict";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { administer, bytesOf, CLUSTER, Ear } from "../support/nats_bus.ts";
import { poll } from "../support/programs.ts";

Deno.test(
  "the bucket is on all three servers, and goes on with two",
  { ignore: NO_NATS !== undefined },
  async () => {
    const nats = await NatsServer.startThree();
    await using _all = {
      [Symbol.asyncDispose]: async () => {
        for (const server of nats) await server[Symbol.asyncDispose]();
      },
    };
    const servers = nats.map(({ url }) => url);
    // They need some seconds to elect who decides.
    await using one = await poll(
      () => Ear.listen(nats[0]!, { servers }).catch(() => undefined),
      () => "a majority of the servers",
    );
    await using two = await Ear.listen(nats[0]!, { servers });
    assert.deepEqual(one.warnings, []);
    const { config, cluster } = await administer(
      nats[0]!,
      `$JS.API.STREAM.INFO.KV_hearth-${CLUSTER}`,
    ) as { config: { num_replicas: number }; cluster: { leader: string } };
    assert.equal(config.num_replicas, 3);
    let revision = await one.put("r.a", "0", 0);

    await nats[Number(cluster.leader.slice(1))]!.kill();
    let count = 0;
    for (let text = 1; count < 20; text++) {
      const ear = text % 2 === 0 ? one : two;
      const written = await ear.bus.write("r.a", bytesOf(String(text)), revision);
      if (written.type === "written") {
        revision = written.revision;
        count++;
      } else {
        const found = await ear.bus.get("r.a"); // an unknown one may have been written
        revision = found?.revision ?? revision;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    const last = new TextDecoder().decode((await one.bus.get("r.a"))!.value);
    for (const ear of [one, two]) {
      await ear.sees("r.a", last);
      const revisions = ear.entries.map((entry) => entry.revision);
      assert.deepEqual(revisions, revisions.toSorted((a, b) => a - b), "none goes back");
    }
  },
);
