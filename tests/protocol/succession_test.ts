import assert from "node:assert/strict";
import { type Bytes, concat, MAX_COUNTER } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import type { NetworkInterface } from "../../lib/base/interfaces.ts";
import {
  decodeList,
  decodeStandBy,
  decodeSuccession,
  decodeWhereabouts,
  dialableAddresses,
  type DialRules,
  encodeList,
  encodePlace,
  encodeStandBy,
  encodeSuccession,
  encodeWhereabouts,
  type Entry,
  isPublic,
  type List,
  listMessage,
  MAX_EARLIER_HOSTS,
  MAX_ENTRIES_PER_ADDRESS,
  MAX_PLACE_ADDRESSES,
  MAX_STAND_BYS,
  mayDial,
  offerMessage,
  type Place,
  STATE,
  type Whereabouts,
} from "../../lib/protocol/succession.ts";

const of = (value: number, length = 32): Bytes => new Uint8Array(length).fill(value);

function place(options: Partial<Place> = {}): Place {
  return { relay: of(7), port: 40623, addresses: ["192.168.1.20", "fe80::1"], ...options };
}

function entry(options: Partial<Entry> = {}): Entry {
  return { person: of(9), ...place(), ...options };
}

function list({ before = 0, behind = 1, ...rest }: Partial<List> & {
  before?: number;
  behind?: number;
} = {}): List {
  const entries = Array.from({ length: before + 1 + behind }, (_, i) => entry({ relay: of(i) }));
  return { serial: 5, at: before, entries, ...rest };
}

/** A change of one byte of an encoding. */
function set(bytes: Bytes, offset: number, value: number): Bytes {
  const changed = bytes.slice();
  changed[offset] = value;
  return changed;
}

function assertRefused(decode: (body: Uint8Array) => unknown, body: Uint8Array, what: string) {
  assert.throws(() => decode(body), ProtocolError, what);
}

/** No beginning of a body, and no body with a byte more, decodes; an empty one may mean something. */
function assertExact(decode: (body: Uint8Array) => unknown, body: Bytes) {
  for (let length = 1; length < body.length; length++) {
    assertRefused(decode, body.subarray(0, length), `${length} of ${body.length} bytes`);
  }
  assertRefused(decode, concat(body, of(0, 1)), "a byte more");
}

const decodePlace = (bytes: Uint8Array) => decodeStandBy(concat(of(1, 64), bytes))!.place;

Deno.test("a place has a port, and 1 to 4 addresses of 4 or 16 bytes", () => {
  for (
    const good of [
      place(),
      place({ port: 1, addresses: ["10.0.0.1"] }),
      place({ port: 65535, addresses: ["10.0.0.1", "fd00::1", "2001:db8::", "::1"] }),
      place({ addresses: ["0.0.0.0"] }), // whether it may be dialled is another question
    ]
  ) assert.deepEqual(decodePlace(encodePlace(good)), good);
  const bytes = encodePlace(place({ addresses: ["10.0.0.1"] }));
  assert.equal(bytes.length, 40);
  assert.equal(encodePlace(place({ addresses: Array(4).fill("fe80::1") })).length, 103);
  assertRefused(decodePlace, set(set(bytes, 32, 0), 33, 0), "port 0");
  assertRefused(decodePlace, set(bytes, 34, 0).subarray(0, 35), "no address");
  const many = Array(MAX_PLACE_ADDRESSES + 1).fill("10.0.0.1");
  assertRefused(decodePlace, encodePlace(place({ addresses: many })), "5 addresses");
  for (let length = 0; length < 256; length++) {
    if (length === 4) continue;
    const padded = concat(set(bytes, 35, length), of(1, Math.max(0, length - 4)));
    const body = padded.subarray(0, 36 + length);
    if (length === 16) assert.equal(decodePlace(body).addresses.length, 1);
    else assertRefused(decodePlace, body, `an address of ${length} bytes`);
  }
  const mapped = concat(bytes.subarray(0, 35), Uint8Array.of(16), of(0, 10), of(255, 2), of(1, 4));
  assertRefused(decodePlace, mapped, "IPv4 in IPv6");
});

Deno.test("a list has 0 to 4 hosts of earlier, the host, and 0 to 8 stand-bys", () => {
  for (const before of [0, 1, MAX_EARLIER_HOSTS]) {
    for (const behind of [0, 1, MAX_STAND_BYS]) {
      const good = list({ before, behind });
      assert.deepEqual(decodeList(encodeList(good)), good);
    }
  }
  const cases: [string, List][] = [
    ["5 hosts of earlier", list({ before: MAX_EARLIER_HOSTS + 1 })],
    ["9 stand-bys", list({ behind: MAX_STAND_BYS + 1 })],
    ["no host", list({ at: 1, entries: [entry()] })],
    ["nobody", list({ entries: [] })],
  ];
  for (const [what, bad] of cases) assertRefused(decodeList, encodeList(bad), what);
  const last = list({ serial: MAX_COUNTER - 1 });
  assert.deepEqual(decodeList(encodeList(last)), last);
  assertRefused(decodeList, encodeList(list({ serial: MAX_COUNTER })), "a serial of 2^48");
  assertExact(decodeList, encodeList(list({ before: 1 })));
});

