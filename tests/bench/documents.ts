/**
 * The tables of README.md and docs/performance.md that a run fills.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { alignRows, digits, makeTargetTable, OWN, type Results, valueOf } from "./report.ts";
import { BARE, OLD } from "./servers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What is shown of a run: titles of columns by server, and titles of rows by metric. */
interface Table {
  readonly title: string;
  readonly columns: Readonly<Record<string, string>>;
  readonly rows: Readonly<Record<string, string>>;
}

const FILE_RIVALS = { croc: "croc", "magic-wormhole": "magic-wormhole" };

/** What a person feels. */
const PEOPLE: Table = {
  title: "what a person feels",
  columns: { [OWN]: "Hearth", [OLD]: "0.1", "ncat --ssl": "ncat --ssl", ...FILE_RIVALS },
  rows: {
    "client.connected_ms": "from the start to connected, ms",
    "client.message_ms": "from the start to the first message shown, ms",
    "web.paint_ms": "from the start with --web to the page's first paint, ms",
    "web.p50_ms": "from Enter on a page to another page, p50, ms",
    "latency.p99_ms": "50 people, from sending to arrival, p99, ms",
    "join64.ms": "joining a room of 64, until all are there, ms",
    "room64.ms": "64 start at once, until all have all, ms",
    "file.direct_mbps": "a film to a friend, directly, MB/s",
    "file.relayed_mbps": "a film to a friend, over a relay, MB/s",
  },
};

/** The same, in few words. */
const SHORT: Table = {
  ...PEOPLE,
  rows: {
    "client.connected_ms": "a client starts and is connected, ms",
    "latency.p99_ms": "50 people, from sending to arrival, p99, ms",
    "join64.ms": "joining a room of 64, ms",
    "file.direct_mbps": "a film to a friend, MB/s",
  },
};

/** What one message costs those who take part in it. */
const MESSAGE: Table = {
  title: "a message in a room of 64 whole clients",
  columns: { [OWN]: "Hearth", [OLD]: "0.1" },
  rows: {
    "room64.at2_relay_cpu_ms": "2 a second, the relay's CPU, ms",
    "room64.at2_sender_cpu_ms": "2 a second, the sender's CPU, ms",
    "room64.at2_others_cpu_ms": "2 a second, CPU of all receivers, ms",
    "room64.idle_others_cpu_ms": "nobody writes, CPU of all receivers a second, ms",
    "room64.at10_relay_cpu_ms": "10 a second, the relay's CPU, ms",
    "room64.at10_sender_cpu_ms": "10 a second, the sender's CPU, ms",
    "room64.at10_others_cpu_ms": "10 a second, CPU of all receivers, ms",
    "room64.send_cpu_ms": "one at a time, the sender's CPU, ms",
    "room64.send20_cpu_ms": "20 in a row, the sender's CPU, ms",
    "room64.send1k_cpu_ms": "1 KiB, the sender's CPU, ms",
    "room64.send8k_cpu_ms": "8 KiB, the sender's CPU, ms",
    "room64.up_bytes": "128 bytes: up, bytes",
    "room64.down_bytes": "128 bytes: down to each, bytes",
    "room64.ack_bytes": "128 bytes: acknowledged by each with, bytes",
    "room64.up1k_bytes": "1 KiB: up, bytes",
    "room64.down1k_bytes": "1 KiB: down to each, bytes",
    "room64.up8k_bytes": "8 KiB: up, bytes",
    "room64.down8k_bytes": "8 KiB: down to each, bytes",
    "room64.cpu_ms": "64 meet, their CPU, ms",
    "join64.cpu_ms": "a newcomer's CPU, ms",
    "join64.relay_cpu_ms": "a newcomer, the relay's CPU, ms",
  },
};

/** What the relay costs beside other servers. */
const RELAY: Table = {
  title: "the relay, 50 members in a room",
  columns: {
    [OWN]: "Hearth",
    [OLD]: "0.1",
    "ngircd TLS": "ngircd TLS",
    "inspircd TLS": "InspIRCd TLS",
    "ncat --ssl": "ncat --ssl",
    "ssh-chat": "ssh-chat",
    [BARE]: BARE,
  },
  rows: {
    "connect.one_cpu_ms": "a client connects, CPU, ms",
    "flood.cpu_us": "flood, CPU a delivery, µs",
    "flood.per_second": "flood, deliveries a second",
    "flood4.cpu_us": "flood of 4 senders, CPU a delivery, µs",
    "flood64.cpu_us": "flood of 64 senders, CPU a delivery, µs",
    "flood1k.cpu_us": "flood of 1 KiB, CPU a delivery, µs",
    "flood8k.cpu_us": "flood of 8 KiB, CPU a delivery, µs",
    "paced.cpu_us": "100 a second, CPU a delivery, µs",
    "paced1k.cpu_us": "100 a second of 1 KiB, CPU a delivery, µs",
    "paced8k.cpu_us": "100 a second of 8 KiB, CPU a delivery, µs",
    "latency.p50_ms": "20 a second, latency p50, ms",
    "latency.p99_ms": "20 a second, latency p99, ms",
    "paced8k.p99_ms": "100 a second of 8 KiB, latency p99, ms",
    "memory.empty_kb": "memory with nobody there, kB",
    "memory.900_kb_each": "memory a member, of 900, kB",
    "memory.marginal_kb": "memory a member, from 100 to 900, kB",
  },
};

