/**
 * A host: names who stands by, and gives way to another host (PROTOCOL.md §14).
 *
 * @module
 */

import { type Bytes, encodeHex, equalBytes } from "../base/bytes.ts";
import type { Timer } from "../base/clock.ts";
import { WHY } from "../protocol/frames.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import type { Entry, List, Offer, Place } from "../protocol/succession.ts";
import type { Hosting, HostingOptions } from "./hosting.ts";
import type { Inquiry } from "./inquiry.ts";
import { OtherHosts } from "./other_hosts.ts";
import { keyOf } from "./passed_over.ts";
import type { RosterMember } from "./roster.ts";
import { StandBys } from "./stand_bys.ts";

/** From the list that names the next host to CLOSE(7), so that everybody has it. */
const LAST_LIST_MS = 150;

/** A host from its making until it is stopped. */
export class Host implements Hosting {
  readonly #options: HostingOptions;
  readonly #standBys: StandBys;
  readonly #others: OtherHosts;
  readonly #room: string;
  #timer: Timer | undefined;

  constructor(options: HostingOptions) {
    this.#options = options;
    const { own, clock, room, passedOver, lastShown } = options;
    const [before, behind] = [options.before, options.behind].map((entries) =>
      entries.filter((entry) => keyOf(entry) !== this.#ownKey)
    ) as [Entry[], Entry[]];
    this.#room = encodeHex(room);
    this.#standBys = new StandBys({
      ...options,
      interfaces: () => options.network.interfaces(),
      prove: ({ relay, port, address }, signal) =>
        options.prove({ relay, port, addresses: [address] }, signal),
      mayName: (person) => options.mayName(encodeFingerprint(person)),
      send: (signed, sid) => {
        for (const member of options.members()) {
          if (sid === undefined || member.sid === sid) {
            options.send(member, { type: "succession", ...signed });
          }
        }
      },
    });
    this.#others = new OtherHosts({
      clock,
      passedOver,
      lastShown,
      before,
      isOwn: (place) => keyOf(place) === this.#ownKey,
      named: () => [...behind, ...this.list.entries],
      others: () => own.others(this.#room),
      present: () =>
        [...options.members()].flatMap(({ shown, sid, fingerprint }) =>
          shown && own.isHeard(sid) ? [fingerprint] : []
        ),
      ask: (place, listener) => options.ask(place, listener),
      look: () => this.#look(),
      isSmaller: (relay) => encodeHex(own.key.fingerprint) < encodeHex(relay),
      giveWay: (to, inquiry) => void this.#giveWay(to, inquiry),
    });
    this.#standBys.begin({ earlier: before, behind });
  }

  get #ownKey(): string {
    const { own } = this.#options;
    return keyOf({ relay: own.key.fingerprint, port: own.port });
  }

  get list(): List {
    return this.#standBys.list;
  }

  ready(member: RosterMember): void {
    this.#standBys.joined(member.fingerprint);
    this.#standBys.ready(member.sid);
  }

  offered(member: RosterMember, offer: Offer | undefined): void {
    this.#standBys.offered(member, offer);
  }

  left({ sid, fingerprint }: RosterMember, why: number): void {
    this.#standBys.left(sid, why);
    const isElsewhere = [...this.#options.members()].some((other) =>
      other.sid !== sid && equalBytes(other.fingerprint, fingerprint)
    );
    if ((why === WHY.LEFT || why === WHY.REMOVED) && !isElsewhere) this.#others.quit(fingerprint);
  }

  visited(person: Bytes, place: Place): void {
    this.#others.visited(person, place);
  }

  stop(): void {
    this.#options.clock.cancel(this.#timer);
    this.#standBys.end();
    this.#others.stop();
  }

  async #look(): Promise<Place[]> {
    const { network, pinned } = this.#options;
    const found = await network.look(new AbortController().signal);
    return found.flatMap(({ fingerprint, place }) => {
      const relay = pinned(fingerprint);
      return relay ? [{ ...place, relay }] : [];
    });
  }

  /** Tells everybody first where to go; alone, there is nobody to tell, and this host stays until it is taken in. */
  async #giveWay(to: Entry, inquiry: Inquiry): Promise<void> {
    const { clock, own, giveWay } = this.#options;
    if (own.others(this.#room) === 0) return giveWay(to, inquiry);
    this.#others.stop();
    await this.#standBys.nameFirst(to);
    this.#timer = clock.after(LAST_LIST_MS, () => giveWay(to, inquiry));
  }
}
