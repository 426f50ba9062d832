/**
 * What became of every message, from what all processes have told.
 *
 * @module
 */

import type { Event } from "../support/program.ts";

/** A client process, as far as the account needs it. */
export interface Account {
  /** `SHA256:…` of its identity, which others may have had before or after it. */
  readonly fingerprint: string;
  readonly events: readonly Event[];
  /** It was ended in the middle of what it did. */
  readonly killed: boolean;
}

/** The sums. */
export interface Balance {
  /** Messages that were accepted. */
  sent: number;
  /** One for each message and addressee. */
  owed: number;
  shown: number;
  /** Their sender was told that they could not be delivered. */
  reported: number;
  /** Their sender was killed, and with it what it still had to send. */
  orphaned: number;
  /** Acknowledged by a client that was killed before it showed them. */
  unseen: number;
  /** None of that: there must be none. */
  lost: number;
  /** Shown twice by one process: there must be none. */
  duplicated: number;
  /** Shown after a later message of the same process: there must be none. */
  disordered: number;
  /** Shown by a client that was killed before it could acknowledge them, and again by its successor. */
  repeated: number;
  /** The first few that are lost, duplicated or disordered, in words. */
  faults: string[];
}

interface Message {
  readonly sender: Account;
  readonly number: number;
  readonly addressees: ReadonlySet<string>;
  readonly undelivered: Set<string>;
  readonly acknowledged: Set<string>;
  /** The processes that showed it, by their identity. */
  readonly shown: Map<string, Account[]>;
}

const MAX_FAULTS = 10;

/** Draws the balance of all processes there were. */
export function balance(accounts: readonly Account[]): Balance {
  const messages = new Map<string, Message>();
  for (const account of accounts) collect(account, messages);
  const result: Balance = {
    sent: messages.size,
    owed: 0,
    shown: 0,
    reported: 0,
    orphaned: 0,
    unseen: 0,
    lost: 0,
    duplicated: 0,
    disordered: 0,
    repeated: 0,
    faults: [],
  };
  for (const account of accounts) show(account, messages, result);
  const mortal = new Set(accounts.filter(({ killed }) => killed).map((it) => it.fingerprint));
  for (const [id, message] of messages) {
    for (const name of message.addressees) {
      result.owed++;
      const fate = fateOf(message, name, mortal);
      result[fate]++;
      if (fate === "lost") fault(result, `${id} of ${message.sender.fingerprint} to ${name}: lost`);
      if ((message.shown.get(name)?.length ?? 0) > 1) result.repeated++;
    }
  }
  return result;
}

function fateOf(message: Message, name: string, mortal: ReadonlySet<string>) {
  if (message.shown.has(name)) return "shown";
  if (message.undelivered.has(name)) return "reported";
  if (message.sender.killed) return "orphaned";
  return message.acknowledged.has(name) && mortal.has(name) ? "unseen" : "lost";
}

/** What a process sent, to whom as far as it knew, and what it was told about it. */
function collect(sender: Account, messages: Map<string, Message>): void {
  const present = new Set<string>();
  let number = 0;
  for (const event of sender.events) {
    const message = messages.get(String(event.id));
    const to = event.to as string[];
    if (event.event === "joined") present.add(String(event.fingerprint));
    else if (event.event === "left") {
      // Who was only lost stays an addressee for 10 minutes.
      const { why } = event;
      if (why === "left" || why === "removed") present.delete(String(event.fingerprint));
    } else if (event.event === "sent") {
      messages.set(String(event.id), {
        sender,
        number: number++,
        addressees: new Set(present),
        undelivered: new Set(),
        acknowledged: new Set(),
        shown: new Map(),
      });
    } else if (event.event === "delivered") {
      for (const name of to) message!.acknowledged.add(name);
    } else if (event.event === "undelivered") {
      for (const name of to) message!.undelivered.add(name);
    }
  }
}

/** What a process showed. */
function show(account: Account, messages: Map<string, Message>, result: Balance): void {
  const seen = new Set<string>();
  const last = new Map<Account, number>();
  for (const event of account.events) {
    if (event.event !== "chat") continue;
    const id = String(event.id);
    const message = messages.get(id);
    // `sent` is told before anything leaves, but its line may have died with its process.
    if (!message) continue;
    if (seen.has(id)) {
      result.duplicated++;
      fault(result, `${id}: shown twice by ${account.fingerprint}`);
    }
    seen.add(id);
    if (event.late !== true) {
      if (message.number < (last.get(message.sender) ?? -1)) {
        result.disordered++;
        fault(result, `${id}: shown out of order by ${account.fingerprint}`);
      }
      last.set(message.sender, message.number);
    }
    const showers = message.shown.get(account.fingerprint) ?? [];
    message.shown.set(account.fingerprint, showers);
    if (!showers.includes(account)) showers.push(account);
  }
}

function fault(result: Balance, text: string): void {
  if (result.faults.length < MAX_FAULTS) result.faults.push(text);
}