/** What several servers that are one cost. */
const CLUSTER: Table = {
  title: "a cluster",
  columns: { [OWN]: "" },
  rows: {
    "remote.here_flood_us": "flood on one server, CPU a delivery, µs",
    "remote.there_flood_us": "flood to another server, CPU of all a delivery, µs",
    "remote.here_paced_us": "100 a second on one server, CPU a delivery, µs",
    "remote.there_paced_us": "100 a second to another server, CPU of all a delivery, µs",
    "remote.here_p50_ms": "100 a second on one server, latency p50, ms",
    "remote.there_p50_ms": "100 a second to another server, latency p50, ms",
    "room_on1.cpu_us": "4 flood a room on one server, CPU a delivery, µs",
    "room_on2.cpu_us": "4 flood a room on two servers, CPU of all a delivery, µs",
    "room_on4.cpu_us": "4 flood a room on four servers, CPU of all a delivery, µs",
    "room_on2.busiest_us": "of that, the busiest of two servers, µs",
    "room_on4.busiest_us": "of that, the busiest of four servers, µs",
    "alone.joins_per_second": "10 000 members on one server, joins a second",
    "alone.join_cpu_ms": "10 000 members on one server, CPU a join, ms",
    "alone.kb_each": "10 000 members on one server, memory a member, kB",
    "alone.p50_ms": "10 000 members on one server, latency p50, ms",
    "alone.p99_ms": "10 000 members on one server, latency p99, ms",
    "four.joins_per_second": "10 000 members on four servers, joins a second",
    "four.join_cpu_ms": "10 000 members on four servers, CPU of all a join, ms",
    "four.kb_each": "10 000 members on four servers, memory a member, kB",
    "four.p50_ms": "10 000 members on four servers, latency p50, ms",
    "four.p99_ms": "10 000 members on four servers, latency p99, ms",
    "four.spread_p50_ms": "10 000 members on four servers, a room on all four, latency p50, ms",
    "four.spread_p99_ms": "10 000 members on four servers, a room on all four, latency p99, ms",
    "four.back_s": "one of four is killed, until its quarter is back, s",
  },
};

/** The table as Markdown; a column without any value is left out, a row too. */
function makeShortTable(results: Results, { title, columns, rows }: Table): string {
  const servers = Object.keys(columns).filter((server) =>
    Object.keys(rows).some((metric) => valueOf(results, server, metric))
  );
  const lines = Object.entries(rows).map(([metric, row]) => {
    const values = servers.map((server) => valueOf(results, server, metric));
    return [row, ...values.map((value) => value ? digits(value.median) : "")];
  });
  const shown = lines.filter(([, ...cells]) => cells.some(Boolean));
  return alignRows([[title, ...servers.map((server) => columns[server]!)], ...shown]);
}

/** Where, when and how it was measured, and what was not. */
function describeRun({ machine, deno, date, scale, missing }: Results): string {
  const lines = missing.map((line) => `- not measured: ${line}`);
  const run = `On ${
    date.slice(0, 10)
  }, ${machine}, Deno ${deno}; medians of ${scale.rounds} rounds.`;
  return [run, ...(lines.length > 0 ? ["", ...lines] : [])].join("\n");
}

/** Puts a text between the comments of a name. @throws {Error} When the document has no such place. */
export function fill(document: string, name: string, text: string): string {
  const [start, end] = [`<!-- bench: ${name} -->`, "<!-- bench: end -->"];
  const at = document.indexOf(start);
  const until = document.indexOf(end, at);
  if (at < 0 || until < 0) throw new Error(`there is no place for "${name}"`);
  return `${document.slice(0, at + start.length)}\n\n${text}\n\n${document.slice(until)}`;
}

/** Writes a run's tables into the documents: all of a whole run, or else only that of the cluster. */
export async function fillDocuments(results: Results, isWhole: boolean): Promise<void> {
  const cluster = { cluster: makeShortTable(results, CLUSTER) };
  const whole = {
    short: makeShortTable(results, SHORT),
    people: makeShortTable(results, PEOPLE),
    message: makeShortTable(results, MESSAGE),
    relay: makeShortTable(results, RELAY),
    targets: makeTargetTable(results, { all: false }),
    run: describeRun(results),
  };
  const hasCluster = "four.back_s" in (results.rounds[OWN]?.[0] ?? {});
  const texts: Readonly<Record<string, string>> = {
    ...(isWhole && whole),
    ...(hasCluster && cluster),
  };
  const places = {
    "README.md": ["short"],
    "docs/performance.md": ["people", "message", "relay", "cluster", "targets", "run"],
  };
  for (const [path, names] of Object.entries(places)) {
    let document = await Deno.readTextFile(ROOT + path);
    for (const name of names) {
      if (texts[name] !== undefined) document = fill(document, name, texts[name]);
    }
    await Deno.writeTextFile(ROOT + path, document);
    console.error(`filled: ${path}`);
  }
}
