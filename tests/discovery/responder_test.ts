import assert from "node:assert/strict";
import {
  type DnsMessage,
  makeDnsMessage,
  type Question,
  SERVICE,
} from "../../lib/discovery/dns.ts";
import { decodeDns } from "../../lib/discovery/dns_decode.ts";
import { encodeDns } from "../../lib/discovery/dns_encode.ts";
import { ServiceResponder } from "../../lib/discovery/responder.ts";
import { ADDRESSES, SERVICE_OF_ANNA } from "../support/announcements.ts";

/** A message as it arrives. */
const received = (message: DnsMessage) => decodeDns(encodeDns(message)).message!;

Deno.test("ServiceResponder answers for the service, its list, its name and its host only", () => {
  const responder = new ServiceResponder(SERVICE_OF_ANNA, "tag");
  const answers = (name: string, type: Question["type"]) =>
    responder.answer([{ name, type }], ADDRESSES)?.answers.map((record) => record.type) ?? [];
  assert.deepEqual(answers("_hearth._tcp.local", "PTR"), ["PTR"]);
  assert.deepEqual(answers("_services._dns-sd._udp.local", "PTR"), ["PTR"]);
  assert.deepEqual(answers(`anna's läptop.${SERVICE}`, "ANY"), ["SRV", "TXT"]);
  assert.deepEqual(answers("hearth-tag.local", "ANY"), ["A", "AAAA"]);
  assert.deepEqual(answers("hearth-tag.local", "AAAA"), ["AAAA"]);
  for (const name of ["Anna's läptop.local", "_ipp._tcp.local", `Bob.${SERVICE}`]) {
    assert.deepEqual(answers(name, "ANY"), [], name);
    assert.equal(responder.concerns({ name, type: "ANY" }), false, name);
  }
  assert.deepEqual(answers(SERVICE, "SRV"), []);
  assert.equal(responder.concerns({ name: "hearth-tag.local", type: "A" }), true);

  // Adds the records needed next; leaves out those the asker has.
  const full = responder.answer([{ name: SERVICE, type: "PTR" }], ADDRESSES)!;
  assert.deepEqual(full.additionals.map(({ type }) => type), ["SRV", "TXT", "A", "AAAA"]);
  const known = full.answers.map((record) => ({ ...record, ttl: record.ttl / 2 }));
  assert.equal(responder.answer([{ name: SERVICE, type: "PTR" }], ADDRESSES, known), undefined);
  known[0]!.ttl--;
  assert.ok(responder.answer([{ name: SERVICE, type: "PTR" }], ADDRESSES, known));
});

Deno.test("ServiceResponder.answerLegacy() repeats the question, has a short TTL, and knows the computer's name", () => {
  const responder = new ServiceResponder(SERVICE_OF_ANNA, "tag");
  const ask = (name: string, type: Question["type"]) =>
    responder.answerLegacy(makeDnsMessage({ id: 77, questions: [{ name, type }] }), ADDRESSES);
  const answer = ask(SERVICE, "PTR")!;
  assert.equal(answer.id, 77);
  assert.deepEqual(answer.questions, [{ name: SERVICE, type: "PTR" }]);
  for (const { ttl, unique } of [...answer.answers, ...answer.additionals]) {
    assert.ok(ttl <= 10 && !unique);
  }
  assert.deepEqual(ask("anna's läptop.local", "A")!.answers.map(({ type }) => type), ["A"]);
  assert.equal(ask("bob.local", "A"), undefined);

  // However much was asked, the answer repeats only what it answers, and each question once.
  const many = Array.from({ length: 30 }, (_, i): Question[] => [
    { name: `${i}.local`, type: "ANY" },
    { name: SERVICE, type: "PTR" },
  ]).flat();
  const { questions } = responder.answerLegacy(makeDnsMessage({ questions: many }), ADDRESSES)!;
  assert.deepEqual(questions, [{ name: SERVICE, type: "PTR" }]);
});

Deno.test("ServiceResponder yields its name to its owner, and to a greater simultaneous probe", () => {
  const one = new ServiceResponder(SERVICE_OF_ANNA, "1");
  const two = new ServiceResponder(SERVICE_OF_ANNA, "2");
  assert.equal(one.isTaken(received(two.announcement(ADDRESSES))), true);
  assert.equal(one.isTaken(received(two.announcement(ADDRESSES, true))), false); // a goodbye
  assert.equal(one.isTaken(received(one.announcement(ADDRESSES))), false); // our own, looped back
  assert.equal(one.yieldsTo(received(two.probe())), true);
  assert.equal(two.yieldsTo(received(one.probe())), false);
  assert.equal(one.yieldsTo(received(one.probe())), false);
  two.rename();
  assert.equal(two.label, "Anna's läptop (2)");
  assert.equal(one.isTaken(received(two.announcement(ADDRESSES))), false);
  two.resetName();
  assert.equal(two.label, "Anna's läptop");
  const dotted = new ServiceResponder({ ...SERVICE_OF_ANNA, name: "a\\b" }, "4");
  assert.equal(dotted.announcement([]).answers[1]!.name, `a\\\\b.${SERVICE}`);
  const long = new ServiceResponder({ ...SERVICE_OF_ANNA, name: "ö".repeat(40) }, "3");
  for (let i = 0; i < 9; i++) long.rename();
  assert.equal(long.label, "ö".repeat(29) + " (10)");
});
