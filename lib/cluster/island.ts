/**
 * A room of a relay that has been without the bus for too long, and goes on alone.
 *
 * @module
 */

import type { RosterEntry, RosterValue } from "./values.ts";

/** A room as it is on one relay alone, until it can be in the bucket again. */
export class Island {
  /** Its members are all of this relay. */
  roster: RosterValue;
  /** The bus is back. */
  mayReturn = false;
  /** Members of other relays of whom those here were told that they have LEFT, by sid. */
  readonly parted: readonly string[];
  /** Other relays know of members here, and have told their own that these have LEFT. */
  readonly #wasShared: boolean;
  /** Of the room's key when the relay became alone. */
  readonly #revision: number;

  /**
   * @param before The roster that is in the bucket, as far as is known, under this revision.
   * @param options.members Those here.
   * @param options.parted As the property.
   */
  constructor(
    before: RosterValue & { readonly revision: number },
    { members, parted }: { members: readonly RosterEntry[]; parted: readonly string[] },
  ) {
    const here = new Set(members.map(({ sid }) => sid));
    this.roster = { entries: members, gone: [] };
    this.parted = parted;
    this.#wasShared = before.entries.some(({ sid }) => !here.has(sid));
    this.#revision = before.revision;
  }

  /** Whether those here have to come again with other sids: somebody else may have been told that they have LEFT. */
  mustYield(revision: number): boolean {
    return this.#wasShared || revision !== this.#revision;
  }

  /** The relay has got another name. */
  rename(relay: string): void {
    const { entries, gone } = this.roster;
    this.roster = { entries: entries.map((entry) => ({ ...entry, relay })), gone };
  }
}
