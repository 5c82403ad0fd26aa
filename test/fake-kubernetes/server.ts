/**
 * A Kubernetes API server on loopback, small but with the real one's manners: versions, chunked
 * watches, bookmarks, 410 after compaction, `/scale`, discovery and bearer tokens.
 *
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
 *
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type TestCertificate, testAuthority } from "../support/certificates.ts";
import { writeKubeconfig, writeServiceAccount } from "./credentials.ts";
import { type Kind, type KubernetesObject, usualKinds } from "./kinds.ts";
import { route } from "./route.ts";
import { statusObject } from "./status.ts";
import { type ObjectRef, objectStore } from "./store.ts";
import { watches } from "./watches.ts";

export interface FakeKubernetesOptions {
  /** Serves HTTPS with a certificate authority of its own. */
  readonly tls?: boolean;
  /** 0, the default: a free one. */
  readonly port?: number;
  /** The bearer token that requests must carry; absent: any request is let in. */
  readonly token?: string;
  readonly kinds?: readonly Kind[];
}

/** One request as it came. */
export interface RequestRecord {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly status: number;
}

export interface FakeKubernetes {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly caPem?: string;
  /** Every request that was answered, in order; a watch counts when it begins. */
  readonly requests: readonly RequestRecord[];
  readonly openWatches: () => number;
  /** Creates the object or replaces it. */
  readonly apply: (...objects: readonly KubernetesObject[]) => void;
  readonly remove: (ref: ObjectRef) => boolean;
  /** Events as they are now. */
  readonly events: () => readonly KubernetesObject[];
  /** Sends every open watch a bookmark with the newest version. */
  readonly bookmark: () => void;
  /** Forgets history: older versions get 410, as an event in the watch or as the answer's status. */
  readonly compact: (how?: "event" | "status") => void;
  /** Ends every open watch with an error event. */
  readonly failWatches: (code: number, message: string) => void;
  /** Cuts every open watch in the middle of a line. */
  readonly disconnect: () => void;
  /** Lets requests in only with this token from now on; open watches stay, as in the real one. */
  readonly setToken: (token: string) => void;
  /** Every answer waits this long, until it is set again. */
  readonly setDelay: (delayMs: number) => void;
  /** Ends watches after this time, whatever they asked for; `undefined` ends none early. */
  readonly setWatchLimit: (limitMs: number | undefined) => void;
  /** The most requests for paths with this ending that were in work together; of all for "". */
  readonly mostAtOnce: (ending: string) => number;
  /** Answers requests whose path matches with this status, until it is called with nothing. */
  readonly fail: (rule?: FailRule) => void;
  /** Closes the port and every connection. */
  readonly goAway: () => Promise<void>;
  /** Listens on the same port again; objects are still there. */
  readonly comeBack: () => Promise<void>;
  readonly writeKubeconfig: (path: string) => Promise<void>;
  /** Writes `ca.crt`, `token` and `namespace`, as a pod finds them. */
  readonly writeServiceAccount: (directory: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface FailRule {
  readonly path: RegExp;
  readonly status: number;
  readonly retryAfterSeconds?: number;
  /** In place of the JSON that the API server itself sends. */
  readonly text?: string;
}

export async function startFakeKubernetes(
  options: FakeKubernetesOptions = {},
): Promise<FakeKubernetes> {
  const store = objectStore(options.kinds ?? usualKinds);
  const open = watches(store);
  const authority = options.tls ? testAuthority() : undefined;
  const certificate = authority?.issue({ commonName: "localhost" });
  const requests: RequestRecord[] = [];
  let { token } = options;
  const inWork = countsByEnding();
  let delayMs = 0;
  let watchLimitMs: number | undefined;
  let failRule: FailRule | undefined;
  let expired: "event" | "status" = "event";
  let server: Server | undefined;
  const sockets = new Set<Socket>();

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://fake");
    const ending = url.pathname.split("/").at(-1) ?? "";
    for (const counted of new Set([ending, ""])) {
      inWork.begin(counted);
      response.on("close", () => inWork.end(counted));
    }
    if (delayMs > 0) await Bun.sleep(delayMs);
    const body = await bodyOf(request);
    const record = (status: number) =>
      requests.push({
        method: request.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        status,
      });
    const sendText = (status: number, text: string, headers: Record<string, string> = {}) => {
      record(status);
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(text);
    };
    const send = (status: number, content: unknown) => sendText(status, JSON.stringify(content));
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
      return send(401, statusObject(401, "Unauthorized"));
    if (failRule?.path.test(url.pathname))
      return sendText(failRule.status, failureText(failRule), failureHeaders(failRule));
    const answer = route(store, { method: request.method ?? "GET", url, body, expired });
    if (answer.type === "json") return send(answer.status, answer.content);
    record(200);
    open.begin(response, answer.watch, watchLimitMs);
  };

  const listen = async (port: number) => {
    const started = serverFor(certificate, (request, response) => {
      handle(request, response).catch((cause: unknown) => {
        response.destroy(cause instanceof Error ? cause : new Error(`${cause}`));
      });
    });
    started.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      started.once("error", reject);
      started.listen(port, "127.0.0.1", resolve);
    });
    server = started;
    return (started.address() as AddressInfo).port;
  };
  const goAway = async () => {
    const stopping = server;
    server = undefined;
    open.disconnect();
    if (stopping === undefined) return;
    // Under Bun the callback of close() may never run after connections were cut in a handshake; the
    // port is closed when close() returns.
    stopping.close();
    stopping.closeAllConnections();
    for (const socket of sockets) socket.destroy();
    await Bun.sleep(0);
  };

  const port = await listen(options.port ?? 0);
  const url = `${authority === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  const caPem = authority?.caPem;
  const credentials = () => ({
    url,
    ...(caPem === undefined ? {} : { caPem }),
    ...(token === undefined ? {} : { token }),
  });

  return {
    url,
    host: "127.0.0.1",
    port,
    ...(caPem === undefined ? {} : { caPem }),
    requests,
    openWatches: open.count,
    apply: (...objects) => {
      for (const object of objects) store.apply(object);
    },
    remove: store.remove,
    events: () =>
      store.kinds.filter(({ kind }) => kind === "Event").flatMap((kind) => store.list(kind)),
    bookmark: open.bookmark,
    compact: (how = "event") => {
      expired = how;
      store.compact();
    },
    failWatches: open.fail,
    disconnect: open.disconnect,
    setToken: (next) => {
      token = next;
    },
    setDelay: (next) => {
      delayMs = next;
    },
    setWatchLimit: (limitMs) => {
      watchLimitMs = limitMs;
    },
    mostAtOnce: inWork.most,
    fail: (rule) => {
      failRule = rule;
    },
    goAway,
    comeBack: async () => {
      await listen(port);
    },
    writeKubeconfig: (path) => writeKubeconfig(path, credentials()),
    writeServiceAccount: (directory) => writeServiceAccount(directory, credentials()),
    stop: goAway,
  };
}

function failureText({ status, text }: FailRule): string {
  return text ?? JSON.stringify(statusObject(status, "the test asked for this"));
}

function failureHeaders({ retryAfterSeconds }: FailRule): Record<string, string> {
  return retryAfterSeconds === undefined ? {} : { "retry-after": `${retryAfterSeconds}` };
}

function countsByEnding() {
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  return {
    begin: (ending: string) => {
      const count = (now.get(ending) ?? 0) + 1;
      now.set(ending, count);
      most.set(ending, Math.max(most.get(ending) ?? 0, count));
    },
    end: (ending: string) => {
      now.set(ending, (now.get(ending) ?? 0) - 1);
    },
    most: (ending: string) => most.get(ending) ?? 0,
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function serverFor(certificate: TestCertificate | undefined, handler: Handler): Server {
  if (certificate === undefined) return createServer(handler);
  return createTlsServer({ cert: certificate.certPem, key: certificate.keyPem }, handler);
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}
