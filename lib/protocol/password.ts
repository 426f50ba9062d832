/**
 * The password of a relay: the two keys made of it, the proof a JOIN carries, and how long a wrong
 * one waits for its answer (PROTOCOL.md §7).
 *
 * Knows nothing of where a password is asked for, of frames and of connections.
 *
 * @module
 */

import { scrypt, timingSafeEqual } from "node:crypto";
import { type Bytes, encodeUtf8, label, readU16 } from "../base/bytes.ts";
import { type Clock, type RandomBytes, systemClock, type Timer } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { hmacSha256, sha256 } from "./crypto/hash.ts";
import { decodeBase64, encodeBase64 } from "../base/std.ts";

/** Bytes of a join key, a room key, a proof and a transcript hash, §7. */
export const PASSWORD_KEY_BYTES = 32;

/** 32 zero bytes: the room key and the proof of who has no password, §3 and §5. */
export const NO_KEY: Bytes = new Uint8Array(PASSWORD_KEY_BYTES);

/** scrypt as §7 fixes it; it takes 128 MiB, and `maxmem` must be above that. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const LABEL_SALT = label("hearth/1 pw");
const LABEL_PROOF = label("hearth/1 join");
const JOIN_KEY_PREFIX = "hearth-join:";

// A group is spoken like a word. No o and no l: on paper they could be 0 and 1.
const CONSONANTS = "bdfghjkmnprstvwz";
const VOWELS = "aeiu";
const PASSWORD_GROUPS = 5;

/** What a wrong proof waits at first; twice as long each further time, §7. */
export const FIRST_DELAY_MS = 1000;
/** What it waits at most, §7. */
export const MAX_DELAY_MS = 60_000;
/** When an address has been good for so long, its next wrong proof counts as the first, §7. */
export const FORGET_DELAY_MS = 600_000;
/** One wrong answer in this time over all addresses, §7. */
export const WRONG_ANSWER_MS = 1000;
/** Addresses remembered; whoever has more of them gains nothing by making us forget one. */
export const MAX_ADDRESSES = 4096;

/** What a password is turned into. */
export interface PasswordKeys {
  /** 32 bytes: all that the relay knows of the password. */
  readonly joinKey: Bytes;
  /** 32 bytes: the psk of every peer handshake; never given to the relay. */
  readonly roomKey: Bytes;
}

/**
 * Turns a password into its keys for one relay, off the event loop; takes a second or two and 128
 * MiB.
 *
 * @param password Any text but the empty one, which means "no password" and has no keys.
 * @param relayFingerprint 32 bytes.
 * @throws {RangeError} When the password is empty or the fingerprint has another length: our bug.
 */
