/**
 * Histories: those that once found a fault, as they happened (several terminals of one person come and go, and a message
 * kept for one of them reaches another), and nights. What is right is PROTOCOL.md §6 alone.
 *
 * @module
 */

import { MAX_ROOM_MEMBERS } from "../../lib/protocol/limits.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type { Identity, Place } from "./place.ts";
import type { Quality } from "./network.ts";
import type { Crash, World } from "./world.ts";

/** What happens in a run, step by step: seconds, who, what. */
export interface History {
  readonly people: number;
  readonly latency: number;
  readonly piece: number;
  /** Of the room. */
  readonly capacity: number;
  /** So many of them, the first, have met before. */
  readonly acquainted?: number;
  readonly steps: string;
}

export const HISTORIES: Readonly<Record<string, History>> = {
  "a message is delivered by the terminal that was there last": {
    people: 2,
    capacity: MAX_ROOM_MEMBERS,
    latency: 400,
    piece: Infinity,
    steps: `
      1.585 A1 starts
      2.284 A2 starts
      2.735 B1 starts
      2.744 A1 says 1
      10.557 A2 says 2
      18.771 A1 stalls up 4188
      18.796 A2 tells B 3
      22.467 A2 says 4
      23.870 A1 cut lose
      25.284 B1 says 5
      30.494 relay killed finish
      36.412 B1 cut finish
      37.680 A1 tells B 6
      37.743 B2 starts
      38.582 B1 says 7
      40.268 A2 says 8
      41.433 A3 starts
      50.494 relay starts
      51.709 relay killed lose
      51.719 relay starts
      54.319 A1 says 9
      56.680 B1 cut finish
      56.894 A3 killed finish
      57.319 B1 says 10
      66.110 B1 says 11
      68.479 A1 says 12
      77.352 relay stops
      80.352 relay starts
      81.831 A2 says 13
      81.965 B2 stalls up 4364
      83.562 B1 says 14
      94.504 A2 says 15
      94.554 B2 killed finish
      95.824 A1 tells A 16
      96.894 A4 starts
      99.012 B1 says 17
      102.969 A4 killed lose
      105.221 A2 says 18
      109.411 A2 cut lose
      109.531 B1 tells A 19
      121.615 A2 tells B 20
      124.036 A1 cut lose
      142.969 A5 starts
    `,
  },
  "messages kept for a terminal that was killed reach others of the same person": {
    people: 2,
    capacity: MAX_ROOM_MEMBERS,
    latency: 100,
    piece: 1000,
    steps: `
      0.767 A1 starts
      1.091 B1 starts
      3.648 B1 says 1
      3.651 B1 tells A 2
      3.732 B1 stalls both 5792
      4.202 B1 stalls down 12576
      4.207 B1 stalls down 12853
      4.751 A1 cut finish
      4.790 B1 says 3
      4.880 A1 tells B 4
      5.022 A1 says 5
      5.061 B1 killed lose
      5.845 A1 says 6
      5.963 A1 says 7
      6.039 A1 tells B 8
      6.061 A1 says 9
      6.061 B2 starts
      6.585 B2 says 10
      6.952 B2 cut lose
      7.101 B3 starts
      8.179 B2 cut finish
      8.715 A1 cut lose
      8.770 B2 cut reset
      9.295 A1 says 11
      9.848 A1 tells B 12
      10.578 B3 says 13
      10.640 A1 tells B 14
      12.206 A1 tells B 15
      12.469 B2 cut lose
      12.618 A1 says 16
      12.905 A1 says 17
      12.938 B2 cut lose
      13.942 B3 says 18
      14.023 A1 stops
      14.093 B3 says 19
      14.734 B3 stalls both 835
      15.049 B2 tells B 20
      16.245 B2 says 21
      16.386 B3 stalls both 1070
      16.819 B4 starts
      17.134 B4 cut lose
      17.240 B3 says 22
      17.307 B4 says 23
      18.480 B2 says 24
      54.023 A2 starts
    `,
  },
  "more people are lost than the room has places": {
    people: 6,
    capacity: 2,
    latency: 1,
    piece: Infinity,
    steps: `
      0.100 A1 starts
      0.500 B1 starts
      7.500 A1 says 1
      8.500 B1 killed reset
      10.500 A1 says 2
      12.500 C1 starts
      19.500 A1 says 3
      21.500 C1 killed reset
      22.500 A1 says 4
      23.500 D1 starts
      30.500 A1 says 5
      31.500 D1 killed reset
      33.500 A1 says 6
      33.500 E1 starts
      40.500 A1 says 7
      42.500 E1 killed reset
      43.500 A1 says 8
      42.500 F1 starts
      49.500 A1 says 9
      50.500 F1 killed reset
      52.500 A1 says 10
      51.500 B2 starts
      53.500 A1 says 11
    `,
  },
};

