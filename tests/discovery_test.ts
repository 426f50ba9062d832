/**
 * Finding servers without an address: what is said in multicast DNS, what is made of it, and both together on the
 * loopback interface. Between computers: discovery_net_test.ts.
 */
import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { Announcer } from "../lib/discovery/announcer.ts";
import { Browser, MAX_ADDRESSES, MAX_FOUND } from "../lib/discovery/browse.ts";
import { encodeUtf8 } from "../lib/base/bytes.ts";
import { browse, type Found, resolveLocal } from "../lib/discovery.ts";
import { UsageError } from "../lib/base/errors.ts";
import { type Link, linkOf, listLinks } from "../lib/base/interfaces.ts";
import {
  decodeMessage,
  type DnsRecord,
  encodeMessage,
  makeLabel,
  makeMessage,
  type Message,
  SERVICE,
} from "../lib/discovery/dns.ts";
import { Multicast } from "../lib/discovery/multicast.ts";
import { chooseNearby, type Nearby } from "../lib/cli/announced_servers.ts";
import { Responder, type Service } from "../lib/discovery/responder.ts";
import { poll } from "./support/programs.ts";

const PRINT = "AbC+/0123456789z";
const OUTSIDE = { zone: "%eth0", isLoopback: false };
const SERVICE_OF_ANNA: Service = {
  name: "Anna's läptop",
  port: 40623,
  fingerprint: PRINT,
  isLocked: false,
};
const ADDRESSES = [
  { family: "IPv4", address: "192.168.1.20" },
  { family: "IPv6", address: "fe80::1" },
] as const;

function text(...fields: string[]): DnsRecord {
  return {
    name: `a.${SERVICE}`,
    type: "TXT",
    ttl: 1,
    unique: true,
    fields: fields.map(encodeUtf8),
  };
}

function pointTo(label: string): DnsRecord {
  return { name: SERVICE, type: "PTR", ttl: 1, unique: false, data: `${label}.${SERVICE}` };
}

const LOCATION: DnsRecord = {
  name: `a.${SERVICE}`,
  type: "SRV",
  ttl: 1,
  unique: true,
  port: 7,
  target: "Host.local",
};

function located(data: string): DnsRecord {
  const type = data.includes(":") ? "AAAA" : "A";
  return { name: "host.local", type, ttl: 1, unique: true, data };
}

/** What a browser makes of an answer. */
function hear(...answers: DnsRecord[]): Found[] {
  const browser = new Browser();
  browser.take(makeMessage({ isResponse: true, answers }), OUTSIDE);
  return browser.found();
}

// --- mdns.ts ---

Deno.test("decodeMessage() reads what encodeMessage() writes", () => {
  const message = makeMessage({
    id: 7,
    isResponse: true,
    questions: [{ name: SERVICE, type: "ANY" }],
    answers: [pointTo("Ännä's  box"), located("192.168.1.20"), located("fe80::1")],
    proposed: [LOCATION],
    additionals: [text("v=1", `fp=${PRINT}`)],
  });
  const read = decodeMessage(encodeMessage(message))!;
  const fields = (record: DnsRecord | undefined) =>
    record?.type === "TXT" ? record.fields.map((field) => [...field]) : [];
  assert.deepEqual(fields(read.additionals[0]), fields(message.additionals[0]));
  assert.deepEqual({ ...read, additionals: [] }, { ...message, additionals: [] });
});

Deno.test("decodeMessage() makes nothing of what is no message, and throws nothing", () => {
  const announcement = new Responder(SERVICE_OF_ANNA, "x").announcement(ADDRESSES.slice(0, 1));
  const whole = encodeMessage(announcement);
  for (let length = 0; length <= whole.length; length++) {
    const message = decodeMessage(whole.slice(0, length));
    const found = hear(...message?.answers ?? []);
    assert.equal(found.length, length < whole.length ? 0 : 1, String(length));
  }
  // A name that leads to itself, one that leads forward, and more records than there are bytes.
  const header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
  for (const name of [[0xc0, 12], [0xc0, 14, 0xc0, 12], [0xc0, 200], [0x80, 1], [63, 65]]) {
    assert.equal(decodeMessage(new Uint8Array([...header, ...name, 0, 12, 0, 1])), undefined);
  }
  assert.equal(
    decodeMessage(new Uint8Array([0, 0, 0x84, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0])),
    undefined,
  );
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
    (changes) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      const message = decodeMessage(bytes);
      const browser = new Browser();
      if (!message) return;
      browser.take(message, OUTSIDE);
      encodeMessage(makeMessage({ questions: browser.questions() }));
    },
  ));
});

