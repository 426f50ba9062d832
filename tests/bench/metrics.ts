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
  "connect.one_ms": { title: "connect, one at a time", unit: "ms" },
  "connect.one_cpu_ms": { title: "connect, server CPU", unit: "ms" },
  "connect.8_ms": { title: "connect, 8 at once", unit: "ms" },
  "connect.8_cpu_ms": { title: "connect 8 at once, server CPU", unit: "ms" },
  "memory.empty_kb": { title: "resident, nobody there", unit: "kB" },
  "memory.idle_kb": { title: "resident, a program that only imports the same", unit: "kB" },
  "memory.50_kb_each": { title: "resident a member, of 50", unit: "kB" },
  "memory.300_kb_each": { title: "resident a member, of 300", unit: "kB" },
  "memory.900_kb_each": { title: "resident a member, of 900", unit: "kB" },
  "client.connected_ms": { title: "client, start to connected", unit: "ms" },
  "client.message_ms": { title: "client, start to first message shown", unit: "ms" },
  "client.connected_cpu_ms": { title: "client, CPU until connected", unit: "ms" },
  "room64.ms": { title: "64 clients, until everybody has everybody", unit: "ms" },
  "room64.rsa_ms": { title: "the RSA operations of that alone", unit: "ms" },
  "room64.send_cpu_ms": { title: "room of 64, sender's CPU a message", unit: "ms" },
  "room64.send20_cpu_ms": { title: "room of 64, sender's CPU a message, 20 in a row", unit: "ms" },
  "room64.send8k_cpu_ms": { title: "room of 64, sender's CPU a text of 8 KiB", unit: "ms" },
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
const inspircd = { server: "inspircd TLS" };
const ncat = { server: "ncat --ssl" };
const sshChat = { server: "ssh-chat" };

/** What the relay and the client are to reach. */
export const TARGETS: readonly Target[] = [
  { metric: "flood.cpu_us", of: ngircd, atMost: 0.25 },
  { metric: "flood.cpu_us", of: ncat, atMost: 0.2 },
  { metric: "flood.cpu_us", of: sshChat, atMost: 0.03 },
  { metric: "paced.cpu_us", of: ngircd, atMost: 1.2 },
  { metric: "paced.cpu_us", of: inspircd, atMost: 1 },
  { metric: "paced.cpu_us", of: ncat, atMost: 1 },
  { metric: "paced.cpu_us", of: sshChat, atMost: 1 },
  { metric: "latency.p99_ms", of: ngircd, atMost: 1 },
  { metric: "connect.one_cpu_ms", of: ngircd, atMost: 2 },
  { metric: "memory.900_kb_each", atMost: 24 },
  { metric: "memory.empty_kb", of: { metric: "memory.idle_kb" }, atMost: 1.3 },
  { metric: "slow.p99_ms", of: { metric: "paced.p99_ms" }, atMost: 1.2 },
  { metric: "client.connected_ms", of: ncat, atMost: 1.3 },
  { metric: "room64.send_cpu_ms", atMost: 1 },
  { metric: "room64.send20_cpu_ms", atMost: 1 },
  { metric: "room64.ms", of: { metric: "room64.rsa_ms" }, atMost: 1.5 },
];