/** Nights: people who know each other sleep, restart and come back within 12 hours. */
export const NIGHTS: Readonly<Record<string, History>> = {
  "a laptop sleeps for nine hours": {
    people: 4,
    acquainted: 3,
    capacity: MAX_ROOM_MEMBERS,
    latency: 5,
    piece: Infinity,
    steps: `
      1 A1 starts
      2 B1 starts
      3 C1 starts
      4 D1 starts
      20 B1 says 1
      30 B1 sleeps
      32 D1 sleeps
      33 A1 says 2
      400 A1 tells B 3
      600 C1 says 4
      7200 A1 says 5
      20000 C1 tells B 6
      20001 relay killed reset
      20031 relay starts
      30000 A1 says 7
      31000 C1 says 8
      32430 B1 wakes
      32440 D1 wakes
      32500 A1 says 9
    `,
  },
  "in the morning another process": {
    people: 3,
    acquainted: 3,
    capacity: MAX_ROOM_MEMBERS,
    latency: 5,
    piece: Infinity,
    steps: `
      1 A1 starts
      2 B1 starts
      3 C1 starts
      20 A1 says 1
      30 B1 killed lose
      40 A1 says 2
      50 C1 cut lose
      900 A1 tells B 3
      4000 A1 says 4
      9000 C1 says 5
      30000 B2 starts
      30020 A1 says 6
      30030 B2 says 7
    `,
  },
  "the night was too long": {
    people: 2,
    acquainted: 2,
    capacity: MAX_ROOM_MEMBERS,
    latency: 5,
    piece: Infinity,
    steps: `
      1 A1 starts
      2 B1 starts
      20 A1 says 1
      30 B1 sleeps
      40 A1 says 2
      20000 A1 says 3
      43000 A1 says 4
      45000 A1 says 5
      46000 B1 wakes
      46100 A1 says 6
    `,
  },
};

/** The network of a history. */
export function qualityOf({ latency, piece }: History): Quality {
  return { latency, jitter: 0, capacity: 65_536, slowDial: false, piece };
}

/** Does what a history says. */
export class Script {
  readonly #world: World;
  readonly #steps: readonly string[];
  #left: number;

  constructor(world: World, { steps }: History) {
    this.#world = world;
    this.#steps = steps.trim().split("\n").map((line) => line.trim());
    this.#left = this.#steps.length;
  }

  /** Everything has happened. */
  get done(): boolean {
    return this.#left === 0;
  }

  /** Sets all that is to happen. */
  begin(): void {
    for (const step of this.#steps) {
      const [at, who, what, ...args] = step.split(" ");
      this.#world.clock.at(Number(at) * 1000, () => {
        this.#left--;
        if (who === "relay") this.#relay(what!, args[0]);
        else this.#act(who!, what!, args);
      });
    }
  }

  #relay(what: string, crash: string | undefined): void {
    if (what === "starts") this.#world.startRelay();
    else if (what === "stops") void this.#world.stopRelay();
    else this.#world.killRelay(crash as Crash);
  }

  #identity(name: string): Identity {
    return this.#world.identities.find((identity) => identity.name === name[0])!;
  }

  #act(who: string, what: string, args: readonly string[]): void {
    if (what === "starts") return void this.#world.startPlace(this.#identity(who));
    const place = this.#world.places.find(({ name }) => name === who)!;
    const [first = "", second = ""] = args;
    switch (what) {
      case "says":
        return this.#say(place, Number(first));
      case "tells":
        return this.#tell(place, this.#identity(first).fingerprint, Number(second));
      case "stalls":
        return this.#world.stall(place, first as "up" | "down" | "both", Number(second));
      case "cut":
        return this.#world.cut(place, first as Crash);
      case "sleeps":
        return this.#world.sleep(place);
      case "wakes":
        return this.#world.wake(place);
      case "killed":
        return this.#world.kill(place, first as Crash);
      case "stops":
        return this.#world.stop(place);
    }
  }

  #say(place: Place, number: number): void {
    const text = `message ${number}`;
    const draft = { text, number, action: false, to: undefined, reply: undefined };
    this.#world.log(`${place.name} says #${number}`);
    this.#world.ledger.accept(place, draft, () => place.session.say(text));
  }

  #tell(place: Place, to: string, number: number): void {
    const text = `message ${number}`;
    const draft = { text, number, action: false, to, reply: undefined };
    this.#world.log(`${place.name} tells #${number}`);
    this.#world.ledger.accept(place, draft, () => {
      try {
        return place.session.sendPrivate(to, text, { ref: text });
      } catch (error) {
        if (!(error instanceof UsageError)) throw error; // nobody is shown any more
      }
    });
  }
}
