/**
 * People who send each other files, without a session: channels, disks, network and time are in memory.
 *
 * @module
 */

import { dirname } from "node:path";
import {
  decodeFileMessage,
  encodeFileMessage,
  type FileMessage,
} from "../../lib/protocol/file_messages.ts";
import type { FileEvent } from "../../lib/session/files/file_events.ts";
import type { FileNetwork } from "../../lib/session/files/direct.ts";
import { type JobCalls, JobHost } from "../../lib/session/files/job_host.ts";
import type { FileMember } from "../../lib/session/files/port.ts";
import { type StoredOffer, Transfers } from "../../lib/session/files/transfers.ts";
import type { ByteStream } from "../../lib/transport/mod.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { MemoryNetwork } from "./memory_network.ts";
import { VirtualDisk } from "./virtual_disk.ts";

/** The room: who is in it, and the channels between them. */
export class FileRoom {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork();
  readonly people = new Map<string, FilePerson>();
  /** Messages that were sent and have not come yet. */
  #queue: { from: string; to: string; bytes: Uint8Array }[] = [];
  isIdle = true;
  /** Sees, and may change or drop, every message. */
  intercept: (from: string, to: string, message: FileMessage) => FileMessage | undefined = (
    _,
    __,
    it,
  ) => it;

  join(name: string, options: PersonOptions = {}): FilePerson {
    const person = new FilePerson(this, name, options);
    this.people.set(name, person);
    this.makeChannels(name);
    return person;
  }

  /** Ends a program, as if it had been killed. */
  leave(name: string, { isForGood = false } = {}): void {
    this.people.get(name)!.end();
    this.#forget(name);
    this.people.delete(name);
    for (const person of this.people.values()) {
      person.transfers.left(memberOf(name), { isForGood });
    }
  }

  /** What was under way from and to a member is lost. */
  #forget(name: string): void {
    this.#queue = this.#queue.filter(({ from, to }) => from !== name && to !== name);
  }

  /** Shown to everybody already, while their channels are not live yet. */
  readonly coming = new Set<string>();

  /** A program loses its connection to the relay, and comes back as another member. */
  reconnect(name: string, sid: string): void {
    const person = this.people.get(name)!;
    this.people.delete(name);
    this.#forget(name);
    for (const other of this.people.values()) {
      other.transfers.left(memberOf(name));
      person.transfers.left(memberOf(other.name));
    }
    person.name = sid;
    this.people.set(sid, person);
    this.makeChannels(sid);
  }

  /** All channels of a person are new. */
  makeChannels(name: string): void {
    this.#forget(name);
    const person = this.people.get(name)!;
    for (const other of this.people.values()) {
      if (other === person) continue;
      other.transfers.ready(memberOf(name));
      person.transfers.ready(memberOf(other.name));
    }
  }

  members(of: string): FileMember[] {
    return Array.from(this.people.keys()).filter((name) => name !== of).map(memberOf);
  }

  /** Fingerprints of everybody else, once each. */
  peopleFor(name: string): string[] {
    const others = [...this.members(name), ...Array.from(this.coming, memberOf)];
    return Array.from(new Set(others.map(({ person }) => person)));
  }

  send(from: string, to: string, message: FileMessage): void {
    if (!this.people.has(to)) return;
    const passed = this.intercept(from, to, message);
    if (passed) this.#queue.push({ from, to, bytes: encodeFileMessage(passed) });
  }

  /** Lets everything happen that needs no time. */
  async settle(turns = 50): Promise<void> {
    for (let i = 0; i < turns; i++) {
      for (const { from, to, bytes } of this.#queue.splice(0)) {
        this.people.get(to)?.transfers.take(memberOf(from), decodeFileMessage(bytes));
      }
      await settle(1);
    }
  }

  /** Lets time pass until a condition holds. */
  async until(condition: () => boolean, limit = 600_000): Promise<void> {
    await this.settle();
    for (const end = this.clock.now() + limit; !condition();) {
      if (this.clock.now() > end) throw new Error("it never happened");
      await this.clock.advance(50);
      await this.settle(5);
    }
  }
}

