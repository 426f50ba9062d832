/**
 * Multicast DNS packets that try to cost their reader more than their sender.
 *
 * @module
 */

import { concat, encodeUtf8, writeU16 } from "../../lib/base/bytes.ts";
import { SERVICE } from "../../lib/discovery/dns.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Numbers of each section: questions, answers, authorities, additionals. */
type Counts = readonly [number, number, number, number];

const PTR = 12;
const TXT = 16;
const AAAA = 28;
const SRV = 33;
const ANY = 255;
const FLUSH = 0x8001;

function u16(...values: number[]): Bytes {
  const bytes = new Uint8Array(2 * values.length);
  for (const [i, value] of values.entries()) writeU16(bytes, 2 * i, value);
  return bytes;
}

/** A message of any content; the header says what `counts` says. */
export function packet(flags: number, counts: Counts, ...parts: readonly Uint8Array[]): Bytes {
  return concat(u16(0, flags, ...counts), ...parts);
}

/** A name without compression; `end` is the empty label or a pointer. */
export function name(labels: readonly string[], end: Uint8Array = Uint8Array.of(0)): Bytes {
  const parts = labels.map((label) => {
    const bytes = encodeUtf8(label);
    return concat(Uint8Array.of(bytes.length), bytes);
  });
  return concat(...parts, end);
}

export function pointer(to: number): Bytes {
  return u16(0xc000 | to);
}

export function question(owner: Uint8Array, type = PTR): Bytes {
  return concat(owner, u16(type, 1));
}

export function record(
  owner: Uint8Array,
  type: number,
  data: Uint8Array,
  { ttl = 120, flags = 1 } = {},
): Bytes {
  return concat(owner, u16(type, flags, 0, ttl, data.length), data);
}

const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

const QUERY = 0;
const RESPONSE = 0x8400;
const HEADER = 12;
const service = SERVICE.split(".");
/** 127 labels of one byte: the longest name in labels. */
const DEEP = times(127, () => "a");
/** Four labels: the longest name in bytes. */
const LONG = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)];

/** Writes the service's name in the i-th of its spellings. */
function spell(i: number): string[] {
  let bit = 0;
  return service.map((label) =>
    label.replace(/[a-z]/g, (letter) => (i >> bit++ % 12) & 1 ? letter.toUpperCase() : letter)
  );
}

/**
 * The shapes, each as large as multicast DNS allows if not more.
 *
 * @param label Of an announcement whose name they claim.
 */
export function hostilePackets(label = "a"): ReadonlyMap<string, Bytes> {
  const instance = [label, ...service];
  const claim = (turn: number) =>
    record(
      name([turn === 1 ? label : `${label} (${turn})`, ...service]),
      SRV,
      concat(u16(0, 0, 9), name(["rival", "local"])),
      { flags: FLUSH },
    );
  const chain = () => {
    // Each name is one label and a pointer to the name before.
    const parts = [question(name(["a"]))];
    for (let at = HEADER, next = HEADER + 7; parts.length < 64; at = next, next += 8) {
      parts.push(question(name(["a"], pointer(at))));
    }
    return packet(QUERY, [64, 0, 0, 0], ...parts);
  };
  const pointed = record(pointer(HEADER), PTR, pointer(HEADER));
  return new Map<string, Bytes>([
    [
      "questions, 9 kB of them",
      packet(QUERY, [1790, 0, 0, 0], ...times(1790, () => question(name([])))),
    ],
    [
      "questions that differ in case",
      packet(QUERY, [64, 0, 0, 0], ...times(64, (i) => question(name(spell(i))))),
    ],
    [
      "questions of 255 bytes each",
      packet(QUERY, [34, 0, 0, 0], ...times(34, () => question(name(LONG), ANY))),
    ],
    ["a name that points at itself", packet(QUERY, [1, 0, 0, 0], question(pointer(HEADER)))],
    [
      "two names that point at each other",
      packet(QUERY, [2, 0, 0, 0], question(pointer(HEADER + 6)), question(pointer(HEADER))),
    ],
    ["a chain of names", chain()],
    [
      "pointers to the deepest name",
      packet(
        RESPONSE,
        [0, 256, 0, 0],
        record(name(DEEP), PTR, pointer(HEADER)),
        ...times(255, () => pointed),
      ),
    ],
    [
      "pointers to the longest name",
      packet(
        RESPONSE,
        [0, 256, 0, 0],
        record(name(LONG), PTR, pointer(HEADER)),
        ...times(255, () => pointed),
      ),
    ],
    [
      "a header that promises 65535 records of each kind",
      packet(QUERY, [65535, 65535, 65535, 65535], question(name(service))),
    ],
    ["a header that promises more than there is", packet(RESPONSE, [0, 200, 0, 0], claim(1))],
    [
      "a TXT record of 8 kB",
      packet(
        RESPONSE,
        [0, 1, 0, 0],
        record(
          name(instance),
          TXT,
          concat(...times(33, () => name(["x".repeat(250)], new Uint8Array()))),
        ),
      ),
    ],
    [
      "a TXT record of 8000 empty fields",
      packet(RESPONSE, [0, 1, 0, 0], record(name(instance), TXT, new Uint8Array(8000))),
    ],
    [
      "TXT records of 1300 empty fields",
      packet(
        RESPONSE,
        [0, 6, 0, 0],
        ...times(6, () => record(name(instance), TXT, new Uint8Array(1300))),
      ),
    ],
    [
      "known answers",
      packet(
        QUERY,
        [1, 255, 0, 0],
        question(name(service)),
        ...times(
          255,
          () => record(pointer(HEADER), PTR, name(["x"], pointer(HEADER)), { ttl: 4500 }),
        ),
      ),
    ],
    [
      "addresses",
      packet(
        RESPONSE,
        [0, 256, 0, 0],
        record(name(["h", "local"]), AAAA, new Uint8Array(16).fill(1)),
        ...times(255, (i) => record(pointer(HEADER), AAAA, new Uint8Array(16).fill(i))),
      ),
    ],
    [
      "announcements and withdrawals",
      packet(
        RESPONSE,
        [0, 200, 0, 0],
        record(name(service), PTR, name(instance)),
        ...times(
          199,
          (i) => record(pointer(HEADER), PTR, name([String(i)], pointer(HEADER)), { ttl: i % 2 }),
        ),
      ),
    ],
    ["name conflicts", packet(RESPONSE, [0, 20, 0, 0], ...times(20, (i) => claim(i + 1)))],
    ["probes for the name", packet(QUERY, [1, 0, 1, 0], question(name(instance), ANY), claim(1))],
    [
      "records of unknown types",
      packet(
        RESPONSE,
        [0, 256, 0, 0],
        ...times(256, () => record(name(["a"]), 47, new Uint8Array(20))),
      ),
    ],
    ["labels of an unknown kind", packet(QUERY, [1, 0, 0, 0], Uint8Array.of(0x80, 1, 0, 12, 0, 1))],
    ["a name that is too long", packet(QUERY, [1, 0, 0, 0], question(name([...LONG, "e"])))],
    [
      "a name that is not UTF-8",
      packet(QUERY, [1, 0, 0, 0], question(Uint8Array.of(3, 0xff, 0xfe, 0xfd, 0))),
    ],
    [
      "a packet that is too large",
      packet(RESPONSE, [0, 1, 0, 0], record(name(service), TXT, new Uint8Array(9000))),
    ],
    ["a packet that is too small", new Uint8Array(11)],
  ]);
}
