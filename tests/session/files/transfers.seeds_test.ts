/**
 * Transfers to two people while connections are cut, channels made anew, programs killed and started again, disks
 * filled, failing and losing what was not synced, and answers forged, all at random from a seed: in the end both have
 * what was sent. Faults that are planted into the code are found.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { FileMessage } from "../../../lib/protocol/file_messages.ts";
import { FileHash } from "../../../lib/protocol/file_hash.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { PART_SUFFIX } from "../../../lib/session/files/name.ts";
import { Transfers } from "../../../lib/session/files/transfers.ts";
import { type FilePerson, FileRoom } from "../../support/file_people.ts";
import { VirtualDisk } from "../../support/virtual_disk.ts";
import { Random } from "../../simulation/random.ts";

await cipherReady();

const SEEDS = 30;
/** A planted fault is looked for in so many: most are found in the first ones. */
const MAX_SEEDS = 300;
const FAULTS = 14;
const BYTES = new Uint8Array(700_000).map((_, i) => i * 7 + (i >> 8));
const ACCEPT = { executable: false };

class Story {
  readonly random: Random;
  readonly room = new FileRoom();
  readonly isDirect: boolean;
  readonly isFolder: boolean;
  readonly disks: Record<string, VirtualDisk> = {};
  /** The present program of each person. */
  readonly people: Record<string, FilePerson> = {};
  /** What their programs told, over all runs. */
  readonly told: Record<string, string[]> = {};
  /** Plants a fault: this changes messages on their way without being noticed. */
  corrupt: (message: FileMessage) => FileMessage = (it) => it;
  lossRate = 0.02;
  #sid = 0;

  constructor(seed: number) {
    this.random = new Random(seed, "files");
    this.isDirect = this.random.chance(0.5);
    this.isFolder = this.random.chance(0.5);
    this.room.intercept = (_, __, message) => this.#pass(message);
    for (const name of ["anna", "bob", "carl"]) this.#start(name, new VirtualDisk());
    for (const name of ["a", "b", "c/d"]) this.disks.anna!.put(`/out/${name}`, BYTES);
    this.disks.anna!.put("/out/empty", "");
  }

  #pass(message: FileMessage): FileMessage | undefined {
    // What is in a channel that lives is never lost; what is said again may come twice.
    if (message.type === "answer" && message.have > 0 && this.random.chance(this.lossRate)) {
      return { ...message, have: this.random.below(BYTES.length) + 1 };
    }
    return this.corrupt(message);
  }

  #start(name: string, disk: VirtualDisk): void {
    const before = this.people[name];
    disk.fail = () => {};
    disk.letGo();
    const sid = before === undefined ? name : `${name}/${++this.#sid}`;
    this.disks[name] = disk;
    this.told[name] = [...(this.told[name] ?? []), ...(before?.told ?? [])];
    this.people[name] = this.room.join(sid, {
      disk,
      isDirect: this.isDirect,
      stored: before?.stored ?? [],
      ...(before && { received: before.received }),
    });
  }

  async run(): Promise<void> {
    const { room, people } = this;
    await people.anna!.transfers.offer(this.isFolder ? "/out" : "/out/a", { to: undefined });
    await room.settle();
    this.#acceptAll();
    // Whoever is killed before anna knows what they said has to be offered it anew.
    const noted = () => people.anna!.stored[0]?.to.length ?? 0;
    for (let i = 0; i < 50 && noted() < 2; i++) await room.settle(1);
    for (let i = 0; i < FAULTS && !this.isOver; i++) {
      await this.#pause();
      this.#fault();
      this.#acceptAll();
    }
    room.isIdle = true;
    room.network.isDown = false;
    this.lossRate = 0;
    for (const disk of Object.values(this.disks)) disk.capacity = 2 ** 40;
    await room.until(() => {
      this.#acceptAll();
      return this.isOver;
    });
  }

  /** Some time passes, or some messages. */
  async #pause(): Promise<void> {
    await this.room.settle(this.random.below(12));
    if (this.random.chance(0.3)) await this.room.clock.advance(this.random.below(5000));
  }

  #fault(): void {
    const { random, room } = this;
    const name = random.pick(["anna", "bob", "carl"]);
    const person = this.people[name]!;
    switch (random.below(8)) {
      case 0:
        return room.network.cutAll();
      case 1:
        return room.makeChannels(person.name);
      case 2:
        return room.reconnect(person.name, `${name}/${++this.#sid}`);
      case 3:
      case 4:
        room.leave(person.name);
        room.network.cutAll();
        this.#tearParts(this.disks[name]!);
        return this.#start(name, this.disks[name]!);
      case 5:
        room.isIdle = !room.isIdle;
        return;
      case 6:
        room.network.isDown = !room.network.isDown;
        return;
      case 7: {
        const disk = this.disks[random.pick(["bob", "carl"])]!;
        disk.capacity = disk.capacity < 2 ** 40 ? 2 ** 40 : disk.used + random.below(500_000);
        disk.saysFree = 2 ** 40;
      }
    }
  }

  /** The computer lost its power, too: the ends of parts were not on the disk yet. */
  #tearParts(disk: VirtualDisk): void {
    for (const [path, { kind, bytes }] of disk.nodes) {
      if (kind !== "file" || !path.includes(PART_SUFFIX) || path.endsWith(".json")) continue;
      if (this.random.chance(0.5)) bytes.fill(0, this.random.below(bytes.length + 1));
    }
  }

  /** Whoever is asked says yes. */
  #acceptAll(): void {
    for (const name of ["bob", "carl"]) {
      const { transfers } = this.people[name]!;
      for (const { state, number, direction } of transfers.rows()) {
        const isAsked = state === "asked" || this.#isFull(name, number);
        if (direction === "in" && isAsked) transfers.accept(number, ACCEPT);
      }
    }
  }

  #isFull(name: string, number: number): boolean {
    const { events, transfers } = this.people[name]!;
    const last = events.findLast((event) => "number" in event && event.number === number);
    const row = transfers.rows().find((it) => it.number === number);
    return last?.event === "transferfailed" && last.code === "disk-full" &&
      row?.state === "paused";
  }

  get isOver(): boolean {
    return Object.values(this.people).every(({ transfers }) => transfers.rows().length === 0);
  }

  /** @returns What is wrong. */
  judge(): string[] {
    const wrong: string[] = [];
    const expected = this.isFolder
      ? ["out", "out/a", "out/b", "out/c", "out/c/d", "out/empty"]
      : ["a"];
    for (const name of ["bob", "carl"]) {
      const tree = Object.keys(this.disks[name]!.tree("/in")).sort();
      if (tree.join() !== expected.join()) wrong.push(`${name} has ${tree.join(" ")}`);
      for (const file of this.isFolder ? ["out/a", "out/b", "out/c/d"] : ["a"]) {
        const bytes = this.disks[name]!.nodes.get(`/in/${file}`)?.bytes;
        if (bytes && !bytes.every((byte, i) => byte === BYTES[i])) wrong.push(`${file} differs`);
      }
    }
    return wrong;
  }
}

