import assert from "node:assert/strict";
import { FileSecret } from "../../../lib/protocol/file_connection.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { race, type Won } from "../../../lib/session/files/direct.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { MemoryNetwork } from "../../support/memory_network.ts";

await cipherReady();

const secretOf = (byte: number) =>
  new FileSecret(new Uint8Array(16), new Uint8Array(32).fill(byte));

function rig({ senderReaches = true, receiverReaches = true } = {}) {
  const net = new MemoryNetwork();
  const clock = new FakeClock();
  const ending = new AbortController();
  const [s, r] = [net.listen(), net.listen()];
  const at = (port: number, reaches: boolean) => {
    if (!reaches) net.dead.add(port);
    return [{ hostname: "h", port }];
  };
  const common = { clock, network: net, signal: ending.signal };
  const sender = race({
    ...common,
    listening: s,
    own: secretOf(1),
    other: secretOf(2),
    places: at(r.port, senderReaches),
    sends: true,
  });
  const receiver = race({
    ...common,
    listening: r,
    own: secretOf(2),
    other: secretOf(1),
    places: at(s.port, receiverReaches),
    sends: false,
  });
  return { net, clock, ending, sender, receiver, ports: [s.port, r.port] as const };
}

async function go(won: Won | undefined): Promise<void> {
  won!.stream.records.add({ type: "go", from: 0 });
  won!.stream.records.add({ type: "data", data: Uint8Array.of(5) });
  await won!.stream.send();
}

Deno.test("both sides end up with the one connection that the sender chose", async () => {
  for (const reach of [{}, { senderReaches: false }, { receiverReaches: false }]) {
    const { sender, receiver, net } = rig(reach);
    const chosen = await sender;
    await go(chosen);
    const { stream, frames } = (await receiver)!;
    assert.deepEqual(frames, [{ type: "go", from: 0 }, { type: "data", data: Uint8Array.of(5) }]);
    await settle();
    assert.equal(net.made.filter(({ closed }) => !closed).length, 2);
    stream.records.add({ type: "got", total: 1 });
    await stream.send();
    assert.deepEqual(await chosen!.stream.receive(), [{ type: "got", total: 1 }]);
    stream.close();
    chosen!.stream.close();
  }
});

Deno.test("without a way the sender gives up after 3 s, and the receiver when it is told", async () => {
  const { sender, receiver, clock, ending, net } = rig({
    senderReaches: false,
    receiverReaches: false,
  });
  let isOver = false;
  void sender.then(() => isOver = true);
  await clock.advance(2999);
  assert.equal(isOver, false);
  await clock.advance(1);
  assert.equal(await sender, undefined);
  ending.abort();
  assert.equal(await receiver, undefined);
  assert.ok(net.made.every(({ closed }) => closed));
});

Deno.test("who knows the secret cannot open any number of connections", async () => {
  const { receiver, net, ports, ending } = rig({ senderReaches: false, receiverReaches: false });
  const streams = Array.from({ length: 40 }, async () => {
    await settle();
    const stream = net.connect(ports[1]);
    await stream.write(secretOf(2).dial().hello);
    await settle();
    return stream;
  });
  await Promise.all(streams);
  await settle(20);
  const open = net.made.filter(({ closed }, i) => i % 2 === 1 && !closed);
  assert.ok(open.length <= 16, `${open.length} are open`);
  ending.abort();
  assert.equal(await receiver, undefined);
});

Deno.test("strangers get no byte, are closed, and keep nobody out", async () => {
  const { sender, receiver, clock, net, ports } = rig({
    senderReaches: false,
    receiverReaches: false,
  });
  const strangers = Array.from({ length: 12 }, () => net.connect(ports[1]));
  await settle();
  assert.equal(net.made.filter(({ closed }) => closed).length, 4, "the oldest four of twelve");
  const wrong = strangers.at(-1)!;
  await wrong.write(secretOf(3).dial().hello);
  assert.equal(await wrong.read(new Uint8Array(1)), null);
  const right = net.connect(ports[1]);
  await right.write(secretOf(2).dial().hello);
  assert.equal(await right.read(new Uint8Array(32)), 32);
  await clock.advance(3000);
  assert.ok(net.made.filter((_, i) => i % 2 === 1).slice(0, 12).every(({ closed }) => closed));
  assert.equal(await sender, undefined);
  void receiver;
});
