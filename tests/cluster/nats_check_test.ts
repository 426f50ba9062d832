import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { examineNats } from "../../lib/cluster/nats_check.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { administer } from "../support/nats_bus.ts";

const options = { ignore: NO_NATS !== undefined };

Deno.test("examineNats() finds what a server is, and makes nothing there", options, async () => {
  await using server = await NatsServer.start();
  const found = await examineNats({ servers: [server.url] });
  assert.equal(found.server, server.url.slice("nats://".length));
  assert.match(found.version, /^\d+\.\d+\.\d+/);
  assert.ok(found.roundTripMs > 0);
  assert.deepEqual([found.isEncrypted, found.isClustered], [false, false]);
  const { total } = await administer(server, "$JS.API.STREAM.NAMES");
  assert.equal(total, 0);
});

for (
  const [what, config, jetStream, fault] of [
    ["no JetStream", "", false, /has no JetStream/],
    ["no permission for rosters", permit(`"hearth.>", "$JS.API.>"`), true, /publishing to "\$KV/],
    ["no permission for messages", permit(`"$KV.>", "$JS.API.>"`), true, /publishing to "hearth/],
    ["no permission for JetStream", permit(`"$KV.>", "hearth.>"`), true, /publishing to "\$JS/],
  ] as const
) {
  Deno.test(`examineNats() finds ${what}`, options, async () => {
    await using server = await NatsServer.start({ config, jetStream });
    await assert.rejects(
      examineNats({ servers: [server.url] }),
      (error) => error instanceof UsageError && fault.test(error.message),
    );
  });
}

/** A user without credentials who may publish to these alone. */
function permit(subjects: string): string {
  return `accounts { HEARTH { jetstream: enabled, users: [
    { user: x, password: x, permissions: { publish: [${subjects}] } } ] } }
    no_auth_user: x`;
}