interface PersonOptions {
  readonly disk?: VirtualDisk;
  readonly stored?: readonly StoredOffer[];
  readonly isDirect?: boolean;
  readonly strict?: boolean;
  /** What was complete in earlier runs. */
  readonly received?: Set<string>;
  readonly readInput?: (into: Uint8Array) => Promise<number | null>;
}

/** A name is sid and fingerprint in one; `bob/2` is another program of bob's. */
function memberOf(sid: string): FileMember {
  return { sid, person: dirname(sid) === "." ? sid : dirname(sid) };
}

export class FilePerson {
  /** The member it is at present. */
  name: string;
  readonly disk: VirtualDisk;
  readonly transfers: Transfers;
  readonly events: FileEvent[] = [];
  readonly received: Set<string>;
  trust: "new" | "known" | "verified" | "conflict" = "known";
  stored: readonly StoredOffer[] = [];
  isEnded = false;
  readonly #open: (() => void)[] = [];
  #number = 0;
  #job = 0;

  constructor(room: FileRoom, name: string, options: PersonOptions) {
    this.name = name;
    this.disk = options.disk ?? new VirtualDisk();
    this.stored = options.stored ?? [];
    this.received = options.received ?? new Set();
    this.disk.putFolder("/in");
    const host = new JobHost({
      clock: room.clock,
      disk: this.disk,
      network: this.#networkOf(room.network),
      readInput: options.readInput ?? (() => Promise.resolve(null)),
      report: (job, report) => this.transfers.report(job, structuredClone(report)),
    });
    this.transfers = new Transfers({
      clock: room.clock,
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      port: {
        members: () => room.members(this.name),
        people: () => room.peopleFor(this.name),
        send: (sid, message) => {
          if (!this.isEnded) room.send(this.name, sid, message);
        },
        isIdle: () => room.isIdle,
        nick: (person) => person,
        trust: () => this.trust,
      },
      jobs: asCalls(host, () => this.isEnded),
      nextNumber: () => ++this.#number,
      nextJob: () => ++this.#job,
      addresses: () => options.isDirect === false ? [] : [Uint8Array.of(10, 0, 0, 1)],
      folder: () => "/in",
      strict: options.strict ?? false,
      received: {
        has: (person, id) => this.received.has(`${person} ${id}`),
        add: (person, id) => void this.received.add(`${person} ${id}`),
      },
      save: (stored) => this.stored = stored,
      emit: (event) => this.events.push(event),
    });
    if (options.stored) this.transfers.restore(options.stored);
  }

  /** Its sockets end with the program. */
  #networkOf(network: MemoryNetwork): FileNetwork {
    const keep = (stream: ByteStream) => {
      if (this.isEnded) stream.close();
      else this.#open.push(() => stream.close());
      return stream;
    };
    return {
      listen: () => {
        const listening = network.listen();
        this.#open.push(() => listening.close());
        return {
          ...listening,
          accept: async () => {
            const stream = await listening.accept();
            return stream && keep(stream);
          },
        };
      },
      dial: async (place, signal) => keep(await network.dial(place, signal)),
    };
  }

  end(): void {
    this.isEnded = true;
    for (const close of this.#open.splice(0)) close();
  }

  last<T extends FileEvent["event"]>(event: T): Extract<FileEvent, { event: T }> | undefined {
    return this.events.findLast((it): it is Extract<FileEvent, { event: T }> => it.event === event);
  }

  /** Events but those of progress. */
  get told(): string[] {
    return this.events.filter(({ event }) => event !== "transfer").map(({ event }) => event);
  }

  /** The states that were told, each once in a row. */
  get states(): string[] {
    const states = this.events.flatMap((event) => event.event === "transfer" ? [event.state] : []);
    return states.filter((state, i) => state !== states[i - 1]);
  }
}

/** Calls a host as if it were in a Worker: later, and with copies. */
function asCalls(host: JobHost, isEnded: () => boolean): JobCalls {
  return new Proxy({} as JobCalls, {
    get: (_, name: keyof JobHost) => async (...args: unknown[]) => {
      if (isEnded()) return await new Promise(() => {});
      const method = host[name] as (...args: readonly unknown[]) => unknown;
      return structuredClone(await method.call(host, ...structuredClone(args)));
    },
  });
}
