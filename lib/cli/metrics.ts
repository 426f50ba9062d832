/**
 * What a server measures for `--metrics`, under the names that packaging/grafana.json uses. Nothing in it names a person,
 * an address or a room. Loaded with the option only.
 *
 * @module
 */

import process from "node:process";
import { counter, Counts, type Family, gauge, Histogram } from "../base/exposition.ts";
import { REASON_TEXTS, WHY_TEXTS } from "../protocol/reasons.ts";
import { STATE } from "../protocol/succession.ts";
import type { RelayEvent, RelayMeter, RelayState } from "../relay/mod.ts";

const HANDSHAKE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LATE_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** How often the event loop is observed. */
const LATE_MS = 500;
const STATE_TEXTS: Readonly<Record<number, string>> = {
  [STATE.UNKNOWN]: "unknown",
  [STATE.HERE]: "here",
  [STATE.AT_PLACE]: "elsewhere",
  [STATE.LOST]: "lost",
};

/** What is read when somebody asks. */
interface Sources {
  state(): RelayState;
  /** How often multicast DNS messages had to be dropped. */
  overloads(): number;
}

/** Counts and measures, until {@linkcode stop}. */
export class ServerMetrics implements RelayMeter {
  readonly #startedAt = Date.now() / 1000;
  #joins = 0;
  readonly #leaves = new Counts();
  readonly #refusals = new Counts();
  readonly #closes = new Counts();
  readonly #operations = new Counts();
  readonly #places = new Counts();
  readonly #handshakes = new Histogram(HANDSHAKE_SECONDS);
  readonly #joinSeconds = new Histogram(HANDSHAKE_SECONDS);
  readonly #late = new Histogram(LATE_SECONDS);
  readonly #timer: ReturnType<typeof setInterval>;

  constructor() {
    let due = performance.now() + LATE_MS;
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#late.observe(Math.max(0, now - due) / 1000);
      due = now + LATE_MS;
    }, LATE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  handshake(ms: number): void {
    this.#handshakes.observe(ms / 1000);
  }

  join(ms: number): void {
    this.#joinSeconds.observe(ms / 1000);
  }

  place(state: number): void {
    this.#places.add(STATE_TEXTS[state]!);
  }

  event(event: RelayEvent): void {
    switch (event.event) {
      case "joined":
        return void this.#joins++;
      case "left":
        return this.#leaves.add(WHY_TEXTS[event.why]!);
      case "refused":
        return this.#refusals.add(REASON_TEXTS[event.reason]!);
      case "closed":
        return this.#closes.add(event.cause.replace(/^internal error.*/s, "internal error"));
      default:
        return this.#operations.add(event.event);
    }
  }

  /** Everything, as it is now. */
  families({ state, overloads }: Sources): Family[] {
    const { members, rooms, pending, seekers, queuedBytes, stalled, held, traffic } = state();
    const { rss, heapUsed } = Deno.memoryUsage();
    const { user, system } = process.cpuUsage();
    return [
      gauge("hearth_members", "Connections that have joined a room.", members),
      gauge("hearth_rooms", "Rooms with members.", rooms),
      gauge("hearth_pending", "Connections whose JOIN is not answered yet.", pending),
      gauge("hearth_seekers", "Connections that wait for news of a room.", seekers),
      gauge("hearth_connections", "Open connections.", members + pending + seekers),
      counter("hearth_joins", "JOINs that were answered with WELCOME.", this.#joins),
      this.#leaves.family("hearth_leaves", "Members who have left.", "why"),
      this.#refusals.family("hearth_refusals", "JOINs that were refused.", "reason"),
      this.#closes.family("hearth_closes", "Connections that failed or were cut.", "cause"),
      this.#operations.family("hearth_operations", "What operators have done.", "what"),
      this.#places.family("hearth_places", "Answers to clients that look for a room.", "state"),
      directions("hearth_frames", "Frames.", traffic.framesIn, traffic.framesOut),
      directions("hearth_bytes", "Encrypted bytes.", traffic.bytesIn, traffic.bytesOut),
      gauge("hearth_queued_bytes", "Bytes that wait to be written to members.", queuedBytes),
      gauge("hearth_stalled_receivers", "Members who have read nothing for a second.", stalled),
      gauge("hearth_held_senders", "Members from whom nothing is read for now.", held),
      this.#handshakes.family("hearth_handshake_seconds", "From accept to the handshake's end."),
      this.#joinSeconds.family("hearth_join_seconds", "From JOIN to WELCOME."),
      this.#late.family("hearth_event_loop_late_seconds", "How late timers are."),
      counter(
        "hearth_multicast_overloads",
        "Times that multicast DNS messages were dropped.",
        overloads(),
      ),
      gauge("process_resident_memory_bytes", "Memory in use.", rss),
      gauge("process_heap_bytes", "Memory in use by the engine's heap.", heapUsed),
      counter("process_cpu_seconds", "Time of processors.", (user + system) / 1e6),
      gauge("process_start_time_seconds", "Start, in seconds since 1970.", this.#startedAt),
    ];
  }
}

function directions(name: string, help: string, received: number, sent: number): Family {
  const sample = (direction: string, value: number) => (
    { suffix: "_total", labels: { direction }, value } as const
  );
  return { name, help, type: "counter", samples: [sample("in", received), sample("out", sent)] };
}
