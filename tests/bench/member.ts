/**
 * Members of a room on any of the servers, as the load generator needs them: they say and count.
 *
 * @module
 */

import { type Bytes, encodeUtf8 } from "../../lib/base/bytes.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { type Connection, openConnection } from "../../lib/transport/mod.ts";
import { BOX_BYTES, decodeFrame, encodeFrame, FRAME } from "../../lib/protocol/frames.ts";
import { paddedLength } from "../../lib/protocol/padding.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import type { ByteStream } from "../../lib/transport/byte_stream.ts";
import { TAG_BYTES } from "../../lib/protocol/records.ts";
import type { Speech } from "./servers.ts";

/** What stands in every message and nowhere else. */
const MARK = "^".charCodeAt(0);
/** What a chat message for many has besides its text: type, id, time, flags, view (PROTOCOL.md §6). */
const CHAT_OVERHEAD = 1 + 8 + 8 + 1 + 32;
const READ_BYTES = 64 * 1024;

/** A member of a room. */
export interface Member {
  /** Messages received so far. */
  received: number;
  /** Its connection is over. */
  hasEnded: boolean;
  /** How many others it sees; undefined where nobody says. */
  readonly others: number | undefined;
  /** Called with how many messages have just come. */
  onReceived: (count: number) => void;
  /** Says something to everybody in the room. */
  say(): void;
  /** Reads no faster than so many bytes a second, from now on. */
  limit(bytesPerSecond: number): void;
  close(): void;
}

/** What all members of a run have in common. */
export interface MemberOptions {
  readonly speech: Speech;
  readonly tls: boolean;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  readonly port: number;
  readonly textBytes: number;
  readonly room: string;
  /** Of members who have one. */
  readonly key: PrivateKey;
  /** Of members who have one: who comes back has the same, 16 bytes. */
  readonly instance?: Bytes;
}

/** Connects and joins; resolves when the server has said that this one is in. */
export async function joinRoom(options: MemberOptions, nick: string): Promise<Member> {
  switch (options.speech) {
    case "hearth":
      return await joinHearth(options);
    case "irc":
      return await IrcMember.join(options, nick);
    case "lines":
      return new LineMember(await dial(options), options);
    case "ssh":
      return await SshMember.join(options, nick);
  }
}

async function dial({ host, port, tls }: MemberOptions): Promise<ByteStream> {
  const conn = await Deno.connect({ hostname: host ?? "127.0.0.1", port });
  conn.setNoDelay();
  if (!tls) return conn;
  const secure = await Deno.startTls(conn, { hostname: "localhost" });
  await secure.handshake();
  return secure;
}

/** Reads at most so much a second. */
class SlowStream implements ByteStream {
  bytesPerSecond = Infinity;
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.bytesPerSecond === Infinity) return await this.#stream.read(into);
    const length = await this.#stream.read(into.subarray(0, this.bytesPerSecond / 10));
    await new Promise((resolve) => setTimeout(resolve, (length ?? 0) * 1000 / this.bytesPerSecond));
    return length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#stream.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#stream.closeWrite();
  }

  close(): void {
    this.#stream.close();
  }
}

// --- HEARTH: the project's own connection; what the relay forwards is as long as what clients send. ---

class HearthMember implements Member {
  received = 0;
  hasEnded = false;
  onReceived: (count: number) => void = () => {};
  connection!: Connection;
  readonly #stream: SlowStream;
  readonly #common: Bytes;
  readonly #others = new Set<string>();
  /** The CAST to all others; made when it is needed. */
  #frame: Uint8Array | undefined;

  constructor(stream: SlowStream, textBytes: number) {
    this.#stream = stream;
    this.#common = systemRandom(paddedLength(textBytes + CHAT_OVERHEAD) + TAG_BYTES);
  }

  get others(): number {
    return this.#others.size;
  }