export async function derivePassword(
  password: string,
  relayFingerprint: Uint8Array,
): Promise<PasswordKeys> {
  if (password === "") throw new RangeError(`"password" must not be empty`);
  if (relayFingerprint.length !== 32) {
    throw new RangeError(`"relayFingerprint" must have 32 bytes: ${relayFingerprint.length}`);
  }
  const salt = sha256(LABEL_SALT, relayFingerprint);
  const keys = await new Promise<Uint8Array>((resolve, reject) => {
    scrypt(encodeUtf8(password.normalize("NFC")), salt, 64, SCRYPT, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
  return { joinKey: new Uint8Array(keys.slice(0, 32)), roomKey: new Uint8Array(keys.slice(32)) };
}

/**
 * Makes the proof of a JOIN, which is worth nothing on another connection, §7.
 *
 * @param joinKey 32 bytes.
 * @param th3 The transport's last transcript hash, 32 bytes.
 * @returns 32 bytes.
 */
export function computeProof(joinKey: Uint8Array, th3: Uint8Array): Bytes {
  return hmacSha256(joinKey, LABEL_PROOF, th3);
}

/** Tells in constant time whether `proof` is that of {@linkcode computeProof}. */
export function checkProof(joinKey: Uint8Array, th3: Uint8Array, proof: Uint8Array): boolean {
  return proof.length === PASSWORD_KEY_BYTES && timingSafeEqual(computeProof(joinKey, th3), proof);
}

/** Writes a join key (32 bytes) as the text a relay can be given, §7. */
export function encodeJoinKey(joinKey: Uint8Array): string {
  return JOIN_KEY_PREFIX + encodeBase64(joinKey).replace(/=+$/, "");
}

/**
 * Reads what {@linkcode encodeJoinKey} writes, and nothing else.
 *
 * @returns 32 bytes.
 * @throws {UsageError} When the text is anything else; the message does not repeat it.
 */
export function decodeJoinKey(text: string): Bytes {
  if (/^hearth-join:[A-Za-z0-9+/]{43}$/.test(text)) {
    const joinKey = decodeBase64(text.slice(JOIN_KEY_PREFIX.length) + "=");
    // The last character has two bits to spare: only one text may stand for a key.
    if (encodeJoinKey(joinKey) === text) return joinKey;
  }
  throw new UsageError(`this is no join key: it must be "hearth-join:" and 43 characters`, [
    `"client join-key FINGERPRINT" prints one`,
  ]);
}

/**
 * Makes a password of 80 random bits: five groups like `tugad`, of 16 bits each, which can be said
 * aloud and hold no character that looks like another.
 *
 * @returns 29 characters.
 */
export function makePassword(random: RandomBytes): string {
  const bytes = random(2 * PASSWORD_GROUPS);
  const groups: string[] = [];
  for (let i = 0; i < bytes.length; i += 2) {
    const bits = readU16(bytes, i);
    groups.push(
      CONSONANTS[bits >>> 12]! + VOWELS[bits >>> 10 & 3]! + CONSONANTS[bits >>> 6 & 15]! +
        VOWELS[bits >>> 4 & 3]! + CONSONANTS[bits & 15]!,
    );
  }
  return groups.join("-");
}

/** Options of {@linkcode ProofGate.check}. */
export interface CheckOptions {
  /** Aborted when the connection has gone: its place in line is free, its penalty stays. */
  readonly signal?: AbortSignal;
}

interface Check {
  readonly verify: () => boolean;
  readonly answer: (right: boolean) => void;
  /** Checked, and only its answer is still waiting. */
  wrong: boolean;
}

interface Address {
  readonly name: string;
  /** Wrong proofs since the last right one. */
  failures: number;
  lastFailure: number;
  /** Until then nothing of this address is checked or answered. */
  heldUntil: number;
  /** In order; the first may be the wrong one that the others wait behind. */
  readonly line: Check[];
  timer: Timer | undefined;
}

/**
 * Answers right proofs at once and wrong ones slowly, §7.
 *
 * A wrong one holds up its address for 1, 2, 4 … 60 s, also when its sender does not wait for the
 * answer; what else comes from there waits unchecked behind it. Timers run only while a check
 * waits.
 */
export class ProofGate {
  readonly #clock: Clock;
  /** The one that failed longest ago is first. */
  readonly #addresses = new Map<string, Address>();
  /** Whose wrong answer is due, and waits for the turn of one a second. */
  readonly #due = new Set<Address>();
  #nextTurn = -Infinity;
  #turnTimer: Timer | undefined;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /**
   * Checks one proof as soon as nothing wrong of the same address waits for its answer.
   *
   * @param address Who sent it: one text for one computer.
   * @param verify Called at most once, before the answer; must not throw.
   * @returns What `verify` returned: true at once, false late.
   * @throws The signal's reason, as soon as it is aborted.
   */
  async check(
    address: string,
    verify: () => boolean,
    { signal }: CheckOptions = {},
  ): Promise<boolean> {
    signal?.throwIfAborted();
    const from = this.#find(address);
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const check: Check = { verify, answer: resolve, wrong: false };
    const leave = () => {
      reject(signal?.reason);
      this.#leave(from, check);
    };
    signal?.addEventListener("abort", leave);
    from.line.push(check);
    this.#advance(from);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #find(name: string): Address {
    const now = this.#clock.now();
    let address = this.#addresses.get(name);
    if (address === undefined) {
      if (this.#addresses.size === MAX_ADDRESSES) {
        const [oldest] = this.#addresses.keys();
        this.#addresses.delete(oldest!);
      }
      address = {
        name,
        failures: 0,
        lastFailure: now,
        heldUntil: now,
        line: [],
        timer: undefined,
      };
      this.#addresses.set(name, address);
    } else if (now - address.lastFailure >= FORGET_DELAY_MS) {
      address.failures = 0;
    }
    return address;
  }

  /** Checks and answers what can be; leaves a timer if something remains. */
  #advance(address: Address): void {
    for (let first = address.line[0]; first !== undefined; first = address.line[0]) {
      const now = this.#clock.now();
      if (now < address.heldUntil) {
        address.timer ??= this.#clock.after(address.heldUntil - now, () => {
          address.timer = undefined;
          this.#advance(address);
        });
        return;
      }
      if (first.wrong) {
        if (!this.#takeTurn(address)) return;
        address.line.shift();
        first.answer(false);
      } else if (first.verify()) {
        address.failures = 0;
        address.line.shift();
        first.answer(true);
      } else {
        first.wrong = true;
        this.#hold(address);
      }
    }
    if (address.failures === 0 && this.#addresses.get(address.name) === address) {
      this.#addresses.delete(address.name);
    }
  }

  #hold(address: Address): void {
    const now = this.#clock.now();
    address.heldUntil = now + Math.min(FIRST_DELAY_MS * 2 ** address.failures, MAX_DELAY_MS);
    address.failures++;
    address.lastFailure = now;
    if (this.#addresses.delete(address.name)) this.#addresses.set(address.name, address);
  }

  /** Tells whether this address may have its wrong answer now; else it is called again. */
  #takeTurn(address: Address): boolean {
    const now = this.#clock.now();
    this.#due.add(address);
    const [next] = this.#due;
    const mine = next === address && now >= this.#nextTurn;
    if (mine) {
      this.#due.delete(address);
      this.#nextTurn = now + WRONG_ANSWER_MS;
    }
    this.#callNext();
    return mine;
  }

  #callNext(): void {
    const [next] = this.#due;
    if (next === undefined) {
      this.#clock.cancel(this.#turnTimer);
      this.#turnTimer = undefined;
      return;
    }
    this.#turnTimer ??= this.#clock.after(this.#nextTurn - this.#clock.now(), () => {
      this.#turnTimer = undefined;
      // Who was next may have left since.
      const [first] = this.#due;
      if (first !== undefined) this.#advance(first);
    });
  }

  #leave(address: Address, check: Check): void {
    const place = address.line.indexOf(check);
    if (place < 0) return;
    address.line.splice(place, 1);
    if (check.wrong && this.#due.delete(address)) this.#callNext();
    if (address.line.length === 0) {
      this.#clock.cancel(address.timer);
      address.timer = undefined;
    } else this.#advance(address);
  }
}
