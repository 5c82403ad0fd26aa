import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { apiAnswerBytesMax, apiAnswerMs, apiSilentMs } from "#core/limits.ts";
import type { KubernetesAccess } from "./access.ts";

/** Values of a query; `undefined` is left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

export interface WatchOptions {
  /** Runs when the server has agreed to watch. */
  readonly opened: () => void;
  readonly signal: AbortSignal;
}

/** The few verbs that we need, over sockets of our own: Bun's `fetch` allows 256 at once. */
export interface KubernetesClient {
  /**
   * @returns The parsed answer.
   * @throws {Fault} `kubernetes-failed`, with status 0 when no answer came.
   */
  readonly get: (path: string, query?: Query, signal?: AbortSignal) => Promise<unknown>;
  /**
   * Opens a watch and yields each line of it, parsed. Ends when the server ends it, or when nothing
   * came for `apiSilentMs`: a healthy server sends a bookmark each minute, so the connection has died
   * unnoticed.
   *
   * @throws {Fault} `kubernetes-failed`, when it is refused or breaks off.
   */
  readonly watch: (path: string, query: Query, options: WatchOptions) => AsyncIterable<unknown>;
}

export function kubernetesClient(access: KubernetesAccess, clock: Clock): KubernetesClient {
  const open = async (path: string, query: Query, signal: AbortSignal) => {
    const url = new URL(access.server + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, `${value}`);
    const { headers, ...credentials } = await access.credentials();
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    return new Promise<IncomingMessage>((resolve, reject) => {
      const accept = { accept: "application/json", ...headers };
      const sent = send(url, { ...credentials, headers: accept, signal }, resolve);
      sent.on("error", reject);
      sent.end();
    });
  };

  const get = async (path: string, query: Query = {}, signal?: AbortSignal) => {
    const timer = silenceTimer(clock, signal);
    timer.within(apiAnswerMs);
    try {
      const response = await open(path, query, timer.signal);
      const text = await textOf(response);
      if (response.statusCode !== 200) throw refused(path, response, text);
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw failure(path, timer.expired() ? `no answer within ${apiAnswerMs} ms` : cause);
    } finally {
      timer.cancel();
    }
  };

  async function* watch(path: string, query: Query, { opened, signal }: WatchOptions) {
    const timer = silenceTimer(clock, signal);
    timer.within(apiAnswerMs);
    let isOpen = false;
    try {
      const response = await open(path, { ...query, watch: 1 }, timer.signal);
      if (response.statusCode !== 200) throw refused(path, response, await textOf(response));
      isOpen = true;
      opened();
      timer.within(apiSilentMs);
      yield* events(response, () => timer.within(apiSilentMs));
    } catch (cause) {
      if (isOpen && timer.expired()) return;
      throw failure(path, timer.expired() ? `no answer within ${apiAnswerMs} ms` : cause);
    } finally {
      timer.cancel();
      timer.abort();
    }
  }

  return { get, watch };
}

async function* events(response: IncomingMessage, received: () => void): AsyncGenerator<unknown> {
  const lines = lineSplitter();
  for await (const chunk of response) {
    received();
    for (const line of lines(chunk as Buffer)) yield JSON.parse(line) as unknown;
  }
}

/** A signal that also aborts when `within` is not called again in time. */
function silenceTimer(clock: Clock, outer: AbortSignal | undefined) {
  const silence = new AbortController();
  let cancel = () => {};
  let expired = false;
  return {
    signal: outer === undefined ? silence.signal : AbortSignal.any([outer, silence.signal]),
    within: (limitMs: number) => {
      cancel();
      cancel = clock.after(limitMs, () => {
        expired = true;
        silence.abort();
      });
    },
    expired: () => expired,
    cancel: () => cancel(),
    abort: () => silence.abort(),
  };
}

/** Cuts a stream of bytes at line ends; what follows the last one waits for the next chunk. */
function lineSplitter(): (chunk: Buffer) => readonly string[] {
  const newline = 0x0a;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  return (chunk) => {
    if (pendingBytes + chunk.length > apiAnswerBytesMax)
      throw new Error(`one event is larger than ${apiAnswerBytesMax} bytes`);
    const end = chunk.lastIndexOf(newline);
    if (end === -1) {
      pending.push(chunk);
      pendingBytes += chunk.length;
      return [];
    }
    const text = Buffer.concat([...pending, chunk.subarray(0, end)]).toString();
    pending = [chunk.subarray(end + 1)];
    pendingBytes = chunk.length - end - 1;
    return text.split("\n").filter((line) => line !== "");
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > apiAnswerBytesMax)
      throw new Error(`the answer is larger than ${apiAnswerBytesMax} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

/** What to do about a status, where that is known. */
const advice: Readonly<Record<number, string>> = {
  401: "check that the ServiceAccount's token is mounted and belongs to this cluster",
  404: "check that its kind is installed and that it exists",
  410: "the list begins anew",
  429: "the API server is busy; it is asked again later",
};

/** What the chart's ClusterRole grants: scales are read, kinds are discovered, the rest is watched. */
function grant(path: string): string {
  const verbs = path.endsWith("/scale") ? "get" : "list and watch";
  return groupVersion.test(path)
    ? "bind the ClusterRole system:discovery to this ServiceAccount"
    : `grant ${verbs} on it to this ServiceAccount`;
}

const groupVersion = /^\/(api|apis\/[^/]+)\/[^/]+$/;

function refused(path: string, { statusCode = 0, headers }: IncomingMessage, text: string): Fault {
  const next = statusCode === 403 ? grant(path) : (advice[statusCode] ?? "it is asked again later");
  const retryAfterSeconds = Number(headers["retry-after"] ?? Number.NaN);
  return new Fault(
    "kubernetes-failed",
    `Cannot get ${path}: status ${statusCode}, ${statusMessage(text)}; ${next}`,
    {
      path,
      status: statusCode,
      retryAfterMs: Number.isFinite(retryAfterSeconds) ? retryAfterSeconds * 1_000 : undefined,
    },
  );
}

function statusMessage(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: string };
    return message ?? "no message";
  } catch {
    // A proxy between us and the API server answers in words of its own.
    return text.slice(0, 200);
  }
}

function failure(path: string, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault(
    "kubernetes-failed",
    `Cannot get ${path}: ${messageOf(cause)}; check that the API server can be reached`,
    { path, status: 0 },
    cause,
  );
}
