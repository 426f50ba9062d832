import { deepEqual, equal, ok } from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { type AdminRequest, decodeBans, encodeAdmin } from "../../lib/protocol/admin.ts";
import { encodeFrame, REASON, STATUS } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import type { KeptBan } from "../../lib/relay/ban_file.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { ClusterRig } from "../support/cluster_rig.ts";
import { comings, type RigClient } from "../support/relay_rig.ts";

const OPERATOR = 3;
const TARGET = 4;
const fingerprintOf = (seed: number) => cheapKey(seed).publicKey.fingerprint;
const nameOf = (seed: number) => encodeFingerprint(fingerprintOf(seed));
const OPERATORS = new Set([nameOf(OPERATOR)]);

let requests = 0;

/** Two relays: the operator is on the first, and somebody else on the second. */
async function begin(motd = "") {
  const rig = new ClusterRig();
  const files = [new Map<string, KeptBan>(), new Map<string, KeptBan>()];
  const keepIn = (file: Map<string, KeptBan>) => (name: string, ban: KeptBan | undefined) => {
    if (ban) file.set(name, ban);
    else file.delete(name);
  };
  const one = await rig.start({ operators: OPERATORS, motd, keepBan: keepIn(files[0]!) });
  const other = await rig.start({ operators: OPERATORS, keepBan: keepIn(files[1]!) });
  const operator = await rig.join(one, { seed: OPERATOR });
  const target = await rig.join(other, { seed: TARGET });
  await rig.until(() => comings(operator).length === 1);
  const ask = async (request: AdminRequest): Promise<number> => {
    const id = (++requests).toString(16).padStart(8, "0");
    operator.connection.send(encodeFrame({ type: "admin", request: id, ...encodeAdmin(request) }));
    const find = () =>
      operator.frames.find((frame) => frame.type === "result" && frame.request === id);
    await rig.until(() => find() !== undefined);
    return (find() as { status: number }).status;
  };
  return { rig, one, other, operator, target, ask, files };
}

function notices({ frames }: RigClient): string[] {
  return frames.flatMap((frame) => frame.type === "notice" ? [`${frame.what} ${frame.text}`] : []);
}

Deno.test("KICK reaches members on other relays: CLOSE(8), LEFT(3)", async () => {
  const { rig, other, operator, target, ask } = await begin();
  equal(await ask({ verb: "kick", fingerprint: fingerprintOf(TARGET) }), STATUS.DONE);
  await rig.until(() => target.ends.length === 1);
  equal(target.reason, REASON.REMOVED);
  await rig.until(() => comings(operator).length === 2);
  equal(comings(operator).at(-1), `-${target.sid}:3`);
  equal(await ask({ verb: "kick", fingerprint: fingerprintOf(TARGET) }), STATUS.NOT_FOUND);
  equal((await rig.join(other, { seed: TARGET })).ends.length, 0); // once only
});

Deno.test("KICK reaches members of a relay that no link reaches", async () => {
  const { rig, other, target, ask } = await begin();
  const before = other.cluster.state.counts.messages;
  rig.server.weather = { ...rig.server.weather, loses: () => true };
  equal(await ask({ verb: "kick", fingerprint: fingerprintOf(TARGET) }), STATUS.DONE);
  await rig.until(() => target.ends.length === 1);
  equal(target.reason, REASON.REMOVED);
  equal(other.cluster.state.counts.messages, before);
});

