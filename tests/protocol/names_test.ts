import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import {
  checkNick,
  foldNick,
  isLookalike,
  isReceivableNick,
  MAX_NICK_BYTES,
  MAX_NICK_COLUMNS,
  MAX_ROOM_NAME_BYTES,
  nickFromLogin,
  normalizeRoom,
  parseRoom,
  showNick,
  showNicks,
} from "../../lib/protocol/names.ts";
import kat from "../vectors/kat.json" with { type: "json" };

const BOB = "SHA256:QFhvxugoe//tqKvVXPIw6IVBIl9QX5Nr+O6XziGWqB0";
const ANNA = "SHA256:c2FIptEd63wjWm0nUIPR6DuMyU6p+oFJHOrgJe5K7Qs";

function accepts(nick: string): boolean {
  try {
    return checkNick(nick) === nick;
  } catch (error) {
    assert(error instanceof UsageError);
    return false;
  }
}

Deno.test("checkNick(), isReceivableNick() and showNick() treat every known nick as PROTOCOL.md §9 says", () => {
  let cases = 0;
  for (const { nick, own, receipt, shown } of kat.nicks.cases) {
    assert.equal(accepts(nick), own, `own: ${JSON.stringify(nick)}`);
    assert.equal(isReceivableNick(nick), receipt, `receipt: ${JSON.stringify(nick)}`);
    if (receipt) assert.equal(showNick(nick, BOB), shown);
    cases++;
  }
  assert.equal(cases, 90);
});

Deno.test("checkNick() names the broken rule", () => {
  const table: [nick: string, message: RegExp][] = [
    ["", /is empty/],
    ["é".repeat(33), /longer than 64 bytes/],
    ["e\u0301", /composed form/],
    ["a b", /no nick may have: " "$/],
    ["a\u202eb", /no nick may have: "⟨202E⟩"$/],
    ["a#b", /no nick may have: "#"$/],
    ["-x", /start with a letter or digit/],
    ["q\u0323\u0307\u030a\u0301\u0302", /more than four marks/],
    ["a".repeat(25), /wider than 24 columns/],
    ["раypal", /several scripts/],
  ];
  for (const [nick, message] of table) {
    assert.throws(() => checkNick(nick), (error) => {
      assert(error instanceof UsageError);
      assert.match(error.message, message);
      assert.equal(error.hints.length, 1);
      return true;
    });
  }
});

Deno.test("checkNick() accepts up to 64 bytes and 24 columns", () => {
  for (const [length, ok] of [[23, true], [24, true], [25, false]] as const) {
    assert.equal(accepts("a".repeat(length)), ok);
  }
  // 3 bytes a letter and 2 a mark: bytes run out before columns do.
  const letters = "\u1E00\u0321";
  for (
    const [tail, bytes, ok] of [["aaa", 63, true], ["aaaa", 64, true], [
      "aaaaa",
      65,
      false,
    ]] as const
  ) {
    const nick = letters.repeat(12) + tail;
    assert.equal(new TextEncoder().encode(nick).length, bytes);
    assert.equal(accepts(nick), ok);
    assert.equal(isReceivableNick(nick), ok);
  }
  assert.equal(MAX_NICK_BYTES, 64);
  assert.equal(MAX_NICK_COLUMNS, 24);
});

Deno.test("checkNick() knows the script of every letter", () => {
  let letters = 0;
  for (let code = 0; code < 0x110000; code++) {
    const letter = String.fromCodePoint(code);
    if (!/^\p{L}$/u.test(letter) || /\p{Default_Ignorable_Code_Point}/u.test(letter)) continue;
    if (letter !== letter.normalize("NFC")) continue;
    assert(accepts(letter), `U+${code.toString(16)}: its script is missing in the list`);
    letters++;
  }
  assert(letters > 100_000);
});

Deno.test("showNicks() distinguishes members with one nick as the known answer does", () => {
  const members = kat.nicks.same.members.map(([nick, fingerprint, sid]) => ({
    nick: nick!,
    fingerprint: fingerprint!,
    sid: sid!,
  }));
  assert.deepEqual(showNicks(members), kat.nicks.same.shown);
  assert.deepEqual(showNicks([...members].reverse()), [...kat.nicks.same.shown].reverse());
});

