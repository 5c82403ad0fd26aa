/**
 * The HTTP port: probes for the kubelet, metrics for Prometheus, the status for people.
 *
 * @module
 */
import type { ScaledName, StatusViews } from "./status.ts";
import type { StatusStream } from "./status-stream.ts";

export interface HttpOptions {
  readonly bind: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly metrics: { readonly text: () => Promise<string>; readonly contentType: string };
  /** Why the process cannot answer KEDA now; `undefined` when it can. */
  readonly unready: () => string | undefined;
  /** Absent: the status is not shown. */
  readonly status?: HttpStatus | undefined;
}

export interface HttpStatus extends StatusViews {
  /** HTML, with its style and script inside. */
  readonly page: string;
  readonly stream: Pick<StatusStream, "open">;
}

export interface HttpServer {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

const plain = "text/plain; charset=utf-8";
/** What is shown changes all the time, and belongs to nobody but who asked. */
const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/**
 * Starts the HTTP port.
 *
 * `/healthz` answers as long as the main thread runs: a device that hangs is the watchdog's
 * business, and a restart by the kubelet in between would only hide it.
 *
 * @throws when the address is in use or is not this machine's.
 */
export function startHttp(options: HttpOptions): HttpServer {
  const { bind, port, metrics, unready, status } = options;
  const routes: Readonly<Record<string, Route>> = {
    "/healthz": () => text("ok"),
    "/readyz": () => {
      const reason = unready();
      return reason === undefined ? text("ok") : text(`not ready: ${reason}`, 503);
    },
    "/metrics": async () =>
      new Response(await metrics.text(), { headers: { "content-type": metrics.contentType } }),
    ...(status && statusRoutes(status)),
  };
  const known = Object.keys(routes).toSorted().join(", ");
  const server = Bun.serve({
    hostname: bind,
    port,
    routes,
    fetch: () => text(`not found; there are ${known}`, 404),
  });
  return { port: server.port ?? port, stop: () => server.stop(true) };
}

type Route = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>;

function statusRoutes({
  status,
  history,
  explain,
  advice,
  stream,
  page,
}: HttpStatus): Readonly<Record<string, Route>> {
  const pageHeaders = {
    ...headers,
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": contentPolicy(page),
    "referrer-policy": "no-referrer",
  };
  return {
    "/": () => new Response(page, { headers: pageHeaders }),
    "/api/status": () => Response.json(status(), { headers }),
    "/api/history": () => Response.json(history(), { headers }),
    "/api/explain": ({ url }) => {
      const object = objectOf(url);
      return object === undefined ? unnamed() : Response.json(explain(object), { headers });
    },
    "/api/advice": ({ url }) => {
      const object = objectOf(url);
      if (object === undefined && new URL(url).search !== "") return unnamed();
      return Response.json(advice(object), { headers });
    },
    "/api/events": (request, server) => {
      const events = stream.open();
      if (events === undefined) return text("too many watch already; close one of them", 503);
      // It says nothing while nothing changes.
      server.timeout(request, 0);
      return new Response(events, {
        headers: { ...headers, "content-type": "text/event-stream" },
      });
    },
  };
}

function objectOf(url: string): ScaledName | undefined {
  const { searchParams } = new URL(url);
  const [namespace, name] = ["namespace", "name"].map((key) => searchParams.get(key));
  return namespace && name ? { namespace, name } : undefined;
}

function unnamed(): Response {
  return text("say which: ?namespace=…&name=… of a ScaledObject or ScaledJob", 400);
}

/** The page may run its own script and style and ask its own server, and nothing else. */
function contentPolicy(page: string): string {
  const sources = (tag: "script" | "style") =>
    [...page.matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, "g"))]
      .map(([, inline = ""]) => `'sha256-${Bun.CryptoHasher.hash("sha256", inline, "base64")}'`)
      .join(" ");
  return [
    "default-src 'none'",
    `script-src ${sources("script")}`,
    `style-src ${sources("style")}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function text(body: string, status = 200): Response {
  return new Response(`${body}\n`, { status, headers: { "content-type": plain } });
}
