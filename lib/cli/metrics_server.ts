/**
 * The HTTP server of `--metrics`: `/metrics` and `/health`.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { CONTENT_TYPE, type Family, writeFamilies } from "../base/exposition.ts";
import { joinPort } from "../base/ip.ts";
import { type WebReply, type WebRequest, WebServer } from "../base/web_server.ts";

interface MetricsOptions {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
  families(): Family[];
  /** The relay listens, and is not stopping. */
  isHealthy(): boolean;
}

/** A server that answers; `address` is `host:port`. */
export interface MetricsServer {
  readonly address: string;
  /** Cuts what is being answered. */
  stop(): void;
}

/**
 * Starts it.
 *
 * @throws {UsageError} When it cannot listen there.
 */
export function serveMetrics({ hostname, port, ...page }: MetricsOptions): MetricsServer {
  let listener: Deno.Listener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (error) {
    throw listenError(error, joinPort(hostname, port));
  }
  const server = new WebServer([listener], (request) => answer(request, page));
  return { address: joinPort(hostname, server.port), stop: () => server.stop() };
}

function answer(
  { path, headers }: WebRequest,
  { families, isHealthy }: Pick<MetricsOptions, "families" | "isHealthy">,
): WebReply {
  if (path === "/health") {
    return isHealthy() ? { status: 200, body: "ok\n" } : { status: 503, body: "stopping\n" };
  }
  if (path !== "/metrics") return { status: 404, body: "here are /metrics and /health\n" };
  const isOpen = /\bapplication\/openmetrics-text\b/.test(headers.get("accept") ?? "");
  const format = isOpen ? "openMetrics" : "prometheus";
  return {
    status: 200,
    headers: { "content-type": CONTENT_TYPE[format] },
    body: writeFamilies(families(), format),
  };
}

function listenError(error: unknown, address: string): unknown {
  if (error instanceof Deno.errors.AddrInUse) {
    return new UsageError(`--metrics: ${address} is taken by another program`, [
      "choose another port, or 0 for a free one",
    ]);
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return new UsageError(`--metrics: ${address} is not an address of this computer`);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new UsageError(`--metrics: ${address} is not allowed`, [
      "ports below 1024 need administrator rights",
    ]);
  }
  return error;
}
