/**
 * What is measured, by the names under which it is kept, and what is wanted of it.
 *
 * @module
 */

/** One measurement. */
export interface Metric {
  readonly title: string;
  readonly unit: string;
}

/** The same rows for several cases: what stands for `*` in their names, and in their titles. */
function each(
  cases: readonly (readonly [name: string, title: string])[],
  rows: Readonly<Record<string, Metric>>,
): Record<string, Metric> {
  const all = cases.flatMap(([name, words]) =>
    Object.entries(rows).map(([key, { title, unit }]) =>
      [key.replace("*", name), { title: title.replace("*", words), unit }] as const
    )
  );
  return Object.fromEntries(all);
}

/** Everything that is measured, in the order of the report. */
export const METRICS: Readonly<Record<string, Metric>> = {
  ...each([["", ""], ["4", " of 4 senders"], ["64", " of 64 senders"]], {
    "flood*.cpu_us": { title: "flood*, server CPU a delivery", unit: "µs" },
    "flood*.per_second": { title: "flood*, deliveries", unit: "/s" },
    "flood*.lost": { title: "flood*, lost", unit: "" },
  }),
  "flood.load_us": { title: "flood, the generator's own CPU a delivery", unit: "µs" },
  "paced.cpu_us": { title: "100 a second, server CPU a delivery", unit: "µs" },
  "paced.lost": { title: "100 a second, lost", unit: "" },
  "paced.load_us": { title: "100 a second, the generator's own CPU a delivery", unit: "µs" },
  "paced.p99_ms": { title: "100 a second, latency p99", unit: "ms" },
  "slow.p99_ms": { title: "the same beside a slow reader", unit: "ms" },
  "latency.p50_ms": { title: "20 a second, latency p50", unit: "ms" },
  "latency.p90_ms": { title: "20 a second, latency p90", unit: "ms" },
  "latency.p99_ms": { title: "20 a second, latency p99", unit: "ms" },
  "latency.max_ms": { title: "20 a second, latency max", unit: "ms" },
  ...each([["1k", "1 KiB"], ["8k", "8 KiB"]], {
    "flood*.cpu_us": { title: "flood of *, server CPU a delivery", unit: "µs" },
    "flood*.lost": { title: "flood of *, lost", unit: "" },
    "paced*.cpu_us": { title: "100 a second of *, server CPU a delivery", unit: "µs" },
    "paced*.p99_ms": { title: "100 a second of *, latency p99", unit: "ms" },
    "paced*.lost": { title: "100 a second of *, lost", unit: "" },
  }),
  "connect.one_ms": { title: "connect, one at a time", unit: "ms" },
  "connect.one_cpu_ms": { title: "connect, server CPU", unit: "ms" },
  "connect.8_ms": { title: "connect, 8 at once", unit: "ms" },
  "connect.8_cpu_ms": { title: "connect 8 at once, server CPU", unit: "ms" },
  "memory.empty_kb": { title: "resident, nobody there", unit: "kB" },
  "memory.idle_kb": { title: "resident, a program that only imports the same", unit: "kB" },
  "memory.100_kb_each": { title: "resident a member, of 100", unit: "kB" },
  "memory.900_kb_each": { title: "resident a member, of 900", unit: "kB" },
  "memory.marginal_kb": { title: "resident a member, from 100 to 900", unit: "kB" },
  "client.connected_ms": { title: "client, start to connected", unit: "ms" },
  "client.message_ms": { title: "client, start to first message shown", unit: "ms" },
  "client.connected_cpu_ms": { title: "client, CPU until connected", unit: "ms" },
  "room64.ms": { title: "64 clients, until everybody has everybody", unit: "ms" },
  "room64.cpu_ms": { title: "64 clients, their CPU until then", unit: "ms" },
  "room64.rsa_ms": { title: "the RSA operations of that alone", unit: "ms" },
  "room64.send_cpu_ms": { title: "room of 64, sender's CPU a message", unit: "ms" },
  "room64.send20_cpu_ms": { title: "room of 64, sender's CPU a message, 20 in a row", unit: "ms" },
  "room64.send1k_cpu_ms": { title: "room of 64, sender's CPU a text of 1 KiB", unit: "ms" },
  "room64.send8k_cpu_ms": { title: "room of 64, sender's CPU a text of 8 KiB", unit: "ms" },
  ...each([["", "a message of 128 bytes"], ["1k", "a text of 1 KiB"], ["8k", "a text of 8 KiB"]], {
    "room64.up*_bytes": { title: "room of 64, *: bytes up", unit: "" },
    "room64.down*_bytes": { title: "room of 64, *: bytes down to each", unit: "" },
    "room64.ack*_bytes": { title: "room of 64, *: bytes of each one's ACK", unit: "" },
  }),
  ...each([["2", "2 a second"], ["10", "10 a second"]], {
    "room64.at*_relay_cpu_ms": { title: "64 clients, *, relay's CPU a message", unit: "ms" },
    "room64.at*_sender_cpu_ms": { title: "64 clients, *, sender's CPU a message", unit: "ms" },
    "room64.at*_others_cpu_ms": {
      title: "64 clients, *, CPU of all receivers a message",
      unit: "ms",
    },
  }),
  "room64.idle_others_cpu_ms": {
    title: "64 clients, nobody writes, CPU of the same a second",
    unit: "ms",
  },
  "join64.ms": { title: "joining a room of 64, until everybody is there", unit: "ms" },
  "join64.cpu_ms": { title: "joining a room of 64, the newcomer's CPU", unit: "ms" },
  "join64.relay_cpu_ms": { title: "joining a room of 64, the relay's CPU", unit: "ms" },
  "file.direct_mbps": { title: "a file of 250 MB, directly", unit: "MB/s" },
  "file.relayed_mbps": { title: "a file of 250 MB, over a relay", unit: "MB/s" },
  "move.quit_s": { title: "3 people, the host quits, longest from writing to showing", unit: "s" },
  "move.kill_s": { title: "3 people, the host is killed, the same", unit: "s" },
  "move.cut_s": { title: "3 people, the host's cable is cut, the same", unit: "s" },
  "move.12_quit_s": { title: "12 people, the host quits, until all have all", unit: "s" },
  "move.12_quit_cpu_s": { title: "the same, CPU of those who stay", unit: "s" },
  "move.12_kill_s": { title: "12 people, the host is killed, until all have all", unit: "s" },
  "move.12_kill_cpu_s": { title: "the same, CPU of those who stay", unit: "s" },
  "move.12_cut_s": { title: "12 people, its cable is cut, until all have all", unit: "s" },
  "move.12_cut_cpu_s": { title: "the same, CPU of those who stay", unit: "s" },
  "move.12_alone_s": { title: "11 people whose server starts again, the same", unit: "s" },
  "move.12_alone_cpu_s": { title: "the same, CPU of all", unit: "s" },
  "move.64_quit_s": { title: "64 people, the host quits, until all have all", unit: "s" },
  "move.64_quit_cpu_s": { title: "the same, CPU of those who stay", unit: "s" },
  "move.64_kill_s": { title: "64 people, the host is killed, until all have all", unit: "s" },
  "move.64_kill_cpu_s": { title: "the same, CPU of those who stay", unit: "s" },
  "move.64_cut_s": { title: "64 people, its cable is cut, until all have all", unit: "s" },
  "move.64_cut_cpu_s": { title: "the same, CPU of those who stay", unit: "s" },
  "move.64_alone_s": { title: "63 people whose server starts again, the same", unit: "s" },
  "move.64_alone_cpu_s": { title: "the same, CPU of all", unit: "s" },
  "move.hosted_p50_ms": {
    title: "from writing to showing at a host with stand-bys, p50",
    unit: "ms",
  },
  "move.server_p50_ms": { title: "the same at a server, without stand-bys", unit: "ms" },
  "move.start_ms": { title: "later in the room with --serve, where nobody hosts", unit: "ms" },
  "move.lost": { title: "the host goes, lost or shown twice", unit: "" },
  "multicast.calm_p99_ms": { title: "before a multicast flood, latency p99", unit: "ms" },
  "multicast.p50_ms": { title: "multicast flood of 2 MB/s, latency p50", unit: "ms" },
  "multicast.p99_ms": { title: "multicast flood of 2 MB/s, latency p99", unit: "ms" },
  "multicast.cpu_percent": { title: "multicast flood, server CPU, share of a core", unit: "%" },
  "multicast.packets_per_second": { title: "multicast flood, packets", unit: "/s" },
  "multicast.bytes_per_second": { title: "multicast flood, bytes", unit: "/s" },
  "multicast.found_s": { title: "multicast flood, found again after its end", unit: "s" },
  ...each([["", "plain"], ["_full", "full"]], {
    "busy*.p50_ms": { title: "three flood a room of 64, to the * screen, p50", unit: "ms" },
    "busy*.p95_ms": { title: "three flood a room of 64, to the * screen, p95", unit: "ms" },
    "busy*.max_ms": { title: "three flood a room of 64, to the * screen, max", unit: "ms" },
    "busy*.sent_per_second": { title: "the same, * screen, hostile messages", unit: "/s" },
    "busy*.lost": { title: "the same, * screen, the chat lost the connection", unit: "" },
  }),
  "storm.calm_p99_ms": { title: "before a storm, latency p99", unit: "ms" },
  ...each([
    ["m1", "150 first messages a second"],
    ["half", "half first messages"],
    ["nothing", "silent connections"],
  ], {
    "storm.*.join_ms": { title: "storm of *, a join, median", unit: "ms" },
    "storm.*.join_max_ms": { title: "storm of *, a join, longest", unit: "ms" },
    "storm.*.p50_ms": { title: "storm of *, latency p50", unit: "ms" },
    "storm.*.p99_ms": { title: "storm of *, latency p99", unit: "ms" },
    "storm.*.cpu_percent": { title: "storm of *, server CPU, share of a core", unit: "%" },
    "storm.*.per_second": { title: "storm of *, connections", unit: "/s" },
  }),
  "pour.p50_ms": { title: "room of 64, 3 send all they can, another's latency p50", unit: "ms" },
  "pour.p99_ms": { title: "room of 64, 3 send all they can, another's latency p99", unit: "ms" },
  "pour.per_second": { title: "room of 64, 3 send all they can, deliveries", unit: "/s" },
  "pour.closed": { title: "room of 64, 3 send all they can, members closed", unit: "" },
  ...each([["here", "on one server of two"], ["there", "to the other server"]], {
    "remote.*_flood_us": { title: "flood *, CPU a delivery", unit: "µs" },
    "remote.*_per_second": { title: "flood *, deliveries", unit: "/s" },
    "remote.*_paced_us": { title: "100 a second *, CPU a delivery", unit: "µs" },
    "remote.*_p50_ms": { title: "100 a second *, latency p50", unit: "ms" },
    "remote.*_p99_ms": { title: "100 a second *, latency p99", unit: "ms" },
    "remote.*_lost": { title: "flood and 100 a second *, lost", unit: "" },
  }),
  ...each([["1", "one server"], ["2", "two servers"], ["4", "four servers"]], {
    "room_on*.cpu_us": { title: "a busy room on *, CPU of all a delivery", unit: "µs" },
    "room_on*.busiest_us": { title: "a busy room on *, CPU of the busiest a delivery", unit: "µs" },
    "room_on*.per_second": { title: "a busy room on *, deliveries", unit: "/s" },
    "room_on*.lost": { title: "a busy room on *, lost", unit: "" },
  }),
  ...each([["alone", "one server"], ["four", "four servers"]], {
    "*.joins_per_second": { title: "10 000 members on *, joins", unit: "/s" },
    "*.join_cpu_ms": { title: "10 000 members on *, CPU a join", unit: "ms" },
    "*.kb_each": { title: "10 000 members on *, resident each", unit: "kB" },
    "*.incomplete": { title: "10 000 members on *, who miss somebody", unit: "" },
    "*.closed": { title: "10 000 members on *, who were closed", unit: "" },
    "*.p50_ms": { title: "10 000 members on *, latency p50", unit: "ms" },
    "*.p99_ms": { title: "10 000 members on *, latency p99", unit: "ms" },
    "*.p_cpu_percent": { title: "10 000 members on *, CPU, share of a core", unit: "%" },
  }),
  "four.spread_p50_ms": { title: "the same, a room that is on all four, latency p50", unit: "ms" },
  "four.spread_p99_ms": { title: "the same, a room that is on all four, latency p99", unit: "ms" },
  "four.spread_p_cpu_percent": { title: "the same, CPU, share of a core", unit: "%" },
  "four.back": { title: "one of four is killed, its members", unit: "" },
  "four.back_s": { title: "one of four is killed, until its members are back", unit: "s" },
  "four.back_incomplete": { title: "one of four is killed, who miss somebody then", unit: "" },
  "four.back_closed": { title: "one of four is killed, who were closed elsewhere", unit: "" },
  "web.paint_ms": { title: "from the start of client --web to the page's first paint", unit: "ms" },
  "web.p50_ms": { title: "from Enter on a page to another page's frame, p50", unit: "ms" },
  "web.max_ms": { title: "from Enter on a page to another page's frame, max", unit: "ms" },
  "pipe.ms": { title: "10 000 lines through two clients in pipe mode", unit: "ms" },
};