Deno.test("whatever happens on the way, everybody has it in the end", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const story = new Story(seed);
    await story.run().catch((error) => {
      const rows = Object.entries(story.people).map(([name, { transfers }]) =>
        `${name}: ${JSON.stringify(transfers.rows())}`
      );
      throw new Error(`seed ${seed}: ${error.message}\n${rows.join("\n")}`);
    });
    assert.deepEqual(story.judge(), [], `seed ${seed}`);
  }
});

/** Faults, each planted into a story or the code before it runs. @returns What takes it out again. */
const FAULTS_PLANTED: Readonly<Record<string, (story: Story) => () => void>> = {
  "a byte changes on the way": (story) => {
    story.corrupt = (message) => {
      if (message.type !== "piece" || message.frame[0] !== 0x11) return message;
      return { ...message, frame: message.frame.map((byte, i) => i === 5 ? byte ^ 1 : byte) };
    };
    return () => {};
  },
  "what a receiver has is not compared": (story) => {
    story.corrupt = (message) => {
      if (message.type !== "answer" || message.have === 0 || story.isFolder) return message;
      const hash = new FileHash();
      hash.update(BYTES.subarray(0, message.have));
      return { ...message, hash: hash.digest() };
    };
    return () => {};
  },
  "nothing is said again in a new channel": () =>
    replace(Transfers.prototype, "ready", () => () => {}),
  "what was accepted is forgotten at the sender's end": () =>
    replace(Transfers.prototype, "restore", () => () => {}),
};

/** Replaces a method. @returns Puts it back. */
function replace<T extends object, Name extends keyof T & string>(
  owner: T,
  name: Name,
  // deno-lint-ignore no-explicit-any -- a method of any class
  make: (original: any) => any,
): () => void {
  const original = owner[name];
  owner[name] = make(original);
  return () => void (owner[name] = original);
}

for (const [name, plant] of Object.entries(FAULTS_PLANTED)) {
  Deno.test(`a planted fault is found: ${name}`, async () => {
    for (let seed = 1; seed <= MAX_SEEDS; seed++) {
      const story = new Story(seed);
      const takeOut = plant(story);
      try {
        const isOver = await story.run().then(() => true, () => false);
        if (!isOver || story.judge().length > 0) return;
      } finally {
        takeOut();
      }
    }
    assert.fail(`not found in ${MAX_SEEDS} seeds`);
  });
}
