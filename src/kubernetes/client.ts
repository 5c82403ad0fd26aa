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
   * Applies fields of an object as `fieldManager` (server-side apply), and creates one that is not
   * there. Fields that somebody else has set to another value are theirs: then nothing is changed.
   *
   * @throws {Fault} `kubernetes-failed`, with status 409 for such fields and for an object that is
   * gone or has another uid, and with status 0 when no answer came.
   */
  readonly apply: (path: string, fields: object, signal?: AbortSignal) => Promise<void>;
  /**
   * Opens a watch and yields each line of it, parsed. Ends when the server ends it, or when nothing
   * came for `apiSilentMs`: a healthy server sends a bookmark each minute, so the connection has died
   * unnoticed.
   *
   * @throws {Fault} `kubernetes-failed`, when it is refused or breaks off.
   */
  readonly watch: (path: string, query: Query, options: WatchOptions) => AsyncIterable<unknown>;
}

/** Whose fields are those that this process applies; the API server writes it beside each. */
export const fieldManager = "keda-gpu-scaler";

export function kubernetesClient(access: KubernetesAccess, clock: Clock): KubernetesClient {
  const open = opener(access);

  const ask = async (
    path: string,
    query: Query,
    signal: AbortSignal | undefined,
    applied?: string,
  ) => {
    const timer = silenceTimer(clock, signal);
    timer.within(apiAnswerMs);
    const verb = applied === undefined ? "get" : "patch";
    try {
      const response = await open(path, query, timer.signal, applied);
      const text = await textOf(response);
      // An object that was not there is created by what is applied.
      const isDone = response.statusCode === 200 || response.statusCode === 201;
      if (!isDone) throw refused(verb, path, response, text);
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw failure(verb, path, timer.expired() ? `no answer within ${apiAnswerMs} ms` : cause);
    } finally {
      timer.cancel();
    }
  };

  const get = (path: string, query: Query = {}, signal?: AbortSignal) => ask(path, query, signal);

  const apply = async (path: string, fields: object, signal?: AbortSignal) => {
    await ask(path, { fieldManager, force: "false" }, signal, JSON.stringify(fields));
  };

  async function* watch(path: string, query: Query, { opened, signal }: WatchOptions) {
    const timer = silenceTimer(clock, signal);
    timer.within(apiAnswerMs);
    let isOpen = false;
    try {
      const response = await open(path, { ...query, watch: 1 }, timer.signal);
      if (response.statusCode !== 200) throw refused("get", path, response, await textOf(response));
      isOpen = true;
      opened();
      timer.within(apiSilentMs);
      yield* events(response, () => timer.within(apiSilentMs));
    } catch (cause) {
      if (isOpen && timer.expired()) return;
      throw failure("get", path, timer.expired() ? `no answer within ${apiAnswerMs} ms` : cause);
    } finally {
      timer.cancel();
      timer.abort();
    }
  }

  return { get, apply, watch };
}

/** Sends a request, and waits for the head of its answer. */
function opener(access: KubernetesAccess) {
  /** @param applied Fields to apply, as JSON. */
  return async (path: string, query: Query, signal: AbortSignal, applied?: string) => {
    const url = new URL(access.server + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, `${value}`);
    const { headers: own, ...credentials } = await access.credentials();
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const method = applied === undefined ? "GET" : "PATCH";
    return new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { accept: "application/json", ...own, ...contentHeaders(applied) };
      const sent = send(url, { ...credentials, method, headers, signal }, resolve);
      sent.on("error", reject);
      sent.end(applied);
    });
  };
}

/** JSON is YAML, and by the name of the latter the API server knows server-side apply. */
function contentHeaders(applied: string | undefined) {
  if (applied === undefined) return {};
  const contentType = "application/apply-patch+yaml";
  return { "content-type": contentType, "content-length": Buffer.byteLength(applied) };
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

type Verb = "get" | "patch";

/** What to do about a status, where that is known. */
const advice: Readonly<Record<number, string>> = {
  401: "check that the ServiceAccount's token is mounted and belongs to this cluster",
  404: "check that its kind is installed and that it exists",
  409: "fields that somebody else has set are left alone",
  410: "the list begins anew",
  429: "the API server is busy; it is asked again later",
};

/** What the chart's ClusterRole grants: scales are read, kinds are discovered, the rest is watched. */
function grant(verb: Verb, path: string): string {
  const reads = path.endsWith("/scale") ? "get" : "list and watch";
  // Whoever applies an event creates it, unless it is there.
  const writes = path.includes("/events/") ? "create and patch" : "patch";
  const verbs = verb === "patch" ? writes : reads;
  return groupVersion.test(path)
    ? "bind the ClusterRole system:discovery to this ServiceAccount"
    : `grant ${verbs} on it to this ServiceAccount`;
}

const groupVersion = /^\/(api|apis\/[^/]+)\/[^/]+$/;

function refused(
  verb: Verb,
  path: string,
  { statusCode = 0, headers }: IncomingMessage,
  text: string,
): Fault {
  const next =
    statusCode === 403 ? grant(verb, path) : (advice[statusCode] ?? "it is asked again later");
  const retryAfterSeconds = Number(headers["retry-after"] ?? Number.NaN);
  return new Fault(
    "kubernetes-failed",
    `Cannot ${verb} ${path}: status ${statusCode}, ${statusMessage(text)}; ${next}`,
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

function failure(verb: Verb, path: string, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault(
    "kubernetes-failed",
    `Cannot ${verb} ${path}: ${messageOf(cause)}; check that the API server can be reached`,
    { path, status: 0 },
    cause,
  );
}