Deno.test("makeLabel() makes one label of at most 63 bytes, and cuts no character apart", () => {
  assert.equal(makeLabel("anna.fritz.box"), "anna-fritz-box");
  assert.equal(makeLabel("x".repeat(63)), "x".repeat(63));
  assert.equal(makeLabel("x".repeat(64)), "x".repeat(63));
  assert.equal(makeLabel("ä".repeat(32)), "ä".repeat(31));
  assert.equal(makeLabel("😀".repeat(16)), "😀".repeat(15));
});

// --- responder.ts ---

Deno.test("Responder answers for the service, its list, its name and its host, and for nothing else", () => {
  const responder = new Responder(SERVICE_OF_ANNA, "tag");
  const answers = (name: string, type: string) =>
    responder.answer([{ name, type }], ADDRESSES)?.answers.map((record) => record.type) ?? [];
  assert.deepEqual(answers("_HEARTH._tcp.Local", "PTR"), ["PTR"]);
  assert.deepEqual(answers("_services._dns-sd._udp.local", "PTR"), ["PTR"]);
  assert.deepEqual(answers(`Anna's läptop.${SERVICE}`, "ANY"), ["SRV", "TXT"]);
  assert.deepEqual(answers("hearth-tag.local", "ANY"), ["A", "AAAA"]);
  assert.deepEqual(answers("hearth-tag.local", "AAAA"), ["AAAA"]);
  for (const name of ["Anna's läptop.local", "_ipp._tcp.local", `Bob.${SERVICE}`]) {
    assert.deepEqual(answers(name, "ANY"), [], name);
    assert.equal(responder.concerns({ name, type: "ANY" }), false, name);
  }
  assert.deepEqual(answers(SERVICE, "SRV"), []);
  assert.equal(responder.concerns({ name: "HEARTH-tag.local", type: "A" }), true);

  // Everything that will be asked for next comes along; what the asker knows does not.
  const full = responder.answer([{ name: SERVICE, type: "PTR" }], ADDRESSES)!;
  assert.deepEqual(full.additionals.map(({ type }) => type), ["SRV", "TXT", "A", "AAAA"]);
  const known = full.answers.map((record) => ({ ...record, ttl: record.ttl / 2 }));
  assert.equal(responder.answer([{ name: SERVICE, type: "PTR" }], ADDRESSES, known), undefined);
  known[0]!.ttl--;
  assert.ok(responder.answer([{ name: SERVICE, type: "PTR" }], ADDRESSES, known));
});

Deno.test("Responder.answerOnce() repeats the question, holds shortly, and knows the computer's name", () => {
  const responder = new Responder(SERVICE_OF_ANNA, "tag");
  const ask = (name: string, type: string) =>
    responder.answerOnce(makeMessage({ id: 77, questions: [{ name, type }] }), ADDRESSES);
  const answer = ask(SERVICE, "PTR")!;
  assert.equal(answer.id, 77);
  assert.deepEqual(answer.questions, [{ name: SERVICE, type: "PTR" }]);
  for (const { ttl, unique } of [...answer.answers, ...answer.additionals]) {
    assert.ok(ttl <= 10 && !unique);
  }
  assert.deepEqual(ask("ANNA'S läptop.local", "A")!.answers.map(({ type }) => type), ["A"]);
  assert.equal(ask("bob.local", "A"), undefined);
});

Deno.test("Responder yields its name to who has it, and of two who want it the later one in order gets it", () => {
  const one = new Responder(SERVICE_OF_ANNA, "1");
  const two = new Responder(SERVICE_OF_ANNA, "2");
  assert.equal(one.isTaken(two.announcement(ADDRESSES)), true);
  assert.equal(one.isTaken(two.announcement(ADDRESSES, true)), false); // it goes
  assert.equal(one.isTaken(one.announcement(ADDRESSES)), false); // its own, heard again
  assert.equal(one.yieldsTo(two.probe()), true);
  assert.equal(two.yieldsTo(one.probe()), false);
  assert.equal(one.yieldsTo(one.probe()), false);
  two.rename();
  assert.equal(two.label, "Anna's läptop (2)");
  assert.equal(one.isTaken(two.announcement(ADDRESSES)), false);
  const long = new Responder({ ...SERVICE_OF_ANNA, name: "ö".repeat(40) }, "3");
  for (let i = 0; i < 9; i++) long.rename();
  assert.equal(long.label, "ö".repeat(29) + " (10)");
});

// --- browse.ts ---

