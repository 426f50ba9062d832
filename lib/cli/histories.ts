/**
 * One's own histories of the rooms that are open: loaded when the first of them is switched on (PROTOCOL.md §16).
 *
 * @module
 */

import { type Bytes, encodeHex } from "../base/bytes.ts";
import { type Clock, systemRandom } from "../base/clock.ts";
import { describeError, UsageError } from "../base/errors.ts";
import type { HistoryEntry } from "../protocol/history_entry.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { roomTag } from "../protocol/rooms.ts";
import type {
  Happening,
  HistoryRequest,
  Recorder,
  RoomHome,
  SessionEvent,
} from "../session/mod.ts";
import type { HistoryKey, Homes, RoomHistory } from "../session/history/mod.ts";
import type { HistoryControls } from "../ui/mod.ts";

/** Lines shown at the start. */
const FIRST_LINES = 20;
/** What may wait while a log is being opened; more is not recorded, and shown at once. */
const MAX_WAITING = 4096;
const INSTANCE_BYTES = 16;

type Entries = Awaited<ReturnType<RoomHistory["find"]>>;

interface HistoriesOptions {
  readonly clock: Clock;
  /** The state folder. */
  readonly folder: string;
  readonly identity: PrivateKey;
  /** As the settings have them. */
  readonly rooms: readonly RoomHome[];
  /** Keeps what has changed of a room. */
  save(changed: RoomHome): void;
  /** Switches it on in every room that is joined, and there stays on. */
  readonly turnsOn: "on" | "private" | undefined;
  readonly days: number;
  say(text: string): void;
}

/** What is loaded with the first history. */
interface Loaded {
  readonly homes: Homes;
  readonly key: HistoryKey;
  readonly make: typeof RoomHistory;
}

export class Histories {
  readonly options: HistoriesOptions;
  readonly #rooms: HistoryOfRoom[] = [];
  #loaded: Promise<Loaded> | undefined;

  constructor(options: HistoriesOptions) {
    this.options = options;
  }

  /** That of a room. @param place.emit Shows an event. @param place.list The relays of the list that is held. */
  of(
    room: string,
    place: {
      emit(event: SessionEvent): Promise<void> | void;
      list(): readonly Bytes[] | undefined;
    },
  ): HistoryOfRoom {
    const history = new HistoryOfRoom(this, encodeHex(roomTag(room)), place);
    this.#rooms.push(history);
    return history;
  }

  /** Loads the module and opens the key; makes one where there is none. */
  load(): Promise<Loaded> {
    return this.#loaded ??= this.#load().catch((error) => {
      this.#loaded = undefined;
      throw error;
    });
  }

  async #load(): Promise<Loaded> {
    const { folder, identity, rooms, save } = this.options;
    const { Homes, openHistoryKey, RoomHistory }: typeof import("../session/history/mod.ts") =
      await import("../session/history/mod.ts" as string);
    const key = await openHistoryKey(folder, identity);
    return { homes: new Homes(rooms, save), key, make: RoomHistory };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#rooms.map((room) => room.stop()));
  }
}

/** The history of one room, on or off. */
class HistoryOfRoom implements Recorder, HistoryControls {
  readonly #histories: Histories;
  readonly #room: string;
  readonly #place: Parameters<Histories["of"]>[1];
  readonly #instance = encodeHex(systemRandom(INSTANCE_BYTES));
  #history: RoomHistory | undefined;
  #relay: string | undefined;
  #work: Promise<void> = Promise.resolve();
  /** What is still to be done of it. */
  #waiting = 0;
  #list: readonly Bytes[] | undefined;

  constructor(histories: Histories, room: string, place: Parameters<Histories["of"]>[1]) {
    this.#histories = histories;
    this.#room = room;
    this.#place = place;
  }

  get state(): RoomHome["keep"] {
    return this.#history?.home.keep ?? "off";
  }

