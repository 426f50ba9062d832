import assert from "node:assert/strict";
import { Announcer } from "../../lib/discovery/announcer.ts";
import { makeDnsMessage, SERVICE } from "../../lib/discovery/dns.ts";
import { Multicast } from "../../lib/discovery/multicast.ts";
import { findOwn, ignore, loopback, ownService } from "../support/announcements.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { hostilePackets } from "../support/hostile_dns.ts";
import { poll } from "../support/programs.ts";

Deno.test("Announcer takes another name when its own is taken, even by a simultaneous probe", {
  ignore,
}, async () => {
  const service = ownService();
  const announcers = [1, 2, 3].map((port) =>
    new Announcer({ ...service, port }, { links: loopback })
  );
  for (const announcer of announcers) await announcer.start();
  const names = () => announcers.map(({ label }) => label).sort();
  const expected = [service.name, `${service.name} (2)`, `${service.name} (3)`];
  await poll(
    () => names().join() === expected.join(),
    () => `three names: ${names()}`,
  );
  const found = await findOwn(service);
  assert.deepEqual(found.map(({ name }) => name).sort(), expected);
  for (const { name, port } of found) assert.equal(announcers[port - 1]!.label, name);
  await Promise.all(announcers.map((announcer) => announcer.stop()));
});

Deno.test("Announcer defends its name at once, however many queries come", { ignore }, async () => {
  const service = ownService();
  const [first, second] = [1, 2].map((port) =>
    new Announcer({ ...service, port }, { links: loopback })
  ) as [Announcer, Announcer];
  await first.start();
  await poll(() => first.label, () => "the announcement");
  // A flood of queries: multicast answers are sent once a second.
  const asking = new Multicast({ links: loopback, onMessage: () => {} });
  const [link] = await asking.refresh();
  const query = makeDnsMessage({ questions: [{ name: SERVICE, type: "PTR" }] });
  const asker = setInterval(() => void asking.send(link!, query), 20);
  try {
    await second.start();
    await poll(() => second.label, () => "the other announcement");
    assert.deepEqual([first.label, second.label], [service.name, `${service.name} (2)`]);
  } finally {
    clearInterval(asker);
    await asking.close();
  }
  await Promise.all([first.stop(), second.stop()]);
});

Deno.test("Announcer pauses during a flood of name conflicts, and returns to its first name", {
  ignore,
}, async () => {
  const service = ownService();
  const clock = new FakeClock();
  const lines: string[] = [];
  const announcer = new Announcer(service, {
    links: loopback,
    clock,
    onTrouble: (line) => /announced/.test(line) && lines.push(line),
  });
  await announcer.start();
  /** Lets time pass, with real moments in between for what is on its way. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      await clock.advance(250);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  await pass(2000);
  assert.equal(announcer.label, service.name);

  const rival = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 5353,
    reuseAddress: true,
    loopback: true,
  });
  const to = { transport: "udp", hostname: "224.0.0.251", port: 5353 } as const;
  const claims = hostilePackets(service.name).get("name conflicts")!;
  await poll(async () => {
    await rival.send(claims, to);
    return lines.length > 0;
  }, () => "the pause");
  assert.equal(announcer.label, undefined);
  for (let i = 0; i < 30; i++) await rival.send(claims, to); // changes nothing
  rival.close();
  await pass(5000);
  assert.deepEqual([announcer.label, lines.length], [undefined, 1]);
  const label = await poll(async () => {
    await pass(1000);
    return announcer.label;
  }, () => "the announcement");
  // Without the numbers that it tried, unless a late packet has claimed one more name.
  assert.ok([service.name, `${service.name} (2)`].includes(label), label);
  assert.deepEqual(lines.slice(1), [`announced again as "${label}"`]);
  assert.deepEqual((await findOwn(service)).map(({ name }) => name), [label]);
  await announcer.stop();
});
