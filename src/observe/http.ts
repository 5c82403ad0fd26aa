/**
 * The HTTP port: probes for the kubelet, metrics for Prometheus.
 *
 * @module
 */
export interface HttpOptions {
  readonly bind: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly metrics: { readonly text: () => Promise<string>; readonly contentType: string };
  /** Why the process cannot answer KEDA now; `undefined` when it can. */
  readonly unready: () => string | undefined;
}

export interface HttpServer {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/**
 * Starts the HTTP port.
 *
 * `/healthz` answers as long as the main thread runs: a device that hangs is the watchdog's
 * business, and a restart by the kubelet in between would only hide it.
 *
 * @throws when the address is in use or is not this machine's.
 */
export function startHttp({ bind, port, metrics, unready }: HttpOptions): HttpServer {
  const text = (body: string, status = 200, contentType = "text/plain; charset=utf-8") =>
    new Response(`${body}\n`, { status, headers: { "content-type": contentType } });

  const server = Bun.serve({
    hostname: bind,
    port,
    routes: {
      "/healthz": () => text("ok"),
      "/readyz": () => {
        const reason = unready();
        return reason === undefined ? text("ok") : text(`not ready: ${reason}`, 503);
      },
      "/metrics": async () =>
        new Response(await metrics.text(), { headers: { "content-type": metrics.contentType } }),
    },
    fetch: () => text("not found; there are /healthz, /readyz and /metrics", 404),
  });
  return { port: server.port ?? port, stop: () => server.stop(true) };
}
