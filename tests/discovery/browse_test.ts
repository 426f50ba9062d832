import assert from "node:assert/strict";
import { Announcer } from "../../lib/discovery/announcer.ts";
import {
  browse,
  Browser,
  type Found,
  MAX_FOUND,
  MAX_FOUND_ADDRESSES,
  resolveLocal,
} from "../../lib/discovery/browse.ts";
import { type DnsRecord, makeDnsMessage, SERVICE } from "../../lib/discovery/dns.ts";
import { encodeDns } from "../../lib/discovery/dns_encode.ts";
import { ServiceResponder } from "../../lib/discovery/responder.ts";
import {
  ADDRESSES,
  findOwn,
  ignore,
  located,
  LOCATION,
  loopback,
  OUTSIDE,
  ownService,
  pointTo,
  PRINT,
  SERVICE_OF_ANNA,
  text,
} from "../support/announcements.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { poll } from "../support/programs.ts";

/** The relays a browser finds in one answer. */
function hear(...answers: DnsRecord[]): Found[] {
  const browser = new Browser();
  browser.take(makeDnsMessage({ isResponse: true, answers }), OUTSIDE);
  return browser.found();
}

Deno.test("Browser combines records in any order and from several answers", () => {
  const responder = new ServiceResponder({ ...SERVICE_OF_ANNA, isLocked: true }, "tag");
  const expected: Found = {
    name: "Anna's läptop",
    addresses: ["192.168.1.20", "fe80::1%eth0"],
    port: 40623,
    fingerprint: PRINT,
    password: true,
  };
  const { answers } = responder.announcement(ADDRESSES);
  for (const records of [answers, answers.toReversed()]) {
    const browser = new Browser();
    assert.equal(browser.take(makeDnsMessage({ answers: records }), OUTSIDE), true);
    assert.deepEqual(browser.found(), [expected]);
    assert.equal(browser.take(makeDnsMessage({ answers: records }), OUTSIDE), false); // no news
    assert.deepEqual(browser.questions(), [{ name: SERVICE, type: "PTR" }]);
  }
  const browser = new Browser();
  const asked: string[][] = [];
  for (const record of answers) {
    browser.take(makeDnsMessage({ answers: [record] }), OUTSIDE);
    asked.push(browser.questions().slice(1).map(({ type }) => type));
  }
  assert.deepEqual(asked, [["SRV", "TXT"], ["A", "AAAA", "TXT"], ["A", "AAAA"], [], []]);
  assert.deepEqual(browser.found(), [expected]);
  browser.take(responder.announcement(ADDRESSES, true), OUTSIDE);
  assert.deepEqual(browser.found(), []);
});

Deno.test("Browser leaves out relays that cannot be joined", () => {
  const whole = [pointTo("a"), LOCATION, text("v=1", `fp=${PRINT}`), located("10.0.0.1")];
  assert.equal(hear(...whole).length, 1);
  for (let i = 0; i < whole.length; i++) assert.deepEqual(hear(...whole.toSpliced(i, 1)), []);
  for (
    const fields of [
      [`fp=${PRINT}`],
      ["v=2", `fp=${PRINT}`],
      ["v=1"],
      ["v=1", "fp="],
      ["v=1", `fp=${PRINT.slice(1)}`],
      ["v=1", `fp=${PRINT}x`],
      ["v=1", `fp=${PRINT.slice(1)}\u001b`],
      ["v=1", "fp=x", `fp=${PRINT}`],
      ["v=1", `=${PRINT}`],
    ]
  ) assert.deepEqual(hear(whole[0]!, LOCATION, text(...fields), whole[3]!), [], fields.join());
  assert.equal(hear(whole[0]!, LOCATION, text("V=1", "x", `Fp=${PRINT}`), whole[3]!).length, 1);
  for (const port of [{ port: 0 }, { ttl: 0 }]) {
    assert.deepEqual(hear(whole[0]!, { ...LOCATION, ...port }, whole[2]!, whole[3]!), []);
  }
  for (
    const address of [
      "0.0.0.0",
      "127.0.0.1",
      "224.0.0.251",
      "255.255.255.255",
      "::",
      "::1",
      "ff02::fb",
      "::ffff:10.0.0.1",
    ]
  ) assert.deepEqual(hear(...whole.slice(0, 3), located(address)), [], address);
});

Deno.test("Browser lists IPv4 first and link-local addresses last, with their zone", () => {
  const [found] = hear(
    pointTo("a"),
    LOCATION,
    text("v=1", `fp=${PRINT}`),
    ...["fe80::1", "fd00::2", "10.0.0.1", "febf::3", "169.254.1.1"].map(located),
  );
  assert.deepEqual(
    found?.addresses,
    ["10.0.0.1", "169.254.1.1", "fd00::2", "fe80::1%eth0", "febf::3%eth0"],
  );
});

