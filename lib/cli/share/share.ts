/**
 * `--share`: serves the page and the clients to people on the network. Loaded with the option only.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { networkOf } from "../../base/ip.ts";
import { type WebReply, type WebRequest, WebServer } from "../../base/web_server.ts";
import { listenEverywhere } from "../serve.ts";
import { baseOf, fetchLines, PAGE_POLICY, writePage } from "./page.ts";
import { findPrograms, readPart, type SharedProgram } from "./programs.ts";

/** Downloads at a time. */
export const MAX_DOWNLOADS = 8;
/** Of these, to one address. */
export const MAX_DOWNLOADS_OF_ONE = 2;
/** After how many seconds a client may try again. */
const RETRY_SECONDS = 5;

/** What is shared, and how it is told. */
export interface ShareOptions {
  /** Where the programs are; undefined: see {@linkcode findPrograms}. */
  readonly folder: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  /** The address to listen on; undefined: all. */
  readonly hostname?: string | undefined;
  /** The line that starts a client that is already there; undefined while nobody hosts the room. */
  invitation(): string | undefined;
  /** Told in a line when a program that was handed out has changed or is gone. */
  say(text: string): void;
}

/** What is shared while the process runs. */
export interface Share {
  /** The address of the page on one of this computer's, `http://192.168.1.20:40680`. */
  addressOn(host: string): string;
  /** The page's address, and the lines to pass on, for each kind of computer: what it is for, the line, the checksum. */
  lines(host: string, invitation: string): string[];
  /** Cuts what is being sent. */
  stop(): void;
}

/**
 * Starts to share.
 *
 * @throws {UsageError} When there is nothing to share, or the port is taken.
 */
export async function startShare(options: ShareOptions): Promise<Share> {
  const programs = await findPrograms(options.folder);
  const server = new WebServer(listen(options), makeHandler(programs, options));
  const { port } = server;
  return {
    addressOn: (host) => baseOf(host, port),
    lines(host, invitation) {
      const base = baseOf(host, port);
      return [
        `without the program, open ${base} there, or type for`,
        ...fetchLines(programs, base, invitation),
      ];
    },
    stop: () => server.stop(),
  };
}

/** Answers the requests for some programs. */
export function makeHandler(
  programs: readonly SharedProgram[],
  { invitation, say }: Pick<ShareOptions, "invitation" | "say">,
): (request: WebRequest) => Promise<WebReply> | WebReply {
  const byPath = new Map(programs.map((program) => [program.path, program]));
  const downloads = new Downloads();
  const onChange = (program: SharedProgram) => say(describeChange(program));
  return (request) => {
    if (request.path === "/") return page(programs, request, invitation());
    const program = byPath.get(request.path);
    return program
      ? download(program, request, { downloads, onChange })
      : { status: 404, body: "not here: the list is at /\n" };
  };
}

function page(
  programs: readonly SharedProgram[],
  { headers }: WebRequest,
  invitation: string | undefined,
): WebReply {
  return {
    status: 200,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": PAGE_POLICY,
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    },
    // By that name or address the friend has come here.
    body: writePage(programs, `http://${headers.get("host")}`, invitation),
  };
}

function describeChange({ file, sha256 }: SharedProgram): string {
  return sha256 === undefined
    ? `${file} has gone, or is no such program any more: it is not handed out`
    : `${file} has changed: it is handed out with the SHA-256 ${sha256}`;
}

/** Who downloads, within the limits. */
class Downloads {
  readonly #byAddress = new Map<string, number>();
  #all = 0;

  /** @returns Ends it; undefined if there are too many. */
  begin(address: string): (() => void) | undefined {
    const network = networkOf(address);
    const before = this.#byAddress.get(network) ?? 0;
    if (this.#all >= MAX_DOWNLOADS || before >= MAX_DOWNLOADS_OF_ONE) return undefined;
    this.#all++;
    this.#byAddress.set(network, before + 1);
    return () => {
      this.#all--;
      const left = this.#byAddress.get(network)! - 1;
      if (left > 0) this.#byAddress.set(network, left);
      else this.#byAddress.delete(network);
    };
  }
}

async function download(
  program: SharedProgram,
  { isHead, headers, address }: WebRequest,
  { downloads, onChange }: { downloads: Downloads; onChange: (program: SharedProgram) => void },
): Promise<WebReply> {
  const end = isHead ? () => {} : downloads.begin(address);
  if (!end) {
    return {
      status: 503,
      headers: { "retry-after": String(RETRY_SECONDS) },
      body: "too many downloads, try again\n",
    };
  }
  const file = await program.open(onChange).catch(() => undefined);
  const done = () => {
    file?.close();
    end();
  };
  if (!file) return { status: 404, body: "the file is being changed, try again\n", done };
  const { size, sha256, name } = program;
  const etag = `"${sha256}"`;
  const about = {
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename="${name}"`,
    "accept-ranges": "bytes",
    etag,
  };
  if (headers.get("if-none-match") === etag) return { status: 304, headers: about, done };
  const range = readRange(headers, { size, etag });
  if (range === "none") {
    return { status: 416, headers: { ...about, "content-range": `bytes */${size}` }, done };
  }
  const { start, length } = range ?? { start: 0, length: size };
  return {
    status: range ? 206 : 200,
    headers: {
      ...about,
      ...(range && { "content-range": `bytes ${start}-${start + length - 1}/${size}` }),
    },
    body: { length, chunks: readPart(file, start, length) },
    done,
  };
}

/** The one range that is asked for; undefined: all; "none": one that the file does not have. */
function readRange(
  headers: WebRequest["headers"],
  { size, etag }: { size: number; etag: string },
): { start: number; length: number } | "none" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(
    headers.get("range") ?? "",
  ) ?? [];
  if (first === "" && last === "" || (headers.get("if-range") ?? etag) !== etag) return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "none" : { start: size - length, length };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? "none" : { start, length: end - start + 1 };
}

function listen({ port, hostname }: ShareOptions): Deno.Listener[] {
  try {
    return hostname === undefined ? listenEverywhere(port) : [Deno.listen({ hostname, port })];
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new UsageError(`--share: port ${port} is taken by another program`, [
        "choose another with --share-port, or 0 for a free one",
      ]);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new UsageError(`--share: port ${port} is not allowed`, [
        "ports below 1024 need administrator rights: choose another with --share-port",
      ]);
    }
    if (error instanceof Deno.errors.AddrNotAvailable) {
      throw new UsageError(`--share: ${hostname} is not an address of this computer`);
    }
    throw error;
  }
}
