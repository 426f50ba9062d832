/** Whom a server of NATS lets in, whom this program trusts, and what it says if not; over real servers. */
import assert from "node:assert/strict";
import { nkeys } from "@nats-io/nats-core/internal";
import { UsageError } from "../../lib/base/errors.ts";
import { examineNats } from "../../lib/cluster/nats_check.ts";
import type { NatsOptions } from "../../lib/cluster/nats.ts";
import { makeAuthority, makeCertificate, NO_CERTIFICATES } from "../support/certificates.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { bytesOf, Ear } from "../support/nats_bus.ts";
import { freePort, poll } from "../support/programs.ts";
import { readProject } from "../support/project.ts";

const options = { ignore: NO_NATS !== undefined };
const withTls = { ignore: NO_NATS !== undefined || NO_CERTIFICATES };

const { createAccount, createOperator, createUser } = nkeys;
type KeyPair = ReturnType<typeof createUser>;

const decoder = new TextDecoder();
const seedOf = (pair: KeyPair) => decoder.decode(pair.getSeed());

/** The permissions of docs/cluster.md. */
const PUBLISH = `["hearth.>", "$JS.API.>", "$KV.>", "_INBOX.>"]`;
const SUBSCRIBE = `["hearth.>", "_INBOX.>"]`;

function accounts(user: string, publish = PUBLISH, subscribe = SUBSCRIBE): string {
  return `accounts { HEARTH { jetstream: enabled, users: [ { nkey: ${user}, permissions: {
    publish: ${publish}, subscribe: ${subscribe} } } ] } }`;
}

/** Why no bus is opened. */
async function refusal(
  server: { readonly url: string },
  with_: Partial<NatsOptions> = {},
): Promise<string> {
  try {
    await using _ear = await Ear.open(server, with_);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return [error.message, ...error.hints].join("; ");
  }
  throw new Error("it was let in");
}

/** A server that says so of itself, and nothing else. */
function pretender(greeting: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heard: string[] = [];
  const serve = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(4096);
      try {
        await connection.write(bytesOf(greeting));
        const length = await connection.read(buffer);
        if (length !== null) heard.push(decoder.decode(buffer.subarray(0, length)));
        await connection.write(bytesOf("PONG\r\n"));
        await connection.read(buffer);
      } catch {
        // The other side is gone.
      }
      connection.close();
    }
  })();
  return {
    url: `nats://127.0.0.1:${listener.addr.port}`,
    heard,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serve;
    },
  };
}

function greet(fields: Readonly<Record<string, unknown>>): string {
  const info = { server_id: "X", proto: 1, headers: true, max_payload: 1048576, ...fields };
  return `INFO ${JSON.stringify(info)}\r\n`;
}

Deno.test(
  "a seed is accepted with the permissions of the manual, and nothing else",
  options,
  async () => {
    const user = createUser();
    await using server = await NatsServer.start({ config: accounts(user.getPublicKey()) });
    await using ear = await Ear.listen(server, { creds: `${seedOf(user)}\n` });
    await ear.put("r.a", "one", 0);
    await ear.sees("r.a", "one");
    ear.bus.publish(ear.inbox, bytesOf("to myself"));
    await poll(() => ear.messages.length > 0, () => "a message");
    ear.bus.probe("00".repeat(16));
    await poll(() => ear.nobody.length > 0, () => "nobody");
    assert.deepEqual([ear.faults, ear.warnings], [[], []]);

    assert.match(await refusal(server), /asks for credentials; give them with --cluster-creds/);
    const stranger = seedOf(createUser());
    assert.match(await refusal(server, { creds: stranger }), /refuses the credentials/);
    assert.match(await refusal(server, { creds: "SUNOSEED" }), /neither a creds file nor the seed/);
  },
);