  take(type: number, body: Uint8Array): void {
    if (type === FRAME.PART) {
      this.received++;
      this.onReceived(1);
      return;
    }
    const frame = decodeFrame(type, body);
    if (frame.type === "welcome") { for (const { sid } of frame.members) this.#others.add(sid); }
    if (frame.type === "joined") this.#others.add(frame.sid);
    if (frame.type === "left") this.#others.delete(frame.sid);
    this.#frame = undefined;
  }

  say(): void {
    this.connection.send(this.#frame ??= this.#encode());
  }

  #encode(): Uint8Array {
    const box = systemRandom(BOX_BYTES);
    const entries = Array.from(this.#others, (sid) => ({ sid, tag: "01020304", box }));
    return encodeFrame({ type: "cast", entries, common: this.#common });
  }

  limit(bytesPerSecond: number): void {
    this.#stream.bytesPerSecond = bytesPerSecond;
  }

  close(): void {
    this.connection.abort();
  }
}

async function joinHearth(options: MemberOptions): Promise<Member> {
  const stream = new SlowStream(await dial({ ...options, tls: false }));
  const member = new HearthMember(stream, options.textBytes);
  const joined = Promise.withResolvers<void>();
  const { connection } = await openConnection(stream, {
    key: options.key,
    join: () => {
      const [share, instance] = [new Uint8Array(32), options.instance ?? systemRandom(16)];
      const room = roomTag(options.room);
      return Promise.resolve(encodeFrame({ type: "join", share, room, instance }));
    },
    handlers: {
      onFrame(type, body) {
        member.take(type, body);
        if (type === FRAME.WELCOME) joined.resolve();
      },
      onEnd(end) {
        member.hasEnded = true;
        joined.reject(new Error(`the relay ended it: ${JSON.stringify(end)}`));
      },
    },
  });
  member.connection = connection;
  await joined.promise;
  joined.promise.catch(() => {});
  return member;
}

// --- Lines of text, with and without IRC around them ---

/** A member that sends a line and gets lines. */
class LineMember implements Member {
  received = 0;
  hasEnded = false;
  readonly others = undefined;
  onReceived: (count: number) => void = () => {};
  protected readonly stream: SlowStream;
  readonly #line: Uint8Array;
  #waiting: Uint8Array[] = [];
  #writing = false;

  constructor(stream: ByteStream, options: MemberOptions, { prefix = "", suffix = "\n" } = {}) {
    this.stream = new SlowStream(stream);
    this.#line = encodeUtf8(`${prefix}^${"x".repeat(options.textBytes - 1)}${suffix}`);
    void this.#read();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    for (let length; (length = await this.stream.read(buffer).catch(() => null)) !== null;) {
      const bytes = buffer.subarray(0, length);
      const count = this.count(bytes);
      if (count > 0) {
        this.received += count;
        this.onReceived(count);
      } else this.takeOther(bytes);
    }
    this.hasEnded = true;
    this.ended();
  }

  /** How many messages of others are in what was read. */
  protected count(bytes: Uint8Array): number {
    let count = 0;
    for (let at = -1; (at = bytes.indexOf(MARK, at + 1)) >= 0;) count++;
    return count;
  }

  /** Gets what was read when no message is in it. */
  protected takeOther(_bytes: Uint8Array): void {}

  protected ended(): void {}

  say(): void {
    this.write(this.#line);
  }

  protected write(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    if (!this.#writing) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      let rest = this.#waiting.shift()!; // each message by itself, as from a person
      try {
        while (rest.length > 0) rest = rest.subarray(await this.stream.write(rest));
      } catch {
        break; // the server has gone: the messages count as lost
      }
    }
    this.#writing = false;
  }

  limit(bytesPerSecond: number): void {
    this.stream.bytesPerSecond = bytesPerSecond;
  }

  close(): void {
    this.stream.close();
  }
}

/** A user of an IRC server. */
class IrcMember extends LineMember {
  readonly #joined = Promise.withResolvers<void>();
  #text = "";
  #join!: Uint8Array;

  static async join(options: MemberOptions, nick: string): Promise<IrcMember> {
    const member = new IrcMember(await dial(options), options, {
      prefix: `PRIVMSG #${options.room} :`,
      suffix: "\r\n",
    });
    member.#join = encodeUtf8(`JOIN #${options.room}\r\n`);
    member.write(encodeUtf8(`NICK ${nick}\r\nUSER ${nick} 0 * :bench\r\n`));
    await member.#joined.promise;
    return member;
  }

  protected override takeOther(bytes: Uint8Array): void {
    this.#text += new TextDecoder().decode(bytes);
    const lines = this.#text.split("\r\n");
    this.#text = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("PING")) this.write(encodeUtf8(`PONG${line.slice(4)}\r\n`));
      else if (/^:\S+ 001 /.test(line)) this.write(this.#join); // registered
      else if (/^:\S+ 366 /.test(line)) this.#joined.resolve(); // the end of the list of names
      else if (line.startsWith("ERROR")) this.#joined.reject(new Error(line));
    }
  }

  protected override ended(): void {
    this.#joined.promise.catch(() => {});
    this.#joined.reject(new Error("the server closed the connection"));
  }
}

/** A user of ssh-chat, through the ssh program, in the mode that ssh-chat has for robots. */
class SshMember extends LineMember {
  #rest = "";
  readonly #joined = Promise.withResolvers<void>();

  static async join({ port, ...options }: MemberOptions, nick: string): Promise<SshMember> {
    const child = new Deno.Command("ssh", {
      args: [
        ...["-T", "-p", `${port}`, "-o", "StrictHostKeyChecking=no", "-o", "SetEnv=TERM=bot"],
        ...["-o", "UserKnownHostsFile=/dev/null", "-o", "HostKeyAlgorithms=+ssh-rsa"],
        ...["-o", "LogLevel=ERROR", `${nick}@127.0.0.1`],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const [reader, writer] = [child.stdout.getReader({ mode: "byob" }), child.stdin.getWriter()];
    let buffer = new Uint8Array(READ_BYTES);
    const member = new SshMember(
      {
        async read(into) {
          const { value, done } = await reader.read(buffer.subarray(0, into.length));
          if (done || !value) return null;
          into.set(value);
          buffer = new Uint8Array(value.buffer);
          return value.length;
        },
        write: (bytes) => writer.write(bytes).then(() => bytes.length),
        closeWrite: () => writer.close(),
        close: () => child.kill("SIGKILL"),
      },
      { ...options, port },
      { suffix: "\r" },
    );
    await member.#joined.promise;
    return member;
  }

  /** What one says oneself is echoed, `[nick] ^…`; what others say is `nick: ^…`. */
  protected override count(bytes: Uint8Array): number {
    const text = this.#rest + new TextDecoder("latin1").decode(bytes);
    this.#rest = text.slice(-2);
    return text.split(": ^").length - 1;
  }

  protected override takeOther(): void {
    this.#joined.resolve(); // its first words: it has joined
  }

  protected override ended(): void {
    this.#joined.promise.catch(() => {});
    this.#joined.reject(new Error("ssh has ended"));
  }
}