Deno.test("Browser makes an entry of all the parts, in any order and in several answers", () => {
  const responder = new Responder({ ...SERVICE_OF_ANNA, isLocked: true }, "tag");
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
    assert.equal(browser.take(makeMessage({ answers: records }), OUTSIDE), true);
    assert.deepEqual(browser.found(), [expected]);
    assert.equal(browser.take(makeMessage({ answers: records }), OUTSIDE), false); // no news
    assert.deepEqual(browser.questions(), [{ name: SERVICE, type: "PTR" }]);
  }
  const browser = new Browser();
  const asked: string[][] = [];
  for (const record of answers) {
    browser.take(makeMessage({ answers: [record] }), OUTSIDE);
    asked.push(browser.questions().slice(1).map(({ type }) => type));
  }
  assert.deepEqual(asked, [["SRV", "TXT"], ["A", "AAAA", "TXT"], ["A", "AAAA"], [], []]);
  assert.deepEqual(browser.found(), [expected]);
  browser.take(responder.announcement(ADDRESSES, true), OUTSIDE);
  assert.deepEqual(browser.found(), []);
});

Deno.test("Browser leaves out what nobody can join", () => {
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

Deno.test("Browser puts IPv4 first and addresses of one link last, with their zone", () => {
  const [found] = hear(
    pointTo("a"),
    LOCATION,
    text("v=1", `fp=${PRINT}`),
    ...["fe80::1", "FD00::2", "10.0.0.1", "febf::3", "169.254.1.1"].map(located),
  );
  assert.deepEqual(
    found?.addresses,
    ["10.0.0.1", "169.254.1.1", "fd00::2", "fe80::1%eth0", "febf::3%eth0"],
  );
});

Deno.test("Browser tells servers of one name on two links apart, and knows one that is on both", () => {
  const other = { zone: "%wlan0", isLoopback: false };
  const announce = (fingerprint: string, address: string) =>
    makeMessage({
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
  both.take(makeMessage({ answers: [pointTo("a")] }), other);
  assert.deepEqual(both.questions().map(({ type }) => type), ["PTR", "SRV", "TXT"]);
  both.take(announce(PRINT, "10.1.0.1"), other);
  assert.deepEqual(both.found().map(({ addresses }) => addresses), [["10.1.0.1", "fe80::1%eth0"]]);
  both.take(makeMessage({ answers: [{ ...pointTo("a"), ttl: 0 }] }), other);
  assert.deepEqual(both.found().map(({ addresses }) => addresses), [["fe80::1%eth0"]]);
});

Deno.test("Browser keeps 64 of 10 000 announcements, and 8 addresses of each", () => {
  const browser = new Browser();
  for (let i = 0; i < 10_000; i++) {
    const name = `${i}.${SERVICE}`;
    browser.take(
      makeMessage({
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
  assert.ok(found.every(({ addresses }) => addresses.length === MAX_ADDRESSES));
  assert.equal(browser.questions().length, 1);

  // Names alone, without anything behind them, are no more either; nor are hosts that nobody asked for.
  const names = new Browser();
  for (let i = 0; i < 10_000; i++) {
    names.take(makeMessage({ answers: [pointTo(String(i)), located("10.0.0.1")] }), OUTSIDE);
  }
  assert.ok(encodeMessage(makeMessage({ questions: names.questions() })).length < 9000);
});

// --- links.ts ---

Deno.test("linkOf() finds the link of an IPv4 address", () => {
  const link = (name: string, address: string, bits: number): Link => ({
    name,
    index: 1,
    isLoopback: false,
    addresses: [{ family: "IPv4", address, cidr: `${address}/${bits}` }],
  });
  const links = [link("a", "192.168.1.20", 24), link("b", "10.0.0.1", 8), link("c", "4.4.4.4", 32)];
  for (
    const [address, name] of [
      ["192.168.1.255", "a"],
      ["192.168.2.1", undefined],
      ["10.255.255.255", "b"],
      ["11.0.0.0", undefined],
      ["4.4.4.4", "c"],
      ["4.4.4.5", undefined],
    ]
  ) assert.equal(linkOf(address!, links)?.name, name, address);
});

// --- nearby.ts ---

function nearby(name: string, fields: Partial<Nearby> = {}): Nearby {
  const found = { name, addresses: ["10.0.0.1"], port: 40623, fingerprint: PRINT };
  return { ...found, password: false, known: false, ...fields };
}

/** Somebody who gives these answers, and what they were shown. */
function person(...answers: (string | undefined)[]) {
  const shown: string[] = [];
  return {
    shown,
    say: (line: string) => void shown.push(line),
    ask(question: string) {
      shown.push(question);
      return Promise.resolve(answers.shift());
    },
  };
}

Deno.test("chooseNearby() takes the only one if it is known, and asks about a new one", async () => {
  const known = nearby("a", { known: true });
  const silent = person();
  assert.equal(await chooseNearby([known], silent), known);
  assert.equal(await chooseNearby([], silent), undefined);
  assert.deepEqual(silent.shown, []);
  const fresh = nearby("b\u001b[31m\n\u202e", { password: true });
  for (const [answer, chosen] of [["", fresh], ["Y", fresh], ["n", undefined], ["x", undefined]]) {
    const asked = person(answer as string);
    assert.equal(await chooseNearby([fresh], asked), chosen);
    assert.equal(
      asked.shown.join("|"),
      `Join b⟨001B⟩[31m⟨000A⟩⟨202E⟩  10.0.0.1:40623  SHA256:${PRINT}  (new, needs a password)? [Y/n] `,
    );
  }
});

Deno.test("chooseNearby() shows a list of several and takes a number, until there is one", async () => {
  const several = [nearby("a", { known: true }), nearby("b"), nearby("c")];
  const asked = person("4", "0", "x", " 2 ");
  assert.equal(await chooseNearby(several, asked), several[1]);
  assert.deepEqual(asked.shown.slice(0, 3).map((line) => line.slice(0, 4)), [
    "1  a",
    "2  b",
    "3  c",
  ]);
  assert.equal(asked.shown.length, 3 + 4);
  assert.equal(await chooseNearby(several, person("")), undefined);
});

Deno.test("chooseNearby() refuses to decide where nobody can be asked, and says what there is", async () => {
  for (const found of [[nearby("a")], [nearby("a", { known: true }), nearby("b")]]) {
    await assert.rejects(chooseNearby(found, person(undefined)), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.hints.length, found.length);
      for (const hint of error.hints) assert.match(hint, /^\.\/client --host 10\.0\.0\.1 /);
      return true;
    });
  }
});

// --- the loopback interface ---

const loopback = () => listLinks().filter(({ isLoopback }) => isLoopback);

const ignore = await (async () => {
  const net = new Multicast({ links: loopback, onMessage: () => {} });
  await net.refresh();
  const works = net.isListening;
  await net.close();
  if (!works) console.log("no multicast on the loopback interface: some tests are skipped");
  return !works;
})();

/** A service that no other test announces at the same time. */
function ownService(): Service {
  return { ...SERVICE_OF_ANNA, name: `Ännä's box ${crypto.randomUUID().slice(0, 8)}` };
}

async function findOwn({ name }: Service): Promise<Found[]> {
  const found = await browse({ links: loopback });
  return found.filter((it) => it.name.startsWith(name));
}

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

Deno.test("Announcer takes another name when its own is taken, also when two begin at once", {
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

Deno.test("Announcer defends its name at once, however often it is asked", { ignore }, async () => {
  const service = ownService();
  const [first, second] = [1, 2].map((port) =>
    new Announcer({ ...service, port }, { links: loopback })
  ) as [Announcer, Announcer];
  await first.start();
  await poll(() => first.label, () => "the announcement");
  // Everybody asks, and all the time: answers to everybody are given once in a second.
  const asking = new Multicast({ links: loopback, onMessage: () => {} });
  const [link] = await asking.refresh();
  const query = makeMessage({ questions: [{ name: SERVICE, type: "PTR" }] });
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

Deno.test(
  "Announcer gives its name up when somebody wants it at any price",
  { ignore },
  async () => {
    const service = ownService();
    const announcer = new Announcer(service, { links: loopback });
    await announcer.start();
    const rival = Deno.listenDatagram({
      transport: "udp",
      hostname: "127.0.0.1",
      port: 5353,
      reuseAddress: true,
      loopback: true,
    });
    const to = { transport: "udp", hostname: "224.0.0.251", port: 5353 } as const;
    const labels = [
      service.name,
      ...Array.from({ length: 20 }, (_, i) => `${service.name} (${i + 2})`),
    ];
    const claim: Message = makeMessage({
      isResponse: true,
      answers: labels.map((label): DnsRecord => ({ ...LOCATION, name: `${label}.${SERVICE}` })),
    });
    for (let i = 0; i < 30; i++) await rival.send(encodeMessage(claim), to);
    rival.close();
    // As it was not there for as long as that takes, it never will be.
    await poll(async () => (await findOwn(service)).length === 0, () => "an end");
    assert.equal(announcer.label, undefined);
    await announcer.stop();
  },
);
