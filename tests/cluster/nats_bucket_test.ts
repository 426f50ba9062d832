import assert from "node:assert/strict";
import { JetStreamError, readAnswer, readDelivery } from "../../lib/cluster/nats_bucket.ts";
import { bytesOf } from "../support/nats_bus.ts";

Deno.test("readDelivery() reads the reply subject of both forms", () => {
  const expected = { revision: 41, position: 7, pending: 2 };
  assert.deepEqual(readDelivery("$JS.ACK.KV_x.c0ffee.1.41.7.1700000000000000000.2"), expected);
  assert.deepEqual(
    readDelivery("$JS.ACK.hub.ACCOUNT.KV_x.c0ffee.1.41.7.1700000000000000000.2"),
    expected,
  );
  assert.deepEqual(
    readDelivery("$JS.ACK.hub.ACCOUNT.KV_x.c0ffee.1.41.7.1700000000000000000.2.token"),
    expected,
  );
  for (const reply of ["", "_INBOX.x", "$JS.ACK.KV_x.c.1.x.7.0.2", "$JS.ACK.KV_x.c.1.41.7"]) {
    assert.equal(readDelivery(reply), undefined, reply);
  }
});

Deno.test("readAnswer() throws what the answer says, and what is not JSON", () => {
  const read = (text: string) =>
    readAnswer({ subject: "x", reply: "", data: bytesOf(text), status: 0, header: () => "" });
  assert.deepEqual(read('{"seq":7}'), { seq: 7 });
  const isCode = (code: number) => (error: unknown) =>
    error instanceof JetStreamError && error.code === code;
  const fault = '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"}}';
  assert.throws(() => read(fault), isCode(10071));
  for (const text of ["", "null x", "{"]) assert.throws(() => read(text), isCode(0));
});