/** A bound on a ratio to another server's value, to another value of the relay's own, or on a value itself. */
export interface Target {
  readonly metric: string;
  /** A rival by name, or another metric of the relay. */
  readonly of?: { readonly server: string } | { readonly metric: string };
  readonly atMost: number;
}

const ngircd = { server: "ngircd TLS" };
const ncat = { server: "ncat --ssl" };
const sshChat = { server: "ssh-chat" };
const old = { server: "hearth 0.1" };
const bare = { server: "bare Deno" };

/** What the relay and the client are to reach. */
export const TARGETS: readonly Target[] = [
  { metric: "client.connected_ms", of: ncat, atMost: 1.15 },
  { metric: "connect.one_cpu_ms", of: ngircd, atMost: 0.8 },
  { metric: "room64.cpu_ms", of: old, atMost: 0.7 },
  { metric: "room64.at10_relay_cpu_ms", of: old, atMost: 0.6 },
  { metric: "flood.cpu_us", of: ngircd, atMost: 0.55 },
  { metric: "flood8k.cpu_us", of: old, atMost: 0.7 },
  { metric: "paced8k.cpu_us", of: old, atMost: 0.7 },
  { metric: "paced8k.p99_ms", of: old, atMost: 0.3 },
  { metric: "memory.marginal_kb", of: bare, atMost: 1.5 },
  { metric: "paced.cpu_us", of: sshChat, atMost: 1 },
  { metric: "latency.p99_ms", of: sshChat, atMost: 1 },
  { metric: "memory.900_kb_each", of: sshChat, atMost: 1 },
  { metric: "memory.empty_kb", of: { metric: "memory.idle_kb" }, atMost: 1.3 },
  { metric: "slow.p99_ms", of: { metric: "paced.p99_ms" }, atMost: 1.2 },
  { metric: "room64.send_cpu_ms", atMost: 1 },
  { metric: "room64.send20_cpu_ms", atMost: 1 },
  { metric: "move.quit_s", atMost: 0.3 },
  { metric: "move.kill_s", atMost: 0.5 },
  { metric: "move.cut_s", atMost: 9 },
  { metric: "move.start_ms", atMost: 1000 },
  { metric: "move.lost", atMost: 0 },
  { metric: "multicast.p99_ms", atMost: 50 },
  { metric: "busy.max_ms", atMost: 250 },
  { metric: "busy.lost", atMost: 0 },
  { metric: "busy_full.max_ms", atMost: 250 },
  { metric: "busy_full.lost", atMost: 0 },
  { metric: "storm.m1.join_ms", atMost: 3000 },
  { metric: "pour.closed", atMost: 0 },
  { metric: "remote.there_flood_us", of: { metric: "remote.here_flood_us" }, atMost: 3.2 },
  { metric: "remote.there_paced_us", of: { metric: "remote.here_paced_us" }, atMost: 2.4 },
  { metric: "remote.there_lost", atMost: 0 },
  { metric: "four.incomplete", atMost: 0 },
  { metric: "four.back_incomplete", atMost: 0 },
  { metric: "room64.ms", of: { metric: "room64.rsa_ms" }, atMost: 1.5 },
];
