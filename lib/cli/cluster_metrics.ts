/**
 * What `--metrics` serves of a cluster. Nothing in it names a person, an address or a room. Loaded with both options only.
 *
 * @module
 */

import { counter, type Family, gauge } from "../base/exposition.ts";
import type { ClusterNumbers } from "./run_cluster.ts";

/** The families of a server that is one of several. */
export function clusterFamilies(numbers: ClusterNumbers): Family[] {
  const of = (name: string) => numbers[name]!;
  return [
    gauge("hearth_cluster_servers", "Servers of the cluster that live.", of("servers")),
    gauge("hearth_cluster_members", "Members of all servers of the cluster.", of("members")),
    gauge("hearth_cluster_rooms", "Rooms with members on any server.", of("rooms")),
    gauge(
      "hearth_cluster_held_senders",
      "Members from whom nothing is read because a link to another server is full.",
      of("held"),
    ),
    counter("hearth_cluster_sent", "Deliveries to members on other servers.", of("sent")),
    counter("hearth_cluster_received", "Deliveries from members on others.", of("received")),
    counter("hearth_cluster_messages_in", "Messages of other servers.", of("messages")),
    counter("hearth_cluster_messages_out", "Messages to other servers.", of("messagesOut")),
    counter("hearth_cluster_bytes_in", "Bytes from other servers.", of("bytesIn")),
    counter("hearth_cluster_bytes_out", "Bytes to other servers.", of("bytesOut")),
    counter("hearth_cluster_gaps", "Messages of others that came too early.", of("gaps")),
    counter("hearth_cluster_malformed", "Messages that no server makes.", of("malformed")),
    counter("hearth_cluster_writes", "Rosters that were written.", of("written")),
    counter("hearth_cluster_conflicts", "Writes that another one forestalled.", of("conflict")),
    counter("hearth_cluster_unknown_writes", "Writes without an answer.", of("unknown")),
    counter("hearth_cluster_fenced", "Times the others took it for dead.", of("fenced")),
    counter("hearth_cluster_alone", "Times it went on without NATS.", of("alone")),
    counter("hearth_cluster_reconnects", "Connections to NATS after the first.", of("reconnects")),
    counter("hearth_cluster_away_seconds", "Time without NATS.", of("awaySeconds")),
  ];
}
