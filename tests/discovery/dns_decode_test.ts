import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { type DnsRecord, makeDnsMessage, SERVICE } from "../../lib/discovery/dns.ts";
import { decodeDns, workLimit } from "../../lib/discovery/dns_decode.ts";
import { encodeDns } from "../../lib/discovery/dns_encode.ts";
import { hostilePackets, name, packet, question, record } from "../support/hostile_dns.ts";
import { pointTo } from "../support/announcements.ts";

Deno.test("decodeDns() does a limited amount of work for any packet", () => {
  const packets = hostilePackets();
  assert.ok(packets.size >= 12);
  const works: Record<string, number> = {};
  for (const [shape, bytes] of packets) {
    const { work } = decodeDns(bytes);
    works[shape] = work;
    assert.ok(work <= workLimit(bytes.length), `${shape}: ${work} for ${bytes.length} bytes`);
  }
  assert.ok(workLimit(9000) <= 2048 && workLimit(100) <= 300);
  // Judged by the header alone, or at the first name.
  for (
    const shape of [
      "questions, 9 kB of them",
      "a header that promises 65535 records of each kind",
      "a header that promises more than there is",
      "a packet that is too large",
      "a packet that is too small",
    ]
  ) assert.equal(works[shape], 0, shape);
  for (
    const shape of ["a name that points at itself", "labels of an unknown kind"]
  ) assert.ok(works[shape]! <= 4, shape);
});

Deno.test("decodeDns() stops a packet of many deep names in the middle", () => {
  for (
    const shape of [
      "a chain of names",
      "pointers to the deepest name",
      "TXT records of 1300 empty fields",
    ]
  ) {
    const bytes = hostilePackets().get(shape)!;
    const { message, work } = decodeDns(bytes);
    assert.deepEqual([message, work > workLimit(bytes.length) - 128], [undefined, true], shape);
  }
});

Deno.test("decodeDns() folds names, so that spellings of one name are one", () => {
  const { message } = decodeDns(hostilePackets().get("questions that differ in case")!);
  assert.equal(message!.questions.length, 64);
  assert.deepEqual([...new Set(message!.questions.map(({ name }) => name))], [SERVICE]);
});

Deno.test("decodeDns() leaves out records it does not understand, and keeps the others", () => {
  const good = record(name(["h", "local"]), 1, Uint8Array.of(10, 0, 0, 1));
  const bad = [
    record(name(["h", "local"]), 1, Uint8Array.of(10, 0, 0)), // an address of three bytes
    record(name(["h", "local"]), 28, new Uint8Array(4)),
    record(name(["h", "local"]), 33, new Uint8Array(6)),
    record(name(["h", "local"]), 16, new Uint8Array(1301)),
    record(name(["h", "local"]), 47, new Uint8Array(6)),
    record(name(["h", "local"]), 1, Uint8Array.of(10, 0, 0, 2), { flags: 3 }), // another class
    record(Uint8Array.of(1, 0xff, 0), 1, Uint8Array.of(10, 0, 0, 3)),
  ];
  const { message } = decodeDns(packet(0x8400, [0, bad.length, 0, 1], ...bad, good));
  assert.deepEqual(message!.answers, []);
  assert.deepEqual(message!.additionals, [
    { name: "h.local", ttl: 120, unique: false, type: "A", data: "10.0.0.1" },
  ]);
});

Deno.test("decodeDns() reads a question that wants a unicast answer, and no other classes", () => {
  const classes = (value: number) => {
    const bytes = question(name(["h"]));
    bytes.set([value >> 8, value & 255], bytes.length - 2);
    return decodeDns(packet(0, [1, 0, 0, 0], bytes)).message!.questions.length;
  };
  assert.deepEqual([0x0001, 0x8001, 0x0003, 0x8003].map(classes), [1, 1, 0, 0]);
});

Deno.test("decodeDns() keeps dots and backslashes inside a label apart from those between", () => {
  const bytes = packet(
    0x8400,
    [0, 1, 0, 0],
    record(name(["_hearth", "_tcp", "local"]), 12, name(["v1.2\\", "_hearth"])),
  );
  const [answer] = decodeDns(bytes).message!.answers as [DnsRecord & { type: "PTR" }];
  assert.equal(answer.data, "v1\\.2\\\\._hearth");
  const again = decodeDns(encodeDns(makeDnsMessage({ answers: [answer] }))).message!;
  assert.deepEqual(again.answers, [answer]);
});

Deno.test("decodeDns() reads the compressed names of another implementation", () => {
  const bytes = packet(
    0x8400,
    [0, 1, 0, 1],
    record(name(["_hearth", "_tcp", "local"]), 12, new Uint8Array([1, 97, 0xc0, 12])),
    record(new Uint8Array([0xc0, 12 + 30]), 16, new Uint8Array([3, ...encodeUtf8("v=1")])),
  );
  const { answers, additionals } = decodeDns(bytes).message!;
  assert.deepEqual(answers, [{ ...pointTo("a"), ttl: 120 }]);
  assert.equal(additionals[0]!.name, `a.${SERVICE}`);
});
