/**
 * Drives `client.mjs`, a foreign gRPC client in its own Node.js process, from a test. It knows an
 * address and nothing of the server, so it serves tests of a server in the test's own process and of
 * the compiled binary alike.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** A message as proto-loader prints it: 64-bit integers and enums are text, every field is there. */
export type Json = Readonly<Record<string, unknown>>;

/** How a call ended: `OK`, or gRPC's name of the failure. */
export interface Status {
  readonly code: string;
  readonly details: string;
}
/** A call's end, and its answer when that was `OK`. */
export interface Result {
  readonly code: string;
  readonly details?: string;
  readonly answer?: Json;
}

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ForeignStream extends AsyncDisposable {
  /** The next message; rejects when the stream ends instead. */
  readonly next: () => Promise<Json>;
  /** Everything that came so far and was not taken by `next`. */
  readonly waiting: () => readonly Json[];
  /** Resolves when the stream is over. */
  readonly ended: Promise<Status>;
  readonly send: (message: Json) => Promise<void>;
  readonly finish: () => Promise<void>;
  readonly cancel: () => Promise<void>;
}

/** One channel: grpc-js holds one connection for it, as KEDA does for a scaler address. */
export interface ForeignChannel {
  readonly unary: (
    service: string,
    method: string,
    message?: Json,
    options?: CallOptions,
  ) => Promise<Result>;
  /** The number of calls that ended with each code, after `count` calls at once. */
  readonly burst: (
    count: number,
    service: string,
    method: string,
    message?: Json,
  ) => Promise<Readonly<Record<string, number>>>;
  readonly stream: (
    service: string,
    method: string,
    message?: Json,
    options?: CallOptions,
  ) => Promise<ForeignStream>;
  /** `IDLE`, `CONNECTING`, `READY`, `TRANSIENT_FAILURE` or `SHUTDOWN`. */
  readonly state: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** PEM texts: the authority of the server, and what the client shows of itself. */
export interface ClientTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface ForeignClient extends AsyncDisposable {
  readonly connect: (address: string, options?: Json, tls?: ClientTls) => Promise<ForeignChannel>;
}

/** A line of `client.mjs`: the result of a command, or an event of a stream. */
interface Line extends Partial<Result> {
  readonly id?: number;
  readonly stream?: number;
  readonly event?: "data" | "end";
  readonly failed?: string;
  readonly state?: string;
  readonly codes?: Readonly<Record<string, number>>;
}

function resultOf({ code = "", details, answer }: Line): Result {
  return {
    code,
    ...(details === undefined ? {} : { details }),
    ...(answer === undefined ? {} : { answer }),
  };
}

/** Starts the client's process; disposing ends it. */
export function foreignClient(): ForeignClient {
  const program = fileURLToPath(new URL("./client.mjs", import.meta.url));
  const child = Bun.spawn(["node", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const results = new Map<number, PromiseWithResolvers<Line>>();
  const streams = new Map<number, (event: Line) => void>();
  let lastId = 0;

  const ask = async (command: string, details: Json): Promise<Line> => {
    const id = ++lastId;
    const result = Promise.withResolvers<Line>();
    results.set(id, result);
    child.stdin.write(`${JSON.stringify({ id, do: command, ...details })}\n`);
    await child.stdin.flush();
    return result.promise;
  };
  const take = (line: Line) => {
    if (line.stream !== undefined) return streams.get(line.stream)?.(line);
    const result = results.get(line.id ?? 0);
    results.delete(line.id ?? 0);
    if (line.failed === undefined) result?.resolve(line);
    else result?.reject(new Error(`The foreign client failed: ${line.failed}`));
  };
  const reading = readLines(child.stdout, (text) => take(JSON.parse(text) as Line)).finally(() => {
    for (const { reject } of results.values()) reject(new Error("The foreign client is gone"));
  });

  const openStream = async (details: Json): Promise<ForeignStream> => {
    const stream = ++lastId;
    const opened = foreignStream((command, more = {}) => ask(command, { stream, ...more }));
    streams.set(stream, opened.take);
    await ask("open", { stream, ...details });
    return opened.stream;
  };

  return {
    connect: async (address, options = {}, tls) => {
      const channel = ++lastId;
      await ask("connect", { channel, address, options, tls });
      return {
        unary: async (service, method, message = {}, options = {}) =>
          resultOf(await ask("unary", { channel, service, method, message, ...options })),
        burst: async (count, service, method, message = {}) => {
          const { codes } = await ask("burst", { channel, count, service, method, message });
          return codes ?? {};
        },
        stream: (service, method, message, options = {}) =>
          openStream({ channel, service, method, message, ...options }),
        state: async () => (await ask("state", { channel })).state ?? "none",
        close: async () => void (await ask("close", { channel })),
      };
    },
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
      await reading;
    },
  };
}

function foreignStream(ask: (command: string, more?: Json) => Promise<Line>) {
  const arrived: Json[] = [];
  const wanted: PromiseWithResolvers<Json>[] = [];
  const end = Promise.withResolvers<Status>();
  const ended = (status: Status) => {
    const failure = new Error(`The stream ended: ${status.code} ${status.details}`);
    for (const { reject } of wanted.splice(0)) reject(failure);
    end.resolve(status);
  };
  const take = (line: Line) => {
    const { answer = {}, code = "", details = "" } = line;
    if (line.event === "end") return ended({ code, details });
    const waiting = wanted.shift();
    if (waiting === undefined) arrived.push(answer);
    else waiting.resolve(answer);
  };
  let over = false;
  void end.promise.then(() => {
    over = true;
  });
  const cancel = async () => void (await ask("cancel"));
  const stream: ForeignStream = {
    next: async () => {
      const first = arrived.shift();
      if (first !== undefined) return first;
      if (over) throw new Error("The stream has ended");
      const next = Promise.withResolvers<Json>();
      wanted.push(next);
      return next.promise;
    },
    waiting: () => arrived,
    ended: end.promise,
    send: async (message) => void (await ask("send", { message })),
    finish: async () => void (await ask("finish")),
    cancel,
    [Symbol.asyncDispose]: cancel,
  };
  return { stream, take };
}

async function readLines(bytes: ReadableStream<Uint8Array>, take: (line: string) => void) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
}
