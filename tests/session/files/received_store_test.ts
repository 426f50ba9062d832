import assert from "node:assert/strict";
import { join } from "node:path";
import { PART_KEPT_MS } from "../../../lib/session/files/part.ts";
import { MAX_RECEIVED, ReceivedStore } from "../../../lib/session/files/received_store.ts";
import { FakeClock } from "../../support/fake_clock.ts";

interface Rig {
  readonly path: string;
  readonly clock: FakeClock;
  make(): Promise<ReceivedStore>;
}

async function withFolder(test: (rig: Rig) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const make = async () => {
    const store = new ReceivedStore(folder, clock);
    await store.open();
    return store;
  };
  try {
    await test({ path: join(folder, "received_files"), clock, make });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const idOf = (number: number) => number.toString(16).padStart(32, "0");
const linesOf = (path: string) => Deno.readTextFileSync(path).split("\n").length - 1;

Deno.test("what was received is known after a restart, for seven days, of whoever sent it", () =>
  withFolder(async ({ path, clock, make }) => {
    const store = await make();
    store.add("SHA256:anna", idOf(1));
    assert.ok(store.has("SHA256:anna", idOf(1)));
    await store.close();
    await clock.advance(PART_KEPT_MS - 1);
    const second = await make();
    assert.ok(second.has("SHA256:anna", idOf(1)));
    assert.ok(!second.has("SHA256:carl", idOf(1)));
    second.add("SHA256:anna", idOf(2));
    await clock.advance(1);
    assert.ok(!second.has("SHA256:anna", idOf(1)));
    await second.close();
    await (await make()).close();
    assert.equal(linesOf(path), 1, "what is too old is gone from the file");
  }));

Deno.test("two programs note what they receive in one file", () =>
  withFolder(async ({ make }) => {
    const [one, other] = [await make(), await make()];
    one.add("SHA256:anna", idOf(1));
    other.add("SHA256:anna", idOf(2));
    await Promise.all([one.close(), other.close()]);
    const again = await make();
    assert.ok(again.has("SHA256:anna", idOf(1)) && again.has("SHA256:anna", idOf(2)));
    await again.close();
  }));

Deno.test("the file has a limit, and the newest stay", () =>
  withFolder(async ({ path, make }) => {
    const store = await make();
    for (let i = 0; i < 3 * MAX_RECEIVED; i++) store.add("SHA256:anna", idOf(i));
    await store.close();
    assert.ok(linesOf(path) <= 2 * MAX_RECEIVED);
    const again = await make();
    assert.ok(again.has("SHA256:anna", idOf(3 * MAX_RECEIVED - 1)));
    assert.ok(!again.has("SHA256:anna", idOf(0)));
    await again.close();
  }));

Deno.test("a file that was torn or changed costs only what it says", () =>
  withFolder(async ({ path, clock, make }) => {
    const good = `SHA256:anna ${idOf(1)} ${clock.wallTime()}\n`;
    for (const bad of ["nonsense\n", `SHA256:anna ${idOf(1)}`, "\u0000\n", " \n"]) {
      await Deno.writeTextFile(path, good + bad);
      const store = await make();
      assert.ok(store.has("SHA256:anna", idOf(1)), bad);
      await store.close();
    }
    for (const bytes of [Uint8Array.of(0xff, 0x0a), new Uint8Array(0)]) {
      await Deno.writeFile(path, bytes);
      const store = await make();
      store.add("SHA256:anna", idOf(2));
      assert.ok(store.has("SHA256:anna", idOf(2)));
      await store.close();
    }
  }));
