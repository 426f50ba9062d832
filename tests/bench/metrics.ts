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

/** Everything that is measured, in the order of the report. */
export const METRICS: Readonly<Record<string, Metric>> = {
  "flood.cpu_us": { title: "flood, server CPU a delivery", unit: "µs" },
  "flood.per_second": { title: "flood, deliveries", unit: "/s" },
  "flood.lost": { title: "flood, lost", unit: "" },
  "flood.load_us": { title: "flood, the generator's own CPU a delivery", unit: "µs" },
  "flood4.cpu_us": { title: "flood of 4 senders, server CPU a delivery", unit: "µs" },
  "flood4.per_second": { title: "flood of 4 senders, deliveries", unit: "/s" },
  "flood4.lost": { title: "flood of 4 senders, lost", unit: "" },
  "flood64.cpu_us": { title: "flood of 64 senders, server CPU a delivery", unit: "µs" },
  "flood64.per_second": { title: "flood of 64 senders, deliveries", unit: "/s" },
  "flood64.lost": { title: "flood of 64 senders, lost", unit: "" },
  "paced.cpu_us": { title: "100 a second, server CPU a delivery", unit: "µs" },
  "paced.lost": { title: "100 a second, lost", unit: "" },
  "paced.load_us": { title: "100 a second, the generator's own CPU a delivery", unit: "µs" },
  "paced.p99_ms": { title: "100 a second, latency p99", unit: "ms" },
  "slow.p99_ms": { title: "the same beside a slow reader", unit: "ms" },
  "latency.p50_ms": { title: "20 a second, latency p50", unit: "ms" },
  "latency.p90_ms": { title: "20 a second, latency p90", unit: "ms" },
  "latency.p99_ms": { title: "20 a second, latency p99", unit: "ms" },
  "latency.max_ms": { title: "20 a second, latency max", unit: "ms" },
  "flood1k.cpu_us": { title: "flood of 1 KiB, server CPU a delivery", unit: "µs" },
  "flood1k.lost": { title: "flood of 1 KiB, lost", unit: "" },
  "paced1k.cpu_us": { title: "100 a second of 1 KiB, server CPU a delivery", unit: "µs" },
  "paced1k.p99_ms": { title: "100 a second of 1 KiB, latency p99", unit: "ms" },
  "paced1k.lost": { title: "100 a second of 1 KiB, lost", unit: "" },
  "flood8k.cpu_us": { title: "flood of 8 KiB, server CPU a delivery", unit: "µs" },
  "flood8k.lost": { title: "flood of 8 KiB, lost", unit: "" },
  "paced8k.cpu_us": { title: "100 a second of 8 KiB, server CPU a delivery", unit: "µs" },
  "paced8k.p99_ms": { title: "100 a second of 8 KiB, latency p99", unit: "ms" },
  "paced8k.lost": { title: "100 a second of 8 KiB, lost", unit: "" },
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
  "room64.up_bytes": { title: "room of 64, bytes a message of 128 up", unit: "" },
  "room64.down_bytes": { title: "room of 64, bytes a message of 128 down to each", unit: "" },
  "room64.ack_bytes": { title: "room of 64, bytes with which each acknowledges it", unit: "" },
  "room64.up1k_bytes": { title: "room of 64, bytes a text of 1 KiB up", unit: "" },
  "room64.down1k_bytes": { title: "room of 64, bytes a text of 1 KiB down to each", unit: "" },
  "room64.ack1k_bytes": { title: "room of 64, bytes with which each acknowledges that", unit: "" },
  "room64.up8k_bytes": { title: "room of 64, bytes a text of 8 KiB up", unit: "" },
  "room64.down8k_bytes": { title: "room of 64, bytes a text of 8 KiB down to each", unit: "" },
  "room64.ack8k_bytes": { title: "room of 64, bytes with which each acknowledges that", unit: "" },
  "room64.at2_relay_cpu_ms": { title: "64 clients, 2 a second, relay's CPU a message", unit: "ms" },
  "room64.at2_sender_cpu_ms": {
    title: "64 clients, 2 a second, sender's CPU a message",
    unit: "ms",
  },
  "room64.at2_others_cpu_ms": {
    title: "64 clients, 2 a second, CPU of all receivers a message",
    unit: "ms",
  },
  "room64.at10_relay_cpu_ms": {
    title: "64 clients, 10 a second, relay's CPU a message",
    unit: "ms",
  },
  "room64.at10_sender_cpu_ms": {
    title: "64 clients, 10 a second, sender's CPU a message",
    unit: "ms",
  },
  "room64.at10_others_cpu_ms": {
    title: "64 clients, 10 a second, CPU of all receivers a message",
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
  "move.12_quit_s": { title: "12 people, the host quits, the same", unit: "s" },
  "move.12_alone_s": { title: "11 people, their handshakes alone", unit: "s" },
  "move.64_quit_s": { title: "64 people, the host quits, the same", unit: "s" },
  "move.64_alone_s": { title: "63 people, their handshakes alone", unit: "s" },
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
  "busy.p50_ms": { title: "three flood a room of 64, to the plain screen, p50", unit: "ms" },
  "busy.p95_ms": { title: "three flood a room of 64, to the plain screen, p95", unit: "ms" },
  "busy.max_ms": { title: "three flood a room of 64, to the plain screen, max", unit: "ms" },
  "busy.sent_per_second": { title: "three flood a room of 64, hostile messages", unit: "/s" },
  "busy.lost": { title: "three flood a room of 64, the chat lost the connection", unit: "" },
  "busy_full.p50_ms": { title: "three flood a room of 64, to the full screen, p50", unit: "ms" },
  "busy_full.p95_ms": { title: "three flood a room of 64, to the full screen, p95", unit: "ms" },
  "busy_full.max_ms": { title: "three flood a room of 64, to the full screen, max", unit: "ms" },
  "busy_full.sent_per_second": { title: "the same, hostile messages to the room", unit: "/s" },
  "busy_full.lost": { title: "the same, the chat lost the connection", unit: "" },
  "storm.calm_p99_ms": { title: "before a storm, latency p99", unit: "ms" },
  "storm.m1.join_ms": { title: "storm of 150 first messages a second, a join, median", unit: "ms" },
  "storm.m1.join_max_ms": {
    title: "storm of 150 first messages a second, a join, longest",
    unit: "ms",
  },
  "storm.m1.p50_ms": { title: "storm of 150 first messages a second, latency p50", unit: "ms" },
  "storm.m1.p99_ms": { title: "storm of 150 first messages a second, latency p99", unit: "ms" },
  "storm.m1.cpu_percent": {
    title: "storm of 150 first messages a second, server CPU, share of a core",
    unit: "%",
  },
  "storm.m1.per_second": { title: "storm of 150 first messages a second, connections", unit: "/s" },
  "storm.half.join_ms": { title: "storm of half first messages, a join, median", unit: "ms" },
  "storm.half.join_max_ms": { title: "storm of half first messages, a join, longest", unit: "ms" },
  "storm.half.p50_ms": { title: "storm of half first messages, latency p50", unit: "ms" },
  "storm.half.p99_ms": { title: "storm of half first messages, latency p99", unit: "ms" },
  "storm.half.cpu_percent": {
    title: "storm of half first messages, server CPU, share of a core",
    unit: "%",
  },
  "storm.half.per_second": { title: "storm of half first messages, connections", unit: "/s" },
  "storm.nothing.join_ms": { title: "storm of silent connections, a join, median", unit: "ms" },
  "storm.nothing.join_max_ms": {
    title: "storm of silent connections, a join, longest",
    unit: "ms",
  },
  "storm.nothing.p50_ms": { title: "storm of silent connections, latency p50", unit: "ms" },
  "storm.nothing.p99_ms": { title: "storm of silent connections, latency p99", unit: "ms" },
  "storm.nothing.cpu_percent": {
    title: "storm of silent connections, server CPU, share of a core",
    unit: "%",
  },
  "storm.nothing.per_second": { title: "storm of silent connections, connections", unit: "/s" },
  "pour.p50_ms": { title: "room of 64, 3 send all they can, another's latency p50", unit: "ms" },
  "pour.p99_ms": { title: "room of 64, 3 send all they can, another's latency p99", unit: "ms" },
  "pour.per_second": { title: "room of 64, 3 send all they can, deliveries", unit: "/s" },
  "pour.closed": { title: "room of 64, 3 send all they can, members closed", unit: "" },
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
  { metric: "room64.ms", of: { metric: "room64.rsa_ms" }, atMost: 1.5 },
];
