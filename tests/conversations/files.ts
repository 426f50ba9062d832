/**
 * Files: offered, taken and declined, straight and through the server, in the chat and by `send` and `receive`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Conversation, fingerprintOf, type Program, type World } from "../support/programs.ts";

const BYTES = crypto.getRandomValues(new Uint8Array(60_000));
/** More than one record. */
const FILM = new Uint8Array(1_000_000).map((_, i) => BYTES[i % BYTES.length]! ^ (i >> 12));

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function inChat(world: World): Promise<void> {
  await world.server();
  await Deno.mkdir(world.path("in"));
  const film = await world.file("film.bin", FILM);
  for (const args of [[], ["--no-direct"]]) {
    const [ann, bob] = await Promise.all([
      world.client("ann", { args }),
      world.client("bob", { args: ["--download", world.path("in"), ...args] }),
    ]);
    await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
    await ann.say({ type: "send", to: "bob", path: film, ref: "1" });
    const offered = await ann.waitFor("offered", { ref: "1", name: "film.bin", size: FILM.length });
    const { id } = offered;
    assert.deepEqual(offered.to, [await fingerprintOf("bob")]);
    await bob.waitFor("offer", { id, nick: "ann", kind: "file", name: "film.bin", private: true });
    assert.equal(await isThere(world.path("in/film.bin.hearth-part")), false);
    await bob.say({ type: "accept", id });
    const { path } = await bob.waitFor("received", { id, bytes: FILM.length });
    await ann.waitFor("sentfile", { id, fingerprint: await fingerprintOf("bob") });
    await ann.waitFor("transfer", { id, state: args.length > 0 ? "relayed" : "direct" });
    assert.deepEqual(await Deno.readFile(String(path)), FILM);
    assert.equal(path, world.path("in/film.bin"));

    // The same again is there already; something else of that name gets another one.
    await ann.say({ type: "send", to: "bob", path: film });
    const again = await bob.waitFor("offer", {}, { count: 2 });
    await bob.say({ type: "accept", id: again.id });
    await bob.waitFor("received", { id: again.id, path: world.path("in/film.bin") });
    await ann.waitFor("sentfile", { id: again.id }); // before that it is still on its way
    await Deno.writeFile(world.path("in/film.bin"), FILM.toReversed());
    await ann.say({ type: "send", to: "bob", path: film });
    const third = await bob.waitFor("offer", {}, { count: 3 });
    await bob.say({ type: "accept", id: third.id, as: "../film.bin" });
    await bob.waitFor("error", { message: "it cannot be kept as ../film.bin" });
    await bob.say({ type: "accept", id: third.id });
    await bob.waitFor("received", { id: third.id, path: world.path("in/film (2).bin") });
    await ann.waitFor("sentfile", { id: third.id });
    assert.deepEqual(await Deno.readFile(world.path("in/film.bin")), FILM.toReversed());

    await ann.command(`/send bob ${film}`);
    const fourth = await bob.waitFor("offer", {}, { count: 4 });
    await bob.command("/decline");
    await ann.waitFor("transferfailed", { id: fourth.id, code: "declined", direction: "out" });
    await Promise.all([ann, bob].map((client) => client.leave()));
    for (const name of ["film.bin", "film (2).bin"]) await Deno.remove(world.path(`in/${name}`));
  }
  assert.deepEqual([...Deno.readDirSync(world.path("in"))], []);
}

/** To look at a large folder takes seconds; what was written after it, in one piece with it, does not wait for that. */
async function beside(world: World): Promise<void> {
  await world.server();
  const film = await world.file("film.bin", FILM);
  const [ann, bob] = await Promise.all([world.client("ann"), world.client("bob")]);
  await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
  const send = (ref: string, path: string) => ({ type: "send", to: "bob", path, ref });
  await ann.say(send("1", film), send("2", "nothing"), { type: "chat", text: "look", ref: "3" });
  await ann.closeInput();
  assert.equal(await ann.ended(), 0);
  const answers = ["sent", "offered", "error"].flatMap((event) => ann.all(event));
  const inOrder = ann.events.filter((event) => answers.includes(event)).map(({ ref }) => ref);
  assert.deepEqual(inOrder, ["3", "1", "2"]);
}

async function turnedOff(world: World): Promise<void> {
  await world.server();
  const film = await world.file("film.bin", FILM);
  const [ann, bob] = await Promise.all([
    world.client("ann"),
    world.client("bob", { args: ["--no-files"] }),
  ]) as [Program, Program];
  await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
  await ann.say({ type: "send", path: film });
  await ann.waitFor("error", { message: "nobody here can take files" });
  await ann.say({ type: "send", path: world.path("nothing") });
  await ann.waitFor("error", { message: `${world.path("nothing")}: there is no such file` });
  await bob.say({ type: "send", path: film });
  await bob.waitFor("error", { message: "files are turned off by --no-files" });
  await ann.chat("still here");
  await bob.waitFor("chat", { text: "still here" });
}

async function fromScripts(world: World): Promise<void> {
  await world.server();
  await Deno.mkdir(world.path("in"));
  await Deno.mkdir(world.path("photos/empty"), { recursive: true });
  await world.file("photos/film.bin", FILM);
  await world.file("photos/a b.txt", "hello");
  const address = ["--host", "127.0.0.1", "--port", String(world.port)];
  const [ann, bob] = await Promise.all([world.home("ann"), world.home("bob")]);
  const pass = async (what: string, input?: Uint8Array) => {
    const options = ["--from", "ann", "--yes", "--once", "--nick", "bob"];
    const args = ["receive", world.path("in"), ...options, ...address];
    const receiving = world.run("client", { args, home: bob });
    const sent = await world.run("client", {
      args: ["send", what, "--to", "bob", "--nick", "ann", ...address],
      home: ann,
      ...(input && { input }),
    });
    const received = await receiving;
    assert.deepEqual([sent.code, received.code], [0, 0], sent.stderr + received.stderr);
    return { sent, received };
  };
  await pass("-", FILM);
  assert.deepEqual(await Deno.readFile(world.path("in/stdin")), FILM);
  const { sent, received } = await pass(world.path("photos"));
  assert.match(sent.stderr, /bob has photos \(1\): 1\.0 MB/);
  assert.match(received.stderr, /received from ann \(1\): .*in\/photos, 1\.0 MB/);
  assert.deepEqual(await Deno.readFile(world.path("in/photos/film.bin")), FILM);
  assert.equal(await Deno.readTextFile(world.path("in/photos/a b.txt")), "hello");
  assert.ok((await Deno.stat(world.path("in/photos/empty"))).isDirectory);

  const nobody = await world.run("client", {
    args: [
      "send",
      world.path("photos"),
      "--to",
      "carl",
      "--wait",
      "0.1",
      "--nick",
      "ann",
      ...address,
    ],
    home: ann,
  });
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /nobody here is called carl/);
  const unasked = await world.run("client", { args: ["receive", ...address], home: bob });
  assert.equal(unasked.code, 2);
  assert.match(unasked.stderr, /--yes --from NICK/);
}

export const FILES: readonly Conversation[] = [
  ["a file is offered, taken, kept beside another one, and declined", inChat],
  ["a message does not wait while what is offered is looked at", beside],
  ["files can be turned off, and what cannot be offered is refused", turnedOff],
  ["send and receive work in scripts", fromScripts],
];
