import assert from "node:assert/strict";
import { join } from "node:path";
import { PART_KEPT_MS } from "../../../lib/session/files/part.ts";
import { TransferStore } from "../../../lib/session/files/transfer_store.ts";
import type { StoredOffer } from "../../../lib/session/files/transfers.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const OFFER: StoredOffer = {
  id: "ab".repeat(16),
  offered: {
    path: "/out/a",
    kind: "file",
    name: "a",
    size: 5,
    entries: 1,
    mtime: 1000,
    executable: false,
    listing: "0".repeat(64),
  },
  to: ["SHA256:bob"],
};

interface Rig {
  readonly folder: string;
  readonly path: string;
  readonly clock: FakeClock;
  readonly warnings: string[];
  /** What is noted for the room after a start. */
  read(room: string): Promise<StoredOffer[]>;
  make(): TransferStore;
}

async function withFolder(test: (rig: Rig) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const warnings: string[] = [];
  const make = () => new TransferStore({ folder, clock, warn: (text) => warnings.push(text) });
  const read = async (room: string) => {
    const store = make();
    await store.open();
    const rows = store.of(room);
    await store.close();
    return rows;
  };
  try {
    await test({ folder, path: join(folder, "transfers.json"), clock, warnings, read, make });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("offers are there after a restart, each in its room, for seven days from their beginning", () =>
  withFolder(async ({ make, read, clock }) => {
    const store = make();
    await store.open();
    store.keep("lobby", [OFFER]);
    store.keep("other", [{ ...OFFER, id: "cd".repeat(16) }]);
    await clock.advance(PART_KEPT_MS - 1);
    store.keep("lobby", [OFFER]);
    await store.close();
    const [row, ...rest] = await read("lobby");
    assert.deepEqual([row!.id, row!.offered, row!.to], [OFFER.id, OFFER.offered, OFFER.to]);
    assert.equal(rest.length, 0);
    assert.equal((await read("other")).length, 1);
    assert.equal((await read("nowhere")).length, 0);
    await clock.advance(2);
    assert.equal((await read("lobby")).length, 0, "told again is not begun again");
  }));

Deno.test("notes torn at any byte, or of something else, are none, and can be written again", () =>
  withFolder(async ({ make, read, path, warnings }) => {
    const store = make();
    await store.open();
    store.keep("lobby", [OFFER]);
    await store.close();
    const whole = await Deno.readFile(path);
    for (let length = 0; length < whole.length; length++) {
      await Deno.writeFile(path, whole.subarray(0, length));
      assert.deepEqual(await read("lobby"), [], `${length} bytes`);
    }
    const text = new TextDecoder().decode(whole);
    const foreign = ["{}", "null", "[null, 1, {}]", "[[]]", text.replace('"size":5', '"size":"5"')];
    for (const other of foreign) {
      await Deno.writeTextFile(path, other);
      assert.deepEqual(await read("lobby"), [], other);
    }
    await Deno.writeTextFile(path, `[1, ${text.slice(1)}`);
    assert.equal((await read("lobby")).length, 1, "what is whole counts");
    await store.open();
    store.keep("lobby", [OFFER]);
    await store.close();
    assert.equal((await read("lobby")).length, 1);
    assert.deepEqual(warnings, []);
  }));

Deno.test("what another program holds is left to it", () =>
  withFolder(async ({ make, read, clock }) => {
    const [first, second] = [make(), make()];
    await first.open();
    first.keep("lobby", [OFFER]);
    let isOpen = false;
    const opening = second.open().then(() => isOpen = true);
    while (!isOpen) {
      await settle(1);
      await clock.advance(100);
    }
    await opening;
    assert.deepEqual(second.of("lobby"), []);
    second.keep("lobby", []);
    await second.close();
    await first.close();
    assert.equal((await read("lobby")).length, 1);
  }));

Deno.test("a folder that cannot be written costs the notes, and is said once", () =>
  withFolder(async ({ folder, make, warnings }) => {
    const store = make();
    await store.open();
    await Deno.remove(folder, { recursive: true });
    store.keep("lobby", [OFFER]);
    store.keep("lobby", []);
    await store.close();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /^transfers of files cannot be noted: /);
    await store.open();
    assert.deepEqual(store.of("lobby"), []);
    await Deno.mkdir(folder);
  }));
