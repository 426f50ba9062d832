import assert from "node:assert/strict";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { PipedSource, STANDARD_INPUT } from "../../../lib/session/files/piped.ts";
import { NOTHING } from "../../../lib/session/files/sink.ts";
import { settle } from "../../support/fake_clock.ts";
import { FileRoom } from "../../support/file_people.ts";

await cipherReady();

const BYTES = new Uint8Array(1_000_000).map((_, i) => i * 7 + (i >> 8));
const ACCEPT = { executable: false };

/** A pipe that has what was put into it. */
class Pipe {
  #bytes: number[] | Uint8Array = [];
  #isClosed = false;
  #wake: () => void = () => {};
  /** Bytes that were read. */
  taken = 0;

  put(bytes: Uint8Array): void {
    this.#bytes = Uint8Array.of(...this.#bytes, ...bytes);
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  readonly read = async (into: Uint8Array): Promise<number | null> => {
    while (this.#bytes.length === 0) {
      if (this.#isClosed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#bytes.slice(0, into.length);
    this.#bytes = this.#bytes.slice(bytes.length);
    into.set(bytes);
    this.taken += bytes.length;
    return bytes.length;
  };
}

Deno.test("a pipe gives what is there, says when there is more, and ends", async () => {
  const pipe = new Pipe();
  const source = new PipedSource(pipe.read);
  let calls = 0;
  source.onReady = () => calls++;
  const space = new Uint8Array(2);
  assert.deepEqual(await source.begin(NOTHING), { type: "go", from: 0 });
  assert.deepEqual(await source.begin(NOTHING), { type: "go", from: 0 }, "nothing was sent yet");
  assert.equal(source.next(space), undefined);
  assert.equal(source.next(space), undefined, "one read at a time");
  pipe.put(Uint8Array.of(1, 2, 3));
  await settle();
  assert.equal(calls, 1);
  assert.deepEqual(source.next(space), { type: "data", data: Uint8Array.of(1, 2) });
  assert.deepEqual(source.next(space), { type: "data", data: Uint8Array.of(3) });
  assert.equal(source.next(space), undefined);
  pipe.close();
  await settle();
  assert.equal(calls, 2);
  assert.deepEqual(source.next(space), { type: "done", total: 3 });
  assert.equal(source.next(space), undefined);
  await assert.rejects(source.begin(NOTHING), { code: "unreadable" });
});

Deno.test("a pipe that cannot be read says so, after what was read", async () => {
  let reads = 0;
  const source = new PipedSource((into) => {
    into[0] = 7;
    return reads++ === 0 ? Promise.resolve(1) : Promise.reject(new Error("broken"));
  });
  await source.begin(NOTHING);
  source.next(new Uint8Array(9));
  await settle();
  assert.deepEqual(source.next(new Uint8Array(9)), { type: "data", data: Uint8Array.of(7) });
  await settle();
  assert.throws(() => source.next(new Uint8Array(9)), { code: "unreadable", message: "broken" });
});

for (const isDirect of [true, false]) {
  const way = isDirect ? "straight" : "through the relay";
  Deno.test(`what is piped arrives ${way}, as it comes`, async () => {
    const pipe = new Pipe();
    const room = new FileRoom();
    const anna = room.join("anna", { isDirect, readInput: pipe.read });
    const bob = room.join("bob", { isDirect });
    await anna.transfers.offer(STANDARD_INPUT, { to: "bob" });
    await room.settle();
    assert.deepEqual([bob.last("offer")!.name, bob.last("offer")!.size], ["stdin", null]);
    assert.equal(pipe.taken, 0, "nothing is read before it is accepted");
    bob.transfers.accept(undefined, ACCEPT);
    const there = () => bob.disk.nodes.get("/in/stdin.hearth-part")?.bytes.length;
    for (let at = 0; at < BYTES.length; at += 100_000) {
      pipe.put(BYTES.subarray(at, at + 100_000));
      await room.until(() => there() === at + 100_000);
    }
    await room.until(() => bob.states.at(-1) === (isDirect ? "direct" : "relayed"));
    pipe.close();
    await room.until(() => anna.last("sentfile") !== undefined);
    assert.deepEqual(bob.disk.nodes.get("/in/stdin")?.bytes, BYTES);
    assert.equal(anna.last("sentfile")!.bytes, BYTES.length);
  });

  Deno.test(`what was piped ${way} cannot be sent again after a cut`, async () => {
    const pipe = new Pipe();
    const room = new FileRoom();
    const anna = room.join("anna", { isDirect, readInput: pipe.read });
    const bob = room.join("bob", { isDirect });
    await anna.transfers.offer(STANDARD_INPUT, { to: "bob" });
    await room.settle();
    bob.transfers.accept(undefined, ACCEPT);
    pipe.put(BYTES.subarray(0, 1000));
    await room.until(() => bob.disk.nodes.get("/in/stdin.hearth-part")?.bytes.length === 1000);
    room.network.cutAll();
    room.makeChannels("bob");
    await room.until(() => anna.last("transferfailed") !== undefined);
    assert.equal(anna.last("transferfailed")!.code, "unreadable");
    await room.until(() => bob.last("transferfailed") !== undefined);
    assert.equal(bob.disk.nodes.get("/in/stdin"), undefined);
    assert.deepEqual([...anna.stored], []);
  });
}