Deno.test("STANDBY is an offer, or empty", () => {
  const offer = { signature: of(3, 64), place: place() };
  assert.deepEqual(decodeStandBy(encodeStandBy(offer)), offer);
  assert.equal(encodeStandBy(undefined).length, 0);
  assert.equal(decodeStandBy(encodeStandBy(undefined)), undefined);
  assertExact(decodeStandBy, encodeStandBy(offer));
});

Deno.test("SUCCESSION is a signature and a list", () => {
  const signed = { signature: of(3, 64), list: list({ before: 4, behind: 8 }) };
  const body = encodeSuccession(signed);
  assert.deepEqual(decodeSuccession(body), signed);
  assertRefused(decodeSuccession, new Uint8Array(0), "an empty body");
  assertExact(decodeSuccession, body);
});

Deno.test("PLACE has a state, others only where the room is, and a place only in state 2", () => {
  const all: Whereabouts[] = [
    { state: STATE.UNKNOWN },
    { state: STATE.HERE, others: 0 },
    { state: STATE.HERE, others: 65535 },
    { state: STATE.AT_PLACE, place: place() },
    { state: STATE.LOST },
  ];
  for (const where of all) {
    const body = encodeWhereabouts(where);
    assert.deepEqual(decodeWhereabouts(body), where);
    assertExact(decodeWhereabouts, body);
    if (where.state !== STATE.HERE) {
      assertRefused(decodeWhereabouts, set(body, 2, 1), "others elsewhere");
    }
  }
  for (let state = 4; state < 256; state++) {
    assertRefused(decodeWhereabouts, Uint8Array.of(state, 0, 0), `state ${state}`);
  }
  assertRefused(decodeWhereabouts, new Uint8Array(0), "an empty body");
});

Deno.test("signatures cover relay, room, and all that is said", () => {
  const signedFor = { host: of(1), room: of(2) };
  assert.deepEqual(
    offerMessage(signedFor, of(3), place()),
    concat(of(1), of(2), of(3), encodePlace(place())),
  );
  assert.deepEqual(
    listMessage(signedFor, list()),
    concat(of(1), of(2), encodeList(list())),
  );
});

// --- What may be dialled ---

const LINK: NetworkInterface = {
  name: "eth0",
  index: 2,
  isLoopback: false,
  addresses: [
    { family: "IPv4", address: "192.168.1.20", cidr: "192.168.1.20/24" },
    { family: "IPv4", address: "198.51.100.5", cidr: "198.51.100.5/29" },
    { family: "IPv6", address: "2001:db8:1::5", cidr: "2001:db8:1::5/64" },
  ],
};

const rules = (options: Partial<DialRules> = {}): DialRules => ({
  interfaces: [LINK],
  overLoopback: false,
  isPublicAllowed: () => false,
  ...options,
});

Deno.test("mayDial() never allows what is no computer's address, nor a broadcast of this computer's networks", () => {
  const never = [
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "192.168.1.255",
    "198.51.100.7",
    "::",
    "ff02::1",
    "::ffff:c0a8:101",
    "::c0a8:101",
  ];
  const all = rules({ overLoopback: true, isPublicAllowed: () => true });
  for (const address of never) assert.equal(mayDial(address, all), false, address);
});

Deno.test("mayDial() allows private addresses, loopback where it was learnt, and public ones by rule", () => {
  const isPrivate = [
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.1",
    "192.168.0.1",
    "192.168.1.254",
    "192.168.2.255", // a broadcast of somebody else's network, perhaps
    "169.254.1.1",
    "100.64.0.1",
    "100.127.0.1",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "febf::1",
  ];
  for (const address of isPrivate) {
    assert.equal(mayDial(address, rules()), true, address);
    assert.equal(isPublic(address), false, address);
  }
  for (const address of ["127.0.0.1", "127.9.9.9", "::1"]) {
    assert.equal(mayDial(address, rules()), false, address);
    assert.equal(mayDial(address, rules({ overLoopback: true })), true, address);
  }
  const near = ["198.51.100.1", "2001:db8:1::77"];
  for (const address of near) assert.equal(mayDial(address, rules()), true, address);
  const far = [
    "9.255.255.255",
    "11.0.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "198.51.100.8",
    "2001:db8:2::77",
    "fec0::1",
  ];
  for (const address of far) {
    assert.equal(isPublic(address), true, address);
    assert.equal(mayDial(address, rules()), false, address);
    const some = rules({ isPublicAllowed: (it) => it === address });
    assert.equal(mayDial(address, some), true, address);
  }
});

Deno.test("dialableAddresses() counts an address in two entries, and one public address of a place", () => {
  const at = (...addresses: string[]) => place({ addresses });
  const same = Array.from(
    { length: MAX_ENTRIES_PER_ADDRESS + 1 },
    (_, i) => place({ port: i + 1, addresses: ["10.0.0.9"] }),
  );
  assert.deepEqual(dialableAddresses(same, rules()), [["10.0.0.9"], ["10.0.0.9"], []]);
  const all = rules({ isPublicAllowed: () => true });
  assert.deepEqual(
    dialableAddresses([at("1.1.1.1", "10.0.0.1", "8.8.8.8", "fd00::1"), at("127.0.0.1")], all),
    [["1.1.1.1", "10.0.0.1", "fd00::1"], []],
  );
});
