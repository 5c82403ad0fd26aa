/**
 * One bounded GET: a fixed address, one deadline for everything, a cap on the bytes before and
 * after decompression, and no way to be sent elsewhere.
 *
 * @module
 */
import { type Agent, type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { isIP } from "node:net";
import { createGunzip } from "node:zlib";
import type { Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { engineBodyBytesMax } from "#core/limits.ts";
import type { ScrapeEndpoint } from "./address-policy.ts";
import type { TargetTls } from "./target.ts";
import { tlsProblem } from "./tls-problem.ts";

/** Takes a body as it comes; `push` may throw to stop it. */
export interface BodySink<Result> {
  readonly push: (chunk: Uint8Array) => void;
  readonly end: () => Result;
}

export interface GetOptions<Result> {
  readonly endpoint: ScrapeEndpoint;
  /** Of an endpoint that is asked over TLS. */
  readonly tls?: TargetTls | undefined;
  readonly path: string;
  /** The `Authorization` header. */
  readonly authorization?: string | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Keeps the connection for the next scrape; it knows the authorities where TLS is spoken. */
  readonly agent: Agent;
  /** What to do about a status; absent: as of an engine that a trigger names. */
  readonly statusHints?: StatusHints | undefined;
  /** @param contentType Without parameters, in lower case. */
  readonly open: (contentType: string) => BodySink<Result>;
}

type StatusHints = Readonly<Record<number, string>>;

const accept = "text/plain;version=0.0.4, application/json;q=0.5, */*;q=0.1";

/**
 * @throws {Fault} `engine-unreachable` with what happened, or what the sink threw.
 */
export async function get<Result>(options: GetOptions<Result>): Promise<Result> {
  const answer = await getOnce(options, options.path);
  if (!("location" in answer)) return answer.result;
  const again = ownSlash(options, answer.location);
  if (again === undefined)
    throw unreachable(
      options,
      `it redirects to ${answer.location}, and only its own path with a slash is followed; give the final path`,
      { status: 302 },
    );
  const second = await getOnce(options, again);
  if ("location" in second) throw unreachable(options, "it redirects in a circle", { status: 302 });
  return second.result;
}

type ResultOrRedirect<Result> = { readonly result: Result } | { readonly location: string };

/**
 * The same without following anything.
 *
 * @throws {Fault} As `get`.
 */
export async function getOnce<Result>(
  options: GetOptions<Result>,
  path: string,
): Promise<ResultOrRedirect<Result>> {
  try {
    return await request(options, path);
  } catch (error) {
    // Also what the runtime throws at once, for a path with a newline in it or such a token.
    if (error instanceof Fault) throw error;
    const { tls } = options;
    const problem = (tls && tlsProblem(error, tls)) ?? messageOf(error);
    throw unreachable(options, problem, { cause: error });
  }
}

function request<Result>(
  options: GetOptions<Result>,
  path: string,
): Promise<ResultOrRedirect<Result>> {
  const { endpoint, tls, authorization, timeoutMs, clock, agent } = options;
  const open = endpoint.isTls ? tlsRequest : plainRequest;
  return new Promise((resolve, reject) => {
    const outgoing = open({
      ...(tls === undefined ? {} : tlsOptions(tls)),
      host: endpoint.address,
      port: endpoint.port,
      path,
      agent,
      headers: {
        host: endpoint.host,
        accept,
        "accept-encoding": "identity",
        "user-agent": "keda-gpu-scaler",
        // Spread, because a header without a value would be sent as "undefined".
        ...(authorization === undefined ? {} : { authorization }),
      },
    });
    const cancel = clock.after(timeoutMs, () =>
      fail(unreachable(options, `it takes longer than ${Math.round(timeoutMs)} ms`)),
    );
    const fail = (reason: unknown): void => {
      cancel();
      outgoing.destroy();
      reject(reason);
    };
    outgoing.on("error", fail);
    outgoing.on("response", (response) => {
      answerOf(options, response).then((answer) => {
        cancel();
        resolve(answer);
      }, fail);
    });
    outgoing.end();
  });
}

/**
 * The certificate is verified for this name; for the address where the name is one, which TLS does not
 * send. A check of our own would keep no connection for the next scrape.
 */
function tlsOptions({ serverName }: TargetTls) {
  return { servername: isIP(serverName) === 0 ? serverName : "", rejectUnauthorized: true };
}

async function answerOf<Result>(
  options: GetOptions<Result>,
  response: IncomingMessage,
): Promise<ResultOrRedirect<Result>> {
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    response.destroy();
    return { location: headers.location };
  }
  if (statusCode !== 200)
    throw unreachable(options, statusText(statusCode, options.statusHints ?? engineHints), {
      status: statusCode,
    });
  const [contentType = ""] = (headers["content-type"] ?? "").toLowerCase().split(";", 1);
  const sink = options.open(contentType.trim());
  await drain(options, response, sink);
  return { result: sink.end() };
}

async function drain(
  options: GetOptions<unknown>,
  response: IncomingMessage,
  sink: BodySink<unknown>,
): Promise<void> {
  let bytesRead = 0;
  const encoding = (response.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (!["identity", "gzip", "x-gzip"].includes(encoding))
    throw unreachable(options, `it answers in ${encoding}, which was not asked for`);
  const gunzip = encoding === "identity" ? undefined : createGunzip();
  // Errors of the connection end the decompressor too, so that its reader does not wait for ever.
  response.on("aborted", () => gunzip?.destroy(new Error("the connection closed early")));
  const body = gunzip === undefined ? response : response.pipe(gunzip);
  for await (const chunk of body) {
    bytesRead += chunk.length;
    if (bytesRead > engineBodyBytesMax) {
      gunzip?.destroy();
      throw unreachable(options, `its page is larger than ${engineBodyBytesMax} bytes`);
    }
    sink.push(chunk);
  }
  if (!response.complete) throw unreachable(options, "the connection closed early");
}

const engineHints: StatusHints = {
  401: "name credentials that may read metrics with engineTokenFile or engineBasicAuthFile",
  403: "its credentials may not read metrics",
  404: "its metrics are on another path, or switched off",
};

function statusText(status: number, hints: StatusHints): string {
  const hint = hints[status];
  return `it answers with status ${status}${hint === undefined ? "" : `; ${hint}`}`;
}

/** The path to follow: only the same one with a slash behind it, on the same host. */
function ownSlash({ endpoint, path }: GetOptions<unknown>, location: string): string | undefined {
  const from = URL.parse(path, `${endpoint.isTls ? "https" : "http"}://${endpoint.host}`);
  const to = URL.parse(location, from?.href);
  return from !== null &&
    to !== null &&
    to.host === from.host &&
    to.protocol === from.protocol &&
    to.pathname === `${from.pathname}/` &&
    to.search === from.search
    ? `${to.pathname}${to.search}`
    : undefined;
}

function unreachable(
  { endpoint, path }: GetOptions<unknown>,
  what: string,
  { status, cause }: { readonly status?: number; readonly cause?: unknown } = {},
): Fault {
  const target = `${endpoint.url}${path}`;
  return new Fault(
    "engine-unreachable",
    `Cannot read metrics of ${target}: ${what}`,
    // Spread, because the status says that something answered, whatever it is.
    { target, ...(status !== undefined && { status }) },
    cause,
  );
}
