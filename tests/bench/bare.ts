/**
 * The least that a chat server on Deno can do: what comes from one is written to all others, as it is. No encryption, no
 * protocol, no limits; what the runtime's sockets cost without any of ours.
 *
 * @module
 */

const others = new Set<Deno.TcpConn>();

async function serve(conn: Deno.TcpConn): Promise<void> {
  conn.setNoDelay();
  others.add(conn);
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (let length; (length = await conn.read(buffer)) !== null;) {
      const bytes = buffer.slice(0, length);
      for (const other of others) if (other !== conn) other.write(bytes).catch(() => {});
    }
  } catch {
    // cut
  }
  others.delete(conn);
}

const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
for await (const conn of listener) void serve(conn as Deno.TcpConn);
