import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { Browser } from "../../lib/discovery/browse.ts";
import { type DnsRecord, makeDnsMessage, SERVICE } from "../../lib/discovery/dns.ts";
import { decodeDns } from "../../lib/discovery/dns_decode.ts";
import { encodeDns } from "../../lib/discovery/dns_encode.ts";
import { ServiceResponder } from "../../lib/discovery/responder.ts";
import {
  ADDRESSES,
  located,
  LOCATION,
  OUTSIDE,
  pointTo,
  PRINT,
  SERVICE_OF_ANNA,
  text,
} from "../support/announcements.ts";

Deno.test("decodeDns() reads what encodeDns() writes", () => {
  const message = makeDnsMessage({
    id: 7,
    isResponse: true,
    questions: [{ name: SERVICE, type: "ANY" }],
    answers: [
      pointTo("Ännä's  box"),
      ...["192.168.1.20", "fe80::1", "::1", "::", "2001:db8::1:0:0:1", "1:2:3:4:5:6:7:8"].map(
        located,
      ),
    ],
    proposed: [LOCATION],
    additionals: [text("v=1", `fp=${PRINT}`)],
  });
  const read = decodeDns(encodeDns(message)).message!;
  const fields = (record: DnsRecord | undefined) =>
    record?.type === "TXT" ? record.fields.map((field) => [...field]) : [];
  assert.deepEqual(fields(read.additionals[0]), fields(message.additionals[0]));
  assert.deepEqual({ ...read, additionals: [] }, { ...message, additionals: [] });
});

Deno.test("encodeDns() refuses labels and fields that do not fit", () => {
  const ask = (name: string) => encodeDns(makeDnsMessage({ questions: [{ name, type: "A" }] }));
  assert.equal(ask("x".repeat(63)).length, 12 + 65 + 4);
  assert.throws(() => ask("x".repeat(64)), RangeError);
  const long = { ...text(), fields: [new Uint8Array(256)] } as DnsRecord;
  assert.throws(() => encodeDns(makeDnsMessage({ answers: [long] })), RangeError);
});

Deno.test("a damaged announcement is undefined or leads to questions that can be asked", () => {
  const announcement = new ServiceResponder(SERVICE_OF_ANNA, "x").announcement(
    ADDRESSES.slice(0, 1),
  );
  const whole = encodeDns(announcement);
  for (let length = 0; length <= whole.length; length++) {
    const { message } = decodeDns(whole.slice(0, length));
    const browser = new Browser();
    if (message) browser.take(message, OUTSIDE);
    assert.equal(browser.found().length, length < whole.length ? 0 : 1, String(length));
  }
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
    (changes) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      const { message } = decodeDns(bytes);
      const browser = new Browser();
      if (!message) return;
      browser.take(message, OUTSIDE);
      encodeDns(makeDnsMessage({ questions: browser.questions() }));
    },
  ));
});
