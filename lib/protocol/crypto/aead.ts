/**
 * ChaCha20-Poly1305 (RFC 8439) in place: one buffer holds the plaintext, then the ciphertext, or the reverse.
 *
 * Short texts go through libsodium on its WebAssembly heap, where no call allocates. Long ones go through the runtime if
 * it has the cipher (Deno 2.8), which costs more per call and less per byte; libsodium is then loaded only after enough
 * short texts to pay for loading it.
 *
 * @module
 */

import { type Bytes, release, writeU64 } from "../../base/bytes.ts";
import { nodeCrypto } from "../../base/builtin.ts";
import { DecryptError } from "../../base/errors.ts";

/** Bytes in an AEAD key. */
export const KEY_BYTES = 32;
/** Bytes that sealing adds. */
export const TAG_BYTES = 16;
/** Bytes in a nonce. */
export const NONCE_BYTES = 12;
/** Bytes in a key and the nonce after it. */
export const KEY_NONCE_BYTES: number = KEY_BYTES + NONCE_BYTES;

/** The input of one operation besides the text. */
export interface AeadInput {
  /** Key, then nonce, 44 bytes in all; never use a nonce twice with one key. */
  readonly keyNonce: Uint8Array;
  /** Authenticated, not encrypted. */
  readonly ad: Uint8Array;
}

type HeapFunction = (...args: number[]) => number;

/** The inside of libsodium-wrappers: C functions over one heap; `long long` lengths are passed as two halves. */
interface Heap {
  readonly HEAPU8: Uint8Array; // replaced when the heap grows
  _malloc(size: number): number;
  _free(address: number): void;
  readonly _crypto_aead_chacha20poly1305_ietf_encrypt: HeapFunction;
  readonly _crypto_aead_chacha20poly1305_ietf_decrypt: HeapFunction;
}

/** From this length, the runtime's cipher is faster. */
const MIN_NATIVE_BYTES = 2048;
const NATIVE = "chacha20-poly1305";
/** After this many short texts, libsodium is loaded for them, which takes 20 ms. */
const MAX_SHORT_NATIVE = 64;
/** Enough for a whole record, so that the buffer need not grow. */
const MIN_ROOM_BYTES = 17 * 1024;
const TEXT_OFFSET = 64;

let heap: Heap | undefined;
let encrypt: HeapFunction;
let decrypt: HeapFunction;
let loading: Promise<void> | undefined;
/** The buffer on the heap: key and nonce, then text, tag and associated data. */
let base = 0;
let room = 0;
let isNative: boolean | undefined;
let shortNative = 0;

/** Resolves once the cipher can be used; await it before anything else here. */
export async function cipherReady(): Promise<void> {
  isNative ??= nodeCrypto().getCiphers().includes(NATIVE);
  if (!isNative) await cipherFast();
}

/** The runtime is known to have the cipher: instead of {@linkcode cipherReady}, which has to ask it. */
export function cipherIsNative(): void {
  isNative = true;
}

/** Resolves once short texts are fast, too; for programs that will have many of them. */
export async function cipherFast(): Promise<void> {
  await (loading ??= loadHeap());
}

async function loadHeap(): Promise<void> {
  const { default: sodium } = await import("libsodium-wrappers");
  await sodium.ready;
  heap = (sodium as unknown as { readonly libsodium: Heap }).libsodium;
  encrypt = heap._crypto_aead_chacha20poly1305_ietf_encrypt;
  decrypt = heap._crypto_aead_chacha20poly1305_ietf_decrypt;
}

function reserve(heap: Heap, size: number): void {
  if (size <= room) return;
  if (base !== 0) heap._free(base);
  room = Math.max(size, MIN_ROOM_BYTES);
  base = heap._malloc(room);
}

/** The heap, if libsodium is to do the work; else the runtime does it. */
function heapFor(length: number): Heap | undefined {
  if (isNative && length >= MIN_NATIVE_BYTES) return undefined;
  if (!heap && ++shortNative === MAX_SHORT_NATIVE) void cipherFast();
  return heap;
}

/** Copies the input to the heap; the associated data comes after the text and its tag. */
function load(heap: Heap, text: Uint8Array, { keyNonce, ad }: AeadInput): void {
  const adOffset = TEXT_OFFSET + text.length + TAG_BYTES;
  reserve(heap, adOffset + ad.length);
  const bytes = heap.HEAPU8;
  bytes.set(keyNonce, base);
  bytes.set(text, base + TEXT_OFFSET);
  if (ad.length > 0) bytes.set(ad, base + adOffset);
}

/** Copies the text back from the heap. */
function unload(heap: Heap, into: Uint8Array): void {
  const start = base + TEXT_OFFSET;
  into.set(heap.HEAPU8.subarray(start, start + into.length));
}

/**
 * Encrypts in place.
 *
 * @param buffer The plaintext, then 16 bytes for the tag.
 */
