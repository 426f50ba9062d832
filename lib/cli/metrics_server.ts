/**
 * The HTTP server of `--metrics`: `/metrics` and `/health`.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { CONTENT_TYPE, type Family, writeFamilies } from "../base/exposition.ts";
import { joinPort } from "../base/ip.ts";
import { isLocalWebHost } from "../base/web_host.ts";

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
  const own = Deno.hostname();
  const stopped = new AbortController();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(
      {
        hostname,
        port,
        signal: stopped.signal,
        onListen() {},
        onError: () => new Response(null, { status: 500 }),
      },
      (request) => answer(request, own, page),
    );
  } catch (error) {
    throw listenError(error, joinPort(hostname, port));
  }
  return {
    address: joinPort(hostname, server.addr.port),
    stop: () => stopped.abort(),
  };
}

function answer(
  request: Request,
  own: string,
  { families, isHealthy }: Pick<MetricsOptions, "families" | "isHealthy">,
): Response {
  if (!isLocalWebHost(request.headers.get("host") ?? undefined, own)) {
    return text(421, "unknown host");
  }
  const { pathname } = new URL(request.url);
  if (pathname !== "/metrics" && pathname !== "/health") {
    return text(404, "here are /metrics and /health");
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
  }
  if (pathname === "/health") return isHealthy() ? text(200, "ok") : text(503, "stopping");
  const isOpen = /\bapplication\/openmetrics-text\b/.test(request.headers.get("accept") ?? "");
  const format = isOpen ? "openMetrics" : "prometheus";
  const headers = { "content-type": CONTENT_TYPE[format] };
  return new Response(writeFamilies(families(), format), { headers });
}

function text(status: number, line: string): Response {
  return new Response(`${line}\n`, { status });
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
