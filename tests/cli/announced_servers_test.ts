import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { orderForRoom } from "../../lib/cli/name_addresses.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import {
  type AnnouncedServer,
  chooseAnnounced,
  mergeKeys,
} from "../../lib/cli/announced_servers.ts";

const PRINT = "AbC+/0123456789z";

function announced(name: string, fields: Partial<AnnouncedServer> = {}): AnnouncedServer {
  const found = { name, addresses: ["10.0.0.1"], port: 40623, fingerprint: PRINT };
  return { ...found, password: false, known: false, ...fields };
}

/** A user who gives these answers, and what they were shown. */
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

Deno.test("chooseAnnounced() takes a single known server, and asks about a new one", async () => {
  const known = announced("a", { known: true });
  const silent = person();
  assert.equal(await chooseAnnounced([known], silent), known);
  assert.equal(await chooseAnnounced([], silent), undefined);
  assert.deepEqual(silent.shown, []);
  const fresh = announced("b\u001b[31m\n\u202e", { password: true });
  for (const [answer, chosen] of [["", fresh], ["Y", fresh], ["n", undefined], ["x", undefined]]) {
    const asked = person(answer as string);
    assert.equal(await chooseAnnounced([fresh], asked), chosen);
    assert.equal(
      asked.shown.join("|"),
      `Join b⟨001B⟩[31m⟨000A⟩⟨202E⟩  10.0.0.1:40623  SHA256:${PRINT}  (new, needs a password)? [Y/n] `,
    );
  }
});

Deno.test("chooseAnnounced() lists several servers and asks for a number until it gets one", async () => {
  const several = [announced("a", { known: true }), announced("b"), announced("c")];
  const asked = person("4", "0", "x", " 2 ");
  assert.equal(await chooseAnnounced(several, asked), several[1]);
  assert.deepEqual(asked.shown.slice(0, 3).map((line) => line.slice(0, 4)), [
    "1  a",
    "2  b",
    "3  c",
  ]);
  assert.equal(asked.shown.length, 3 + 4);
  assert.equal(await chooseAnnounced(several, person("")), undefined);
});

Deno.test("chooseAnnounced() fails without a terminal, and lists the servers found", async () => {
  for (const found of [[announced("a")], [announced("a", { known: true }), announced("b")]]) {
    await assert.rejects(chooseAnnounced(found, person(undefined)), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.hints.length, found.length);
      for (const hint of error.hints) assert.match(hint, /(\.\/|task )client --host 10\.0\.0\.1 /);
      return true;
    });
  }
});

Deno.test("mergeKeys() puts the server first at which the members of a room meet", () => {
  const servers = [
    announced("a", { addresses: ["fe80::1%eth0", "10.0.0.1"] }),
    announced("b", { addresses: ["10.0.0.2", "fe80::2%eth0"] }),
    announced("c", { addresses: ["fe80::3%eth0"] }),
  ];
  const firsts = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const room = roomTag(`room-${i}`);
    const [merged] = mergeKeys(servers, room);
    const [again] = mergeKeys(servers.toReversed(), room);
    assert.deepEqual(merged, again);
    const [byDns] = orderForRoom(["10.0.0.1", "10.0.0.2", "fe80::3"], room);
    const first = { "10.0.0.1": "fe80::1%eth0", "10.0.0.2": "10.0.0.2", "fe80::3": "fe80::3%eth0" };
    assert.equal(merged!.addresses[0], first[byDns as keyof typeof first]);
    assert.equal(merged!.addresses.length, 5);
    firsts.add(merged!.addresses[0]!);
  }
  assert.equal(firsts.size, 3, "rooms are spread over all");
});

Deno.test("mergeKeys() makes one of servers with one key, the best address of each first", () => {
  const [a, b, other, elsewhere] = [
    announced("a", { addresses: ["10.0.0.1", "fe80::1%eth0"] }),
    announced("b", { addresses: ["10.0.0.2", "10.0.0.1", "fe80::2%eth0"], password: true }),
    announced("c", { fingerprint: "BBBBBBBBBBBBBBBB" }),
    announced("d", { port: 40624 }),
  ] as const;
  const addresses = ["10.0.0.1", "10.0.0.2", "fe80::1%eth0", "fe80::2%eth0"];
  for (const found of [[a, other, b, elsewhere], [b, a, other, elsewhere]]) {
    const merged = mergeKeys(found).sort((x, y) => x.name < y.name ? -1 : 1);
    assert.deepEqual(merged, [{ ...a, addresses, password: true }, other, elsewhere]);
  }
});
