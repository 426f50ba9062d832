import assert from "node:assert/strict";
import { type DnsMessage, makeDnsMessage, MDNS_PORT, SERVICE } from "../../lib/discovery/dns.ts";
import { encodeDns } from "../../lib/discovery/dns_encode.ts";
import { Multicast, type Origin } from "../../lib/discovery/multicast.ts";
import { ignore, loopback } from "../support/announcements.ts";
import { poll } from "../support/programs.ts";

Deno.test("Multicast.ask() gets a unicast reply on its own port", { ignore }, async () => {
  const name = `${crypto.randomUUID()}.local`;
  const isOurs = ({ questions }: DnsMessage) =>
    questions.some((question) => question.name === name);
  const replies: Origin[] = [];
  const asker = new Multicast({
    links: loopback,
    onMessage: (message, origin) => message.isResponse && isOurs(message) && replies.push(origin),
  });
  const queries: Origin[] = [];
  const responder = new Multicast({
    links: loopback,
    onMessage(message, origin) {
      if (message.isResponse || !isOurs(message)) return;
      queries.push(origin);
      void responder.reply(origin, { ...message, isResponse: true });
    },
  });
  try {
    assert.equal((await asker.refresh()).length, 1);
    assert.deepEqual(await asker.refresh(), []);
    await responder.refresh();
    await asker.ask(makeDnsMessage({ questions: [{ name, type: "A" }] }));
    await poll(() => replies.length > 0, () => "the reply");
    assert.notEqual(queries[0]!.port, MDNS_PORT);
    assert.equal(queries[0]!.link.name, replies[0]!.link.name);
    assert.equal(replies[0]!.port, MDNS_PORT);
  } finally {
    await Promise.all([asker.close(), responder.close()]);
  }
  assert.equal(asker.isListening, false);
});

Deno.test("Multicast reads no more than its budget in a flood, and goes on afterwards", {
  ignore,
}, async () => {
  let received = 0;
  let overloads = 0;
  const net = new Multicast({
    links: loopback,
    onMessage: () => received++,
    onOverload: () => overloads++,
  });
  const start = performance.now();
  await net.refresh();
  const stranger = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
    loopback: true,
  });
  const query = encodeDns(makeDnsMessage({ questions: [{ name: SERVICE, type: "PTR" }] }));
  const send = () =>
    stranger.send(query, { transport: "udp", hostname: "224.0.0.251", port: MDNS_PORT });
  await poll(async () => {
    for (let i = 0; i < 100; i++) await send();
    return overloads >= 3;
  }, () => "pauses");
  // Each message costs at least 32 of the 5,000 at the start and the 50,000 a second.
  const seconds = (performance.now() - start) / 1000;
  assert.ok(received <= (5_000 + 50_000 * seconds) / 32 + overloads, `${received} in ${seconds} s`);
  const before = received;
  await poll(async () => {
    await send();
    return received > before;
  }, () => "a message after the flood");
  stranger.close();
  await net.close(); // also in the middle of a pause
});
