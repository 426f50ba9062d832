/**
 * Has the lists verified that members send, without letting any of them cost much (PROTOCOL.md §14): of each member
 * one at a time and the newest that waits, and none any more once its signature was wrong.
 *
 * @module
 */

import type { SignedList } from "../protocol/succession.ts";

/** Whether a list counts; `forged`: its signature is wrong. */
export type Verdict = "taken" | "ignored" | "forged";

/** The lists of all members of one room; `M` is a member in one connection. */
export class ListChecks<M extends WeakKey> {
  readonly #check: (member: M, list: SignedList) => Promise<Verdict>;
  /** Whose list is being checked, and the one that waits. */
  readonly #waiting = new Map<M, SignedList | undefined>();
  readonly #liars = new WeakSet<M>();
  #done: Promise<unknown> | undefined;

  /** @param check Never rejects. */
  constructor(check: (member: M, list: SignedList) => Promise<Verdict>) {
    this.#check = check;
  }

  /** Resolves when everything is checked that has come; undefined if nothing has. */
  get done(): Promise<unknown> | undefined {
    return this.#done;
  }

  take(member: M, list: SignedList): void {
    if (this.#liars.has(member)) return;
    const isBusy = this.#waiting.has(member);
    this.#waiting.set(member, list);
    if (isBusy) return;
    const done = Promise.all([this.#done, this.#checkAll(member)]).then(() => {
      if (this.#done === done) this.#done = undefined;
    });
    this.#done = done;
  }

  async #checkAll(member: M): Promise<void> {
    for (let list = this.#waiting.get(member); list; list = this.#waiting.get(member)) {
      this.#waiting.set(member, undefined);
      if (await this.#check(member, list) !== "forged") continue;
      this.#liars.add(member);
      break;
    }
    this.#waiting.delete(member);
  }
}