export function encryptInPlace(buffer: Uint8Array, input: AeadInput): void {
  const length = buffer.length - TAG_BYTES;
  const plaintext = buffer.subarray(0, length);
  const heap = heapFor(length);
  if (!heap) return encryptNatively(buffer, plaintext, input);
  load(heap, plaintext, input);
  const text = base + TEXT_OFFSET;
  const ad = text + length + TAG_BYTES;
  encrypt(text, 0, text, length, 0, ad, input.ad.length, 0, 0, base + KEY_BYTES, base);
  unload(heap, buffer);
}

/**
 * Verifies and decrypts in place.
 *
 * @param buffer The ciphertext with its tag, at least 16 bytes; afterwards the plaintext, then 16 meaningless bytes.
 * @returns Whether it verified; if not, do not use the buffer.
 */
export function decryptInPlace(buffer: Uint8Array, input: AeadInput): boolean {
  const { length } = buffer;
  const plainLength = length - TAG_BYTES;
  const heap = heapFor(plainLength);
  if (!heap) return decryptNatively(buffer, plainLength, input);
  load(heap, buffer, input);
  const text = base + TEXT_OFFSET;
  const ad = text + length + TAG_BYTES;
  const nonce = base + KEY_BYTES;
  const failed = decrypt(text, 0, 0, text, length, 0, ad, input.ad.length, 0, nonce, base);
  if (failed !== 0) return false;
  unload(heap, buffer.subarray(0, plainLength));
  return true;
}

/** Writes the nonce of record `n`, §1: 00000000 || u64 n. @param bytes A nonce, whatever is before it. */
export function setNonce(bytes: Uint8Array, n: number): void {
  writeU64(bytes, bytes.length - 8, n);
}

function joinNonce(key: Bytes, n: number): Bytes {
  const keyNonce = new Uint8Array(KEY_NONCE_BYTES);
  keyNonce.set(key);
  setNonce(keyNonce, n);
  return keyNonce;
}

/**
 * Encrypts and authenticates.
 *
 * @param key 32 bytes; never twice with the same `n`.
 * @param ad Additional data: authenticated, not encrypted.
 * @returns The ciphertext followed by the 16-byte tag.
 */
export function sealAead(key: Bytes, n: number, ad: Uint8Array, plaintext: Uint8Array): Bytes {
  const ct = withRoomForTag(plaintext);
  encryptInPlace(ct, { keyNonce: joinNonce(key, n), ad });
  return ct;
}

/**
 * Verifies and decrypts.
 *
 * @param ct Ciphertext and tag.
 * @throws {DecryptError} It does not verify.
 */
export function openAead(key: Bytes, n: number, ad: Uint8Array, ct: Uint8Array): Bytes {
  return openWith(new Uint8Array(ct), { keyNonce: joinNonce(key, n), ad });
}

/** A copy with 16 more bytes. */
export function withRoomForTag(plaintext: Uint8Array): Bytes {
  const buffer = new Uint8Array(plaintext.length + TAG_BYTES);
  buffer.set(plaintext);
  return buffer;
}

/** Opens in place. @throws {DecryptError} It does not verify. */
export function openWith<T extends Uint8Array>(buffer: T, input: AeadInput): T {
  if (buffer.length < TAG_BYTES || !decryptInPlace(buffer, input)) throw new DecryptError();
  return buffer.subarray(0, buffer.length - TAG_BYTES) as T;
}

const NATIVE_OPTIONS = { authTagLength: TAG_BYTES };

function split(keyNonce: Uint8Array): [key: Uint8Array, nonce: Uint8Array] {
  return [keyNonce.subarray(0, KEY_BYTES), keyNonce.subarray(KEY_BYTES)];
}

function encryptNatively(buffer: Uint8Array, plaintext: Uint8Array, input: AeadInput): void {
  const cipher = nodeCrypto().createCipheriv(NATIVE, ...split(input.keyNonce), NATIVE_OPTIONS);
  if (input.ad.length > 0) cipher.setAAD(input.ad, { plaintextLength: plaintext.length });
  unloadNative(cipher.update(plaintext), buffer);
  cipher.final();
  buffer.set(cipher.getAuthTag(), plaintext.length);
}

function decryptNatively(buffer: Uint8Array, length: number, input: AeadInput): boolean {
  const decipher = nodeCrypto().createDecipheriv(NATIVE, ...split(input.keyNonce), NATIVE_OPTIONS);
  if (input.ad.length > 0) decipher.setAAD(input.ad, { plaintextLength: length });
  decipher.setAuthTag(buffer.subarray(length));
  const plaintext = decipher.update(buffer.subarray(0, length));
  try {
    decipher.final();
  } catch {
    return false;
  }
  unloadNative(plaintext, buffer);
  return true;
}

/** Copies the text from where the runtime has put it, and frees that. */
function unloadNative(text: Uint8Array, into: Uint8Array): void {
  into.set(text);
  release(text);
}