Deno.test("showNicks() gives every member a unique name", () => {
  const member = (nick: string, fingerprint: string, sid: string) => ({ nick, fingerprint, sid });
  const table: [members: Parameters<typeof showNicks>[0], shown: string[]][] = [
    [[], []],
    [[member("anna", ANNA, "0102030405060708")], ["anna"]],
    [
      // Two terminals of one identity, and somebody else.
      [
        member("anna", ANNA, "0102030405060708"),
        member("bob", BOB, "2102030405060708"),
        member("ANNA", ANNA, "1102030405060708"),
      ],
      ["anna#0102", "bob", "ANNA#1102"],
    ],
    [
      [
        member("anna", ANNA, "0102030405060708"),
        member("anna", BOB, "2102030405060708"),
        member("anna", ANNA, "1102030405060708"),
      ],
      ["anna#0102", "anna#QFhv", "anna#1102"],
    ],
    [
      // The relay chooses sids: their start may be made to repeat, or to look like a fingerprint.
      [
        member("anna", ANNA, "0102030405060708"),
        member("anna", ANNA, "0102030405060709"),
        member("anna", "SHA256:1102aaaa", "3102030405060708"),
        member("anna", ANNA, "1102030405060708"),
      ],
      [
        "anna#0102030405060708",
        "anna#0102030405060709",
        "anna#3102",
        "anna#1102030405060708",
      ],
    ],
    [
      // A nick that poses as such a name is shown by its fingerprint.
      [member("anna#c2FI", BOB, "2102030405060708"), member("a/b", BOB, "0102030405060708")],
      ["?QFhv#2102", "?QFhv#0102"],
    ],
    [
      // Case tells base64 apart.
      [
        member("anna", "SHA256:aaaaX", "0102030405060708"),
        member("anna", "SHA256:AAAAX", "1102030405060708"),
      ],
      ["anna#aaaa", "anna#AAAA"],
    ],
    [
      // Latin, Cyrillic, Greek.
      [
        member("coco", ANNA, "0102030405060708"),
        member("сосо", BOB, "2102030405060708"),
        member("ϲοϲο", "SHA256:aaaaX", "3102030405060708"),
        member("bob", BOB, "4102030405060708"),
      ],
      ["coco#c2FI", "сосо#QFhv", "ϲοϲο#aaaa", "bob"],
    ],
    [
      // One by its case, the other by its look.
      [
        member("ivan", ANNA, "0102030405060708"),
        member("Ivan", BOB, "2102030405060708"),
        member("lvan", "SHA256:aaaaX", "3102030405060708"),
      ],
      ["ivan#c2FI", "Ivan#QFhv", "lvan#aaaa"],
    ],
  ];
  for (const [members, shown] of table) {
    const names = showNicks(members);
    assert.deepEqual(names, shown);
    assert.equal(new Set(names).size, members.length);
  }
});

Deno.test("foldNick() maps nicks that differ only in case to one form", () => {
  const same: [string, string][] = [
    ["anna", "ANNA"],
    ["Zoë", "zOË"],
    ["οδος", "ΟΔΟΣ"],
    ["οδος", "οδοσ"],
    ["straße", "STRASSE"],
    ["ẞ", "ß"],
    ["ა", "Ა"],
    ["µm", "μm"],
  ];
  for (const [a, b] of same) assert.equal(foldNick(a), foldNick(b), `${a} ${b}`);
  for (const [a, b] of [["anna", "anne"], ["e", "é"], ["a", "а"]]) {
    assert.notEqual(foldNick(a!), foldNick(b!));
  }
});

Deno.test("isLookalike() knows nicks that only look the same", () => {
  for (const [a, b] of [["coco", "сосо"], ["coco#c2FI", "СОСО#QFhv"], ["Ivan", "lvan"]]) {
    assert.ok(isLookalike(a!, b!) && isLookalike(b!, a!), `${a} ${b}`);
  }
  for (const [a, b] of [["coco", "COCO"], ["coco#c2FI", "coco#QFhv"], ["coco", "cocos"]]) {
    assert.ok(!isLookalike(a!, b!), `${a} ${b}`);
  }
});

Deno.test("nickFromLogin() turns every login name into a valid nick", () => {
  const table: [login: string | undefined, nick: string][] = [
    ["anna", "anna"],
    ["john doe", "johndoe"],
    ["CORP\\anna", "CORPanna"],
    ["_www", "www"],
    ["e\u0301ric", "éric"],
    ["annaИ", "anna"],
    ["a".repeat(1000), "a".repeat(24)],
    ["", "guest"],
    [undefined, "guest"],
    ["###", "guest"],
    ["\ud800", "guest"],
    ["😀", "guest"],
  ];
  for (const [login, nick] of table) {
    assert.equal(nickFromLogin(login), nick);
    assert(accepts(nick));
  }
});

Deno.test("parseRoom() takes the name of a room with and without #", () => {
  assert.deepEqual(["#Lobby", "lobby", "##lobby"].map(parseRoom), ["lobby", "lobby", "lobby"]);
  assert.equal(parseRoom("c#"), "c#");
  assert.throws(() => parseRoom("#"), /this room name is empty/);
});

Deno.test("normalizeRoom() gives the known normalized names", () => {
  let cases = 0;
  for (const { name, r } of kat.rooms.tags) {
    assert.equal(normalizeRoom(name), r);
    assert.equal(normalizeRoom(r), r);
    cases++;
  }
  assert.equal(cases, 39);
});

Deno.test("normalizeRoom() rejects what is not allowed as a room name", () => {
  let cases = 0;
  for (const { name, reason } of kat.rooms.refused) {
    assert.throws(() => normalizeRoom(name), UsageError, reason);
    cases++;
  }
  assert.equal(cases, 21);
  for (const [length, ok] of [[63, true], [64, true], [65, false]] as const) {
    const normalize = () => normalizeRoom("a".repeat(length));
    if (ok) assert.equal(normalize().length, length);
    else assert.throws(normalize, UsageError);
  }
  assert.equal(MAX_ROOM_NAME_BYTES, 64);
});
