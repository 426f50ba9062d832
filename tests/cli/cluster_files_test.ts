import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { readNatsPlace, warnOfOpenNats } from "../../lib/cli/cluster_files.ts";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----";
const servers = ["nats://a:4222"];

Deno.test("readNatsPlace() reads credentials that nobody else can read, and certificates", async () => {
  const folder = await Deno.makeTempDir({ prefix: "hearth_test_" });
  const path = async (name: string, text: string, mode = 0o600) => {
    await Deno.writeTextFile(`${folder}/${name}`, text, { mode });
    await Deno.chmod(`${folder}/${name}`, mode);
    return `${folder}/${name}`;
  };
  const none = { servers, creds: undefined, ca: undefined };
  const refuses = (request: Partial<typeof none> | Record<string, string>, fault: RegExp) =>
    assert.rejects(
      readNatsPlace({ ...none, ...request }),
      (error) => error instanceof UsageError && fault.test(error.message),
    );
  try {
    assert.deepEqual(await readNatsPlace(none), { servers, creds: undefined, caCerts: [] });
    const creds = await path("creds", "SUX\n");
    const ca = await path("ca", `first\n${CERTIFICATE}\n\n${CERTIFICATE}\n`, 0o644);
    assert.deepEqual(await readNatsPlace({ servers, creds, ca }), {
      servers,
      creds: "SUX\n",
      caCerts: [CERTIFICATE, CERTIFICATE],
    });
    await refuses({ creds: await path("open", "SUX\n", 0o640) }, /readable by others/);
    await refuses({ creds: `${folder}/none` }, /none/);
    await refuses({ ca: creds }, /not a certificate in PEM/);
    await refuses({ ca: await path("large", "x".repeat(1024 * 1024 + 1)) }, /larger than 1 MiB/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("warnOfOpenNats() warns where others reach NATS, and it is not protected", () => {
  const warn = (server: string, creds: string | undefined, isEncrypted: boolean) =>
    warnOfOpenNats({ servers: [server], creds, caCerts: [] }, isEncrypted);
  for (const near of ["nats://127.0.0.1:4222", "nats://localhost:4222", "nats://[::1]:4222"]) {
    assert.equal(warn(near, undefined, false), undefined);
  }
  assert.match(warn("nats://a:4222", undefined, false)!, /without TLS and without credentials/);
  assert.match(warn("nats://a:4222", "SUX", false)!, /without TLS:/);
  assert.match(warn("tls://a:4222", undefined, true)!, /without credentials:/);
  assert.equal(warn("tls://a:4222", "SUX", true), undefined);
});