Deno.test("a creds file is accepted where an operator signs accounts", options, async () => {
  const [operator, account, user] = [createOperator(), createAccount(), createUser()];
  const system = createAccount();
  const sign = (subject: KeyPair, issuer: KeyPair, nats: Readonly<Record<string, unknown>>) => {
    const part = (value: unknown) =>
      bytesOf(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
    const claims = {
      jti: "X",
      iat: 0,
      iss: issuer.getPublicKey(),
      name: "x",
      sub: subject.getPublicKey(),
      nats: { version: 2, ...nats },
    };
    const text = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(claims)}`;
    const signature = issuer.sign(bytesOf(text)) as Uint8Array<ArrayBuffer>;
    return `${text}.${signature.toBase64({ alphabet: "base64url", omitPadding: true })}`;
  };
  const limits = {
    ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true },
    ...{ conn: -1, leaf: -1, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
  };
  const accountOf = (pair: KeyPair, limits: Readonly<Record<string, unknown>>) =>
    `${pair.getPublicKey()}: ${sign(pair, operator, { type: "account", limits })}`;
  const { mem_storage: _memory, disk_storage: _disk, ...others } = limits;
  const config = `operator: ${sign(operator, operator, { type: "operator" })}
    system_account: ${system.getPublicKey()}
    resolver: MEMORY
    resolver_preload { ${accountOf(account, limits)}, ${accountOf(system, others)} }`;
  await using server = await NatsServer.start({ config });
  const jwt = sign(user, account, { type: "user", subs: -1, data: -1, payload: -1 });
  const creds = `-----BEGIN NATS USER JWT-----
${jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seedOf(user)}
------END USER NKEY SEED------
`;
  await using ear = await Ear.listen(server, { creds });
  await ear.put("r.a", "one", 0);
  await ear.sees("r.a", "one");
});

for (
  const [what, publish, subscribe] of [
    ['publishing to "$JS.API.', `["hearth.>", "$KV.>"]`, SUBSCRIBE],
    ['publishing to "$KV.', `["hearth.>", "$JS.API.>"]`, SUBSCRIBE],
    ['publishing to "hearth.', `["$JS.API.>", "$KV.>"]`, SUBSCRIBE],
    ['subscribing to "hearth.', PUBLISH, `["_INBOX.>"]`],
    ['subscribing to "_INBOX.', PUBLISH, `["hearth.>"]`],
  ] as const
) {
  Deno.test(`without ${what.slice(0, -1)} a bus does not go on`, options, async () => {
    const user = createUser();
    const config = accounts(user.getPublicKey(), publish, subscribe);
    await using server = await NatsServer.start({ config });
    let fault: string;
    try {
      await using ear = await Ear.open(server, { creds: seedOf(user) });
      ear.start();
      void ear.bus.write("r.a", bytesOf("one"), 0);
      ear.bus.publish(ear.inbox, bytesOf("x"));
      await poll(() => ear.faults.length > 0, () => "the fault");
      fault = ear.faults[0]!.message;
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error));
      fault = error.message;
    }
    assert.ok(fault.includes(`does not allow ${what}`), fault);
  });
}

Deno.test("permissions and credentials that are taken back end it", options, async () => {
  const user = createUser();
  const creds = seedOf(user);
  await using server = await NatsServer.start({ config: accounts(user.getPublicKey()) });
  await using ear = await Ear.listen(server, { creds });
  await server.configure(accounts(user.getPublicKey(), `["$JS.API.>", "_INBOX.>"]`));
  server.signal("SIGHUP");
  await poll(async () => {
    if (ear.faults.length > 0) return true;
    await ear.bus.write("r.a", bytesOf("one"), 0);
    return false;
  }, () => "the fault");
  assert.match(ear.faults[0]!.message, /does not allow publishing to "\$KV\.hearth-/);

  await using other = await Ear.listen(server, { creds });
  await server.configure(accounts(createUser().getPublicKey()));
  server.signal("SIGHUP");
  await other.waitFor("down");
  await poll(() => other.faults.length > 0, () => "the fault");
  assert.match(other.faults[0]!.message, /refuses the credentials of --cluster-creds/);
});

Deno.test("TLS: an own authority, one that is unknown, and none", withTls, async () => {
  const folder = await Deno.makeTempDir({ prefix: "hearth_tls_" });
  try {
    const authority = await makeAuthority(folder, "authority");
    const another = await makeAuthority(folder, "another");
    await makeCertificate(folder, "server", "authority");
    const files = `cert_file: "${folder}/server.pem", key_file: "${folder}/server.key"`;
    await using server = await NatsServer.start({ config: `tls { ${files} }` });
    const secure = { url: server.url.replace("nats:", "tls:") };
    for (const { url } of [server, secure]) {
      await using ear = await Ear.listen({ url }, { caCerts: [authority] });
      await ear.put(`r.${url.slice(0, 4)}`, "one", 0);
      assert.equal(ear.bus.isEncrypted, true);
    }
    assert.match(await refusal(secure), /not trusted.*UnknownIssuer; .*--cluster-ca/);
    assert.match(await refusal(server), /not trusted/, "a server that wants TLS gets it");
    assert.match(await refusal(secure, { caCerts: [another] }), /not trusted/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  await using bare = pretender(greet({ version: "2.15.3" }));
  assert.match(
    await refusal({ url: bare.url.replace("nats:", "tls:") }),
    /does not offer TLS, so nothing was sent/,
  );
  assert.match(await refusal(bare, { caCerts: ["x"] }), /does not offer TLS/);
  assert.deepEqual(bare.heard, []);
});

Deno.test("a server that cannot carry a cluster is refused in words", options, async () => {
  await using plain = await NatsServer.start({ jetStream: false });
  assert.match(await refusal(plain), /has no JetStream; .*nats-server -js/);
  await plain.kill();
  assert.match(await refusal(plain), /cannot be reached: .*refused/);
  await using old = pretender(greet({ version: "2.8.4" }));
  assert.match(await refusal(old), /is too old: version 2\.8\.4; use 2\.9\.0 or later/);
  await using strange = pretender("SSH-2.0-OpenSSH_9.2\r\n");
  assert.match(await refusal(strange), /not a NATS server/);
  await using silent = pretender("");
  assert.match(await refusal(silent), /cannot be reached/);
});

Deno.test(
  "the configuration of docs/cluster.md is three servers that carry a cluster",
  withTls,
  async () => {
    const manual = await readProject("docs/cluster.md");
    const [, config] = /```text\n(server_name: .*?)```/s.exec(manual)!;
    const user = createUser();
    const folder = await Deno.makeTempDir({ prefix: "hearth_tls_" });
    const servers: NatsServer[] = [];
    try {
      const authority = await makeAuthority(folder, "ca");
      await makeCertificate(folder, "server", "ca");
      const routes = [1, 2, 3].map(() => freePort());
      const configOf = (i: number, { port, folder: own }: { port: number; folder: string }) =>
        config!.replace("nats-1", `nats-${i + 1}`)
          .replace("0.0.0.0:4222", `127.0.0.1:${port}`)
          .replace("0.0.0.0:6222", `127.0.0.1:${routes[i]}`)
          .replace(/192\.168\.1\.3(\d):6222/g, (_, n) => `127.0.0.1:${routes[Number(n) - 1]}`)
          .replace(/\bU[A-Z2-7]{55}\b/, user.getPublicKey())
          .replace("/var/lib/nats", `${own}/js`)
          .replaceAll("/etc/nats/", `${folder}/`);
      for (const i of routes.keys()) {
        servers.push(await NatsServer.start({ whole: (server) => configOf(i, server) }));
      }
      const urls = servers.map(({ url }) => url.replace("nats:", "tls:"));
      const place = { servers: urls, creds: seedOf(user), caCerts: [authority] };
      await using ear = await poll(
        () => Ear.listen(servers[0]!, place).catch(() => undefined),
        () => "a majority of the servers",
      );
      await ear.put("r.a", "one", 0);
      await ear.sees("r.a", "one");
      assert.deepEqual([ear.faults, ear.warnings], [[], []]);
      assert.ok(ear.bus.isEncrypted);
      assert.ok((await examineNats(place)).isClustered);
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    }
  },
);
