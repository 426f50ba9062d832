/**
 * A file system in memory that fills and fails when it is told to.
 *
 * @module
 */

import { dirname } from "node:path";
import type { Disk, Found, OpenFile } from "../../lib/session/files/disk.ts";

interface Node {
  kind: Found["kind"];
  bytes: Uint8Array;
  mtime: number;
  executable: boolean;
  held: boolean;
}

class FullError extends Error {
  readonly code = "ENOSPC";
}

export class VirtualDisk implements Disk {
  readonly nodes = new Map<string, Node>();
  /** Bytes that fit. */
  capacity = 2 ** 40;
  /** What `free` says, if not the truth. */
  saysFree: number | undefined;
  /** Called before each access that is not only a look; may throw. */
  fail: (what: string, path: string) => void = () => {};
  hasLinks = true;
  /** How many files are open. */
  opened = 0;
  /** What is written is on the disk once this resolves. */
  synced = Promise.resolve();
  /** The time of what is created here, in ms since 1970. */
  now = 1_767_225_600_000;

  constructor(files: Readonly<Record<string, string | Uint8Array>> = {}) {
    this.nodes.set("/", this.#node("folder"));
    for (const [path, content] of Object.entries(files)) this.put(path, content);
  }

  /** Creates a file, and the folders that lead to it. */
  put(
    path: string,
    content: string | Uint8Array = "",
    { mtime = 1000, executable = false } = {},
  ): void {
    this.putFolder(dirname(path));
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    this.nodes.set(path, { ...this.#node("file"), bytes, mtime, executable });
  }

  putFolder(path: string): void {
    if (this.nodes.has(path)) return;
    this.putFolder(dirname(path));
    this.nodes.set(path, this.#node("folder"));
  }

  putOther(path: string): void {
    this.nodes.set(path, this.#node("other"));
  }

  text(path: string): string | undefined {
    const node = this.nodes.get(path);
    return node && new TextDecoder().decode(node.bytes);
  }

  /** Everything below a folder: contents of files, null for folders. */
  tree(folder: string): Record<string, string | null> {
    const all: Record<string, string | null> = {};
    for (const [path, node] of this.nodes) {
      if (!path.startsWith(`${folder}/`)) continue;
      all[path.slice(folder.length + 1)] = node.kind === "file" ? this.text(path)! : null;
    }
    return all;
  }

  /** As if every program that held a file had ended. */
  letGo(): void {
    for (const node of this.nodes.values()) node.held = false;
  }

  get used(): number {
    let used = 0;
    for (const { bytes } of this.nodes.values()) used += bytes.length;
    return used;
  }

  #node(kind: Found["kind"]): Node {
    return { kind, bytes: new Uint8Array(0), mtime: this.now, executable: false, held: false };
  }

  look(path: string): Found | undefined {
    const node = this.nodes.get(path);
    if (node === undefined) return undefined;
    const { kind, bytes, mtime, executable } = node;
    return { kind, size: bytes.length, mtime, executable };
  }

  follow(path: string): Found | undefined {
    return this.look(path);
  }

  list(path: string): string[] {
    this.fail("list", path);
    const prefix = path === "/" ? "/" : `${path}/`;
    const below = Array.from(this.nodes.keys()).filter((other) => other.startsWith(prefix));
    return below.map((other) => other.slice(prefix.length)).filter((name) =>
      name !== "" && !name.includes("/")
    );
  }

  open(path: string, how: "read" | "write" | "new"): OpenFile {
    this.fail(how, path);
    const node = this.nodes.get(path);
    if (how === "new") {
      if (node !== undefined) throw new Deno.errors.AlreadyExists(path);
      if (this.nodes.get(dirname(path))?.kind !== "folder") throw new Deno.errors.NotFound(path);
      const created = this.#node("file");
      this.nodes.set(path, created);
      return this.#open(path, created);
    }
    if (node === undefined) throw new Deno.errors.NotFound(path);
    if (node.kind !== "file") throw new Error(`not a file: ${path}`);
    return this.#open(path, node);
  }

  #open(path: string, node: Node): OpenFile {
    let at = 0;
    let holds = false;
    let isOpen = true;
    this.opened++;
    return {
      read: (buffer) => {
        this.fail("readFrom", path);
        const piece = node.bytes.subarray(at, at + buffer.length);
        buffer.set(piece);
        at += piece.length;
        return piece.length;
      },
      write: (bytes) => {
        this.fail("writeTo", path);
        const room = this.capacity - this.used + Math.max(0, node.bytes.length - at);
        const fitting = bytes.subarray(0, Math.max(0, room));
        const grown = new Uint8Array(Math.max(node.bytes.length, at + fitting.length));
        grown.set(node.bytes);
        grown.set(fitting, at);
        node.bytes = grown;
        at += fitting.length;
        if (fitting.length < bytes.length) throw new FullError();
      },
      seek: (position) => void (at = position),
      truncate: (size) => void (node.bytes = node.bytes.slice(0, size)),
      size: () => node.bytes.length,
      sync: async () => {
        this.fail("sync", path);
        await this.synced;
      },
      tryHold: () => {
        const isFree = !node.held;
        if (isFree) holds = node.held = true;
        return Promise.resolve(isFree);
      },
      close: () => {
        if (holds) node.held = false;
        if (isOpen) this.opened--;
        isOpen = false;
      },
    };
  }

  makeFolder(path: string): void {
    this.fail("makeFolder", path);
    if (this.nodes.has(path)) throw new Deno.errors.AlreadyExists(path);
    if (this.nodes.get(dirname(path))?.kind !== "folder") throw new Deno.errors.NotFound(path);
    this.nodes.set(path, this.#node("folder"));
  }

  rename(from: string, to: string): void {
    this.fail("rename", from);
    if (!this.nodes.has(from)) throw new Deno.errors.NotFound(from);
    for (const [path, node] of Array.from(this.nodes)) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.nodes.delete(path);
      this.nodes.set(to + path.slice(from.length), node);
    }
  }

  link(from: string, to: string): void {
    this.fail("link", to);
    if (!this.hasLinks) throw new Error("no links here");
    if (this.nodes.has(to)) throw new Deno.errors.AlreadyExists(to);
    this.nodes.set(to, this.nodes.get(from)!);
  }

  remove(path: string): void {
    this.fail("remove", path);
    if (this.#below(path).length > 0) throw new Error(`not empty: ${path}`);
    this.nodes.delete(path);
  }

  // deno-lint-ignore require-await -- an error must become a rejection
  async removeAll(path: string): Promise<void> {
    this.fail("remove", path);
    for (const other of [path, ...this.#below(path)]) this.nodes.delete(other);
  }

  #below(path: string): string[] {
    if (!this.nodes.has(path)) throw new Deno.errors.NotFound(path);
    return Array.from(this.nodes.keys()).filter((other) => other.startsWith(`${path}/`));
  }

  release(path: string, { executable, mtime }: { executable: boolean; mtime: number }): void {
    Object.assign(this.nodes.get(path)!, { executable, mtime });
  }

  free(): number {
    return this.saysFree ?? this.capacity - this.used;
  }
}
