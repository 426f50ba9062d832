/**
 * Entries of conversations.
 *
 * @module
 */

import type { FileEntry, FileTransfer, MessageEntry } from "../../lib/ui/conversation.ts";

/** A message of bob's, with some fields changed. */
export function messageEntry(some: Partial<MessageEntry> = {}): MessageEntry {
  return {
    type: "message",
    seq: 1,
    version: 0,
    id: "0".repeat(16),
    at: 0,
    from: "SHA256:bob",
    nick: "bob",
    trust: "known",
    own: false,
    via: "lobby",
    action: false,
    text: "hello",
    mention: false,
    view: "same",
    reactions: new Map(),
    edited: false,
    retracted: false,
    ...some,
  };
}

/** A file of bob's, with some fields changed, and how far it is. */
export function fileEntry(
  some: Partial<FileEntry> = {},
  ...transfers: Partial<FileTransfer>[]
): FileEntry {
  const name = some.name ?? "release-note.pdf";
  const all = transfers.length === 0 ? [{}] : transfers;
  return {
    type: "file",
    seq: 1,
    version: 0,
    number: 3,
    at: 0,
    from: "SHA256:bob",
    nick: "bob",
    trust: "verified",
    own: false,
    kind: "file",
    name,
    size: 12_400_000,
    files: 1,
    executable: false,
    text: `offers “${name}”, 12.4 MB`,
    transfers: all.map((transfer) => ({
      fingerprint: "SHA256:bob",
      nick: "bob",
      state: "offered",
      moved: 0,
      speed: 0,
      note: "",
      ...transfer,
    })),
    folder: "~/Downloads",
    ...some,
  };
}