Deno.test("BAN, UNBAN and the message of the day pass where no link does; ANNOUNCE comes when it does again", async () => {
  const { rig, other, target, ask } = await begin();
  const before = other.cluster.state.counts.messages;
  const { weather } = rig.server;
  rig.server.weather = { ...weather, loses: () => true };
  equal(await ask({ verb: "announce", text: "dinner" }), STATUS.DONE);
  equal(await ask({ verb: "motd", text: "tonight" }), STATUS.DONE);
  equal(await ask({ verb: "ban", fingerprint: fingerprintOf(TARGET), seconds: 3600 }), STATUS.DONE);
  await rig.until(() => target.ends.length === 1);
  equal(target.reason, REASON.REMOVED);
  equal((await rig.join(other, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
  equal(await ask({ verb: "unban", fingerprint: fingerprintOf(TARGET) }), STATUS.DONE);
  await rig.clock.advance(1_000);
  const again = await rig.join(other, { seed: TARGET });
  equal(again.ends.length, 0);
  deepEqual(notices(again), ["0 tonight"]);
  equal(other.cluster.state.counts.messages, before);
  rig.server.weather = weather;
  await rig.until(() => notices(again).includes("1 dinner"));
  await rig.clock.advance(5_000);
  deepEqual(notices(again), ["0 tonight", "1 dinner"]);
});

Deno.test("an allow list is each relay's own, and who it removes leaves the room of all, also without a link", async () => {
  const { rig, one, other, operator, target } = await begin();
  rig.server.weather = { ...rig.server.weather, loses: () => true };
  other.rig.relay.setAllow(new Set([nameOf(50)]));
  await rig.until(() => target.ends.length === 1);
  equal(target.reason, REASON.REMOVED);
  await rig.until(() => comings(operator).length === 2);
  equal(comings(operator).at(-1), `-${target.sid}:3`);
  equal((await rig.join(other, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
  equal((await rig.join(other, { seed: 50 })).ends.length, 0);
  equal((await rig.join(one, { seed: TARGET })).ends.length, 0);
});

Deno.test("BAN holds on all relays, on those that start later, and until UNBAN", async () => {
  const { rig, one, other, target, ask, files } = await begin();
  equal(await ask({ verb: "ban", fingerprint: fingerprintOf(TARGET), seconds: 3600 }), STATUS.DONE);
  await rig.until(() => target.ends.length === 1);
  equal(target.reason, REASON.REMOVED);
  await rig.until(() => files[1]!.size === 1);
  const later = await rig.start({ operators: OPERATORS });
  for (const relay of [one, other, later]) {
    equal((await rig.join(relay, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
  }
  deepEqual([...files[0]!.keys()], [nameOf(TARGET)]);
  equal(files[0]!.get(nameOf(TARGET))!.by, nameOf(OPERATOR));
  equal(await ask({ verb: "unban", fingerprint: fingerprintOf(TARGET) }), STATUS.DONE);
  await rig.until(() => files.every(({ size }) => size === 0));
  await rig.clock.advance(1_000);
  for (const relay of [one, other, later]) {
    equal((await rig.join(relay, { seed: TARGET })).ends.length, 0);
  }
});

Deno.test("a ban that was made while the bus was away holds everywhere when it is back", async () => {
  const { rig, one, other, target, ask } = await begin();
  rig.server.goDown();
  equal(await ask({ verb: "ban", fingerprint: fingerprintOf(TARGET), seconds: 3600 }), STATUS.DONE);
  await rig.clock.advance(3_000);
  equal(target.ends.length, 0);
  rig.server.comeBack();
  for (const { bus } of [one, other]) bus.reconnect(50);
  await rig.until(() => target.ends.length === 1);
  equal(target.reason, REASON.REMOVED);
  equal((await rig.join(other, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
});

Deno.test("a value of before, or none, undoes no ban and is put right", async () => {
  const { rig, one, other, target, ask } = await begin("first");
  const { value: before } = rig.server.find("a");
  ok(before);
  equal(await ask({ verb: "ban", fingerprint: fingerprintOf(TARGET), seconds: 3600 }), STATUS.DONE);
  await rig.until(() => target.ends.length === 1);
  for (const value of [before, undefined, encodeUtf8("nobody has written this")]) {
    rig.server.put("a", value);
    await rig.clock.advance(2_000);
    const later = await rig.start();
    for (const relay of [one, other, later]) {
      equal((await rig.join(relay, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
    }
  }
});

Deno.test("bans of two operators at once are both kept", async () => {
  const { rig, one, other } = await begin();
  const until = rig.clock.wallTime() + 3_600_000;
  one.cluster.ban(nameOf(50), until);
  other.cluster.ban(nameOf(51), until);
  await rig.clock.advance(2_000);
  for (const relay of [one, other]) {
    for (const seed of [50, 51]) {
      equal((await rig.join(relay, { seed })).reason, REASON.NOT_ALLOWED);
    }
  }
});

Deno.test("what a file has counts where the bucket has nothing, and not later", async () => {
  const rig = new ClusterRig();
  const until = rig.clock.wallTime() + 3_600_000;
  const ban = { fingerprint: nameOf(TARGET), until, by: nameOf(OPERATOR), since: until };
  const one = await rig.start({ bans: [ban], operators: OPERATORS });
  const other = await rig.start({ bans: [{ ...ban, fingerprint: nameOf(99) }] });
  await rig.clock.advance(1_000);
  for (const relay of [one, other]) {
    equal((await rig.join(relay, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
    equal((await rig.join(relay, { seed: 99 })).ends.length, 0);
  }
  const operator = await rig.join(one, { seed: OPERATOR });
  const { verb, argument } = encodeAdmin({ verb: "bans" });
  operator.connection.send(encodeFrame({ type: "admin", request: "0000000a", verb, argument }));
  await rig.until(() => operator.find("result") !== undefined);
  const [listed] = decodeBans(operator.find("result")!.data);
  deepEqual(listed!.fingerprint, fingerprintOf(TARGET));
  other.rig.relay.setBans([]); // as SIGHUP would
  equal((await rig.join(other, { seed: TARGET })).reason, REASON.NOT_ALLOWED);
});

Deno.test("ANNOUNCE and the message of the day reach members of all relays", async () => {
  const { rig, other, operator, target, ask } = await begin("first");
  equal(await ask({ verb: "announce", text: "dinner" }), STATUS.DONE);
  await rig.until(() => notices(target).includes("1 dinner"));
  ok(notices(operator).includes("1 dinner"));
  deepEqual(notices(target), ["0 first", "1 dinner"]);
  equal(await ask({ verb: "motd", text: "second" }), STATUS.DONE);
  await rig.clock.advance(1_000);
  deepEqual(notices(await rig.join(other)), ["0 second"]);
  const later = await rig.start({ motd: "of a start" });
  deepEqual(notices(await rig.join(later)), ["0 second"]);
  later.rig.relay.setMotd("third"); // as SIGHUP does
  await rig.clock.advance(1_000);
  deepEqual(notices(await rig.join(other)), ["0 third"]);
});

Deno.test("who is banned while their JOIN waits for the bus does not stay", async () => {
  const { rig, other, ask } = await begin();
  other.bus.cut();
  const early = await other.rig.start({ seed: 70 });
  const late = await other.rig.start({ seed: 71 });
  await rig.clock.advance(500);
  equal(await ask({ verb: "ban", fingerprint: fingerprintOf(71), seconds: 60 }), STATUS.DONE);
  other.bus.reconnect(0);
  await rig.until(() => late.ends.length === 1);
  equal(late.reason, REASON.REMOVED);
  await rig.until(() => early.find("welcome") !== undefined);
});