  arrived(relay: Bytes, follows: boolean): void {
    const { rooms, turnsOn } = this.#histories.options;
    const isFirst = this.#relay === undefined;
    this.#relay = encodeFingerprint(relay);
    const isWanted = turnsOn !== undefined ||
      rooms.some(({ room, keep }) => room === this.#room && keep !== "off");
    if (this.#waiting === 0 && !this.#history && !(isFirst && isWanted)) return;
    const here = this.#relay;
    void this.#do(() => this.#arrive(here, { follows, isFirst }));
  }

  record(happening: Happening): void {
    if (this.#waiting === 0) this.#record(happening);
    else if (this.#waiting < MAX_WAITING) void this.#do(() => this.#record(happening));
  }

  #record(happening: Happening): void {
    if (!this.#history) return;
    this.#history.record(happening);
    this.#learn(this.#history);
  }

  /** Shows an event: behind what comes from the log, while that is being read. */
  show(event: SessionEvent): Promise<void> | void {
    const isOpening = this.#waiting > 0 && this.#waiting < MAX_WAITING;
    if (!isOpening) return this.#place.emit(event);
    let given: Promise<void> | void;
    return this.#do(() => void (given = this.#place.emit(event))).then(() => given);
  }

  async turn(keep: RoomHome["keep"]): Promise<void> {
    const relay = this.#relay;
    if (relay === undefined) {
      throw new UsageError("you are not in the room yet", ["try again once there is a connection"]);
    }
    const { homes } = await this.#histories.load();
    await this.#open(homes.keep(this.#room, relay, keep));
  }

  async find(request: HistoryRequest): Promise<Entries> {
    if (this.#history) return await this.#history.find(request);
    throw new UsageError("no history is kept of this room", ["/history on keeps one from now on"]);
  }

  async since(time: number): Promise<HistoryEntry[]> {
    await this.#work; // it may still be being opened
    return await this.#history?.since(time) ?? [];
  }

  async stop(): Promise<void> {
    await this.#work;
    if (this.#history) this.#learn(this.#history);
    await this.#history?.close();
  }

  /** Does one thing after another: what happens while a log is being opened comes after it. */
  #do(work: () => void | Promise<void>): Promise<void> {
    this.#waiting++;
    return this.#work = this.#work.then(work).catch((error) => {
      this.#histories.options.say(`no history is kept: ${describeError(error)}`);
    }).then(() => void this.#waiting--);
  }

  /** Which history it is at a relay. */
  async #arrive(
    relay: string,
    { follows, isFirst }: { follows: boolean; isFirst: boolean },
  ): Promise<void> {
    const { turnsOn } = this.#histories.options;
    const { homes } = await this.#histories.load();
    const before = this.#history?.home;
    let home = before && follows ? homes.follow(before, relay) : homes.of(this.#room, relay);
    const isRaised = turnsOn === "private" ? home?.keep !== "private" : home?.keep === "off";
    if (isFirst && turnsOn && (!home || isRaised)) home = homes.keep(this.#room, relay, turnsOn);
    if (!home && before) home = homes.keep(this.#room, relay, before.keep);
    await this.#open(home);
    const entries = isFirst && await this.#history?.find({ limit: FIRST_LINES });
    if (entries && entries.length > 0) this.#place.emit({ event: "history", entries });
  }

  async #open(home: RoomHome | undefined): Promise<void> {
    const before = this.#history;
    const isSame = before !== undefined && before.home.home === home?.home && home.keep !== "off";
    if (isSame) {
      before.home = home;
      return;
    }
    this.#history = undefined;
    await before?.close();
    if (!home || home.keep === "off") return;
    const { clock, identity, days, say } = this.#histories.options;
    const { key, make } = await this.#histories.load();
    this.#history = new make({
      clock,
      key,
      home,
      instance: this.#instance,
      own: identity.publicKey.fingerprint,
      days,
      onFault: (error) => say(`history cannot be written: ${describeError(error)}`),
      onGone: () => {
        this.#history = undefined;
        say("the history of this room was forgotten: nothing is kept any more");
      },
    });
  }

  /** Relays that a list of the room names are the room's. */
  #learn(history: RoomHistory): void {
    const list = this.#place.list();
    if (list === undefined || list === this.#list) return;
    this.#list = list;
    void this.#histories.load().then(({ homes }) => {
      for (const relay of list) history.home = homes.name(history.home, encodeFingerprint(relay));
    });
  }
}