Deno.test("Browser separates relays of one name on two links, and merges one heard on both", () => {
  const other = { zone: "%wlan0", isLoopback: false };
  const announce = (fingerprint: string, address: string) =>
    makeDnsMessage({
      answers: [pointTo("a"), LOCATION, text("v=1", `fp=${fingerprint}`), located(address)],
    });
  const print = PRINT.toLowerCase();
  const namesakes = new Browser();
  namesakes.take(announce(PRINT, "10.0.0.1"), OUTSIDE);
  namesakes.take(announce(print, "10.1.0.1"), other);
  assert.deepEqual(
    namesakes.found().map(({ fingerprint, addresses }) => [fingerprint, ...addresses]),
    [[PRINT, "10.0.0.1"], [print, "10.1.0.1"]],
  );
  const both = new Browser();
  both.take(announce(PRINT, "fe80::1"), OUTSIDE);
  both.take(makeDnsMessage({ answers: [pointTo("a")] }), other);
  assert.deepEqual(both.questions().map(({ type }) => type), ["PTR", "SRV", "TXT"]);
  both.take(announce(PRINT, "10.1.0.1"), other);
  assert.deepEqual(both.found().map(({ addresses }) => addresses), [["10.1.0.1", "fe80::1%eth0"]]);
  both.take(makeDnsMessage({ answers: [{ ...pointTo("a"), ttl: 0 }] }), other);
  assert.deepEqual(both.found().map(({ addresses }) => addresses), [["fe80::1%eth0"]]);
});

Deno.test("Browser keeps 64 of 10 000 announcements, and 8 addresses of each", () => {
  const browser = new Browser();
  for (let i = 0; i < 10_000; i++) {
    const name = `${i}.${SERVICE}`;
    browser.take(
      makeDnsMessage({
        answers: [
          pointTo(String(i)),
          { ...LOCATION, name, target: `${i}.local` } as DnsRecord,
          { ...text("v=1", `fp=${PRINT}`), name },
          ...Array.from({ length: 9 }, (_, j): DnsRecord => ({
            ...located(`10.0.0.${j}`),
            name: `${i}.local`,
          })),
        ],
      }),
      OUTSIDE,
    );
  }
  const found = browser.found();
  assert.equal(found.length, MAX_FOUND);
  assert.ok(found.every(({ addresses }) => addresses.length === MAX_FOUND_ADDRESSES));
  assert.equal(browser.questions().length, 1);

  // Names without further records, and hosts nobody asked for, are limited too.
  const names = new Browser();
  for (let i = 0; i < 10_000; i++) {
    names.take(makeDnsMessage({ answers: [pointTo(String(i)), located("10.0.0.1")] }), OUTSIDE);
  }
  assert.ok(encodeDns(makeDnsMessage({ questions: names.questions() })).length < 9000);
});

Deno.test("browse() finds what Announcer announces, until it stops", { ignore }, async () => {
  const service = ownService();
  const announcer = new Announcer(service, { links: loopback });
  assert.equal(await announcer.start(), true);
  await poll(() => announcer.label, () => "the announcement");
  assert.equal(announcer.label, service.name);
  const [found] = await findOwn(service);
  assert.equal(found?.addresses[0], "127.0.0.1");
  assert.deepEqual({ ...found, addresses: [] }, {
    name: service.name,
    addresses: [],
    port: 40623,
    fingerprint: PRINT,
    password: false,
  });
  assert.ok(
    (await resolveLocal(`${service.name}.local.`, { links: loopback })).includes("127.0.0.1"),
  );
  await announcer.stop();
  assert.deepEqual(await findOwn(service), []);
  assert.deepEqual(await resolveLocal(`${service.name}.local`, { links: loopback }), []);
});

Deno.test("browse() and resolveLocal() return nothing when time is up", async () => {
  for (const find of [browse, (options: object) => resolveLocal("anna.local", options)]) {
    const clock = new FakeClock();
    let found: unknown[] | undefined;
    const finding = find({ clock, links: () => [], timeoutMs: 2000 }).then((all) => found = all);
    await clock.advance(1999);
    assert.equal(found, undefined);
    await clock.advance(1);
    await finding;
    assert.deepEqual(found, []);
    assert.equal(clock.timers, 0);
  }
});

Deno.test("browse() ends 300 ms after the last news once a relay was found", {
  ignore,
}, async () => {
  const announcer = new Announcer(ownService(), { links: loopback });
  await announcer.start();
  await poll(() => announcer.label, () => "the announcement");
  const clock = new FakeClock();
  let isDone = false;
  const finding = browse({ clock, links: loopback }).finally(() => isDone = true);
  // The limit and three questions, and one more when the announcement was heard before anybody asked.
  await poll(() => clock.timers >= 4, () => "the search");
  await clock.advance(0); // the first question
  await poll(() => clock.timers === 4, () => "the answer");
  await clock.advance(299);
  assert.equal(isDone, false);
  while (!isDone) await clock.advance(1);
  assert.ok((await finding).length > 0);
  assert.equal(clock.timers, 0);
  await announcer.stop();
});
