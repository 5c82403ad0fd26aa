import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { type Clock, systemClock } from "#core/clock.ts";
import type { Fault } from "#core/fault.ts";
import {
  engineBodyBytesMax,
  engineHoldMs,
  engineScrapesShare,
  engineTargetsShare,
} from "#core/limits.ts";
import { slots } from "#core/slots.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { type EngineScraper, engineScraper } from "#engine/scrape/scraper.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import { fixture, queryFor } from "./pages.ts";

type Respond = (socket: Socket, path: string, head: string) => void;
interface Upstream {
  readonly port: number;
  readonly paths: string[];
  readonly connections: () => number;
  readonly open: () => number;
  respond: Respond;
}

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A server that says exactly the bytes it is told to. */
async function upstream(respond: Respond): Promise<Upstream> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const paths: string[] = [];
  const own = { respond };
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (data) => {
      const head = data.toString();
      const [, path = ""] = head.split(" ");
      paths.push(path);
      own.respond(socket, path, head);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return Object.assign(own, {
    port,
    paths,
    connections: () => connections,
    open: () => sockets.size,
  });
}

/** A port on which nothing listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

const ok = (body: string | Buffer, type = "text/plain; version=0.0.4", more = ""): Respond => {
  const bytes = Buffer.from(body);
  return (socket) =>
    socket.write(
      Buffer.concat([
        Buffer.from(
          `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${more}Content-Length: ${bytes.length}\r\n\r\n`,
        ),
        bytes,
      ]),
    );
};
const status =
  (code: number, more = ""): Respond =>
  (socket) =>
    socket.write(`HTTP/1.1 ${code} Any\r\n${more}Content-Length: 0\r\n\r\n`);
const page = (waiting: number) =>
  `vllm:num_requests_waiting ${waiting}\nvllm:num_requests_running 1\n`;

interface Setup {
  readonly scraper: EngineScraper;
  readonly target: ScrapeTarget;
  readonly read: () => EngineReading;
  /** Lets the clock jump, as a long silence would. */
  readonly jump: (ms: number) => void;
}
interface SetupOptions {
  readonly path?: string;
  readonly timeoutMs?: number;
  readonly engine?: string;
  readonly tokenFile?: string;
  readonly readFile?: (path: string) => Promise<string>;
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  readonly host?: string;
  readonly intervalMs?: number;
  readonly random?: () => number;
  readonly clock?: Clock;
  readonly scraped?: () => void;
}

function setup({ port }: { readonly port: number }, options: SetupOptions = {}): Setup {
  const { path = "/metrics", timeoutMs = 2_000, host = "127.0.0.1", intervalMs = 20 } = options;
  const real = options.clock ?? systemClock();
  let offsetMs = 0;
  const clock: Clock = { ...real, monotonicMs: () => real.monotonicMs() + offsetMs };
  const scraper = engineScraper({
    clock,
    log: () => {},
    random: options.random ?? (() => 0),
    ...(options.scraped && { scraped: options.scraped }),
    rules: {
      allow: [host],
      clusterDomain: "cluster.local",
      resolve: options.resolve ?? (() => Promise.resolve(["127.0.0.1"])),
    },
    readFile: options.readFile ?? (() => Promise.reject(new Error("no file"))),
    timeoutMs,
    intervalMs,
    gatewayMs: 10,
  });
  cleanups.push(scraper.stop);
  const target: ScrapeTarget = {
    at: { url: `http://${host}:${port}${path}`, namespace: "shop" },
    ...(options.engine && { engine: options.engine }),
    ...(options.tokenFile && { tokenFile: options.tokenFile }),
  };
  return {
    scraper,
    target,
    read: () => scraper.read(target, queryFor("queue_depth")),
    jump: (ms) => {
      offsetMs += ms;
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}
const known = (reading: EngineReading) => (reading.state === "known" ? reading.value : undefined);
const problemOf = (reading: EngineReading) =>
  reading.state === "absent" && reading.reason === "unreachable" ? reading.fault : undefined;

/** The fault after the first scrape that failed. */
async function failureOf({ read }: Setup): Promise<Fault> {
  await until(() => problemOf(read()) !== undefined);
  const problem = problemOf(read());
  if (problem === undefined) throw new Error("it failed and then did not");
  return problem;
}

describe("a target", () => {
  test("is scraped in the background, once for all readers, over one connection", async () => {
    const server = await upstream(ok(page(7)));
    const { read } = setup(server);
    const target = `http://127.0.0.1:${server.port}/metrics`;
    expect(read()).toMatchObject({
      target,
      state: "absent",
      reason: "pending",
      fault: { code: "data-missing", facts: { known: 0, missing: [target] } },
    });
    await until(() => known(read()) === 7);
    for (let reader = 0; reader < 1_000; reader += 1) read();
    const scrapes = server.paths.length;
    expect(scrapes).toBeLessThan(20);
    await until(() => server.paths.length > scrapes + 3);
    expect(server.connections()).toBe(1);
    expect(read()).toMatchObject({ engine: "vllm", value: 7 });
    expect(read().ageMs).toBeLessThan(2_000);
  });

  test("tells beside what it is read for what waits, runs and is cached, and is not followed for it", async () => {
    const text = `${page(7)}vllm:kv_cache_usage_perc 0.4\n`;
    const server = await upstream(ok(text));
    const { scraper, target, read, jump } = setup(server);
    const queries = ["queue_depth", "running_requests", "kv_cache_usage", "ttft_p95_ms"] as const;
    const peek = () =>
      scraper.peek(
        target,
        queries.map((signal) => queryFor(signal)),
      );
    expect(peek()).toEqual([]);
    expect(scraper.targets()).toEqual([]);
    await until(() => known(read()) === 7);
    const readings = peek();
    expect(readings.map(known)).toEqual([7, 1, 40, undefined]);
    expect(readings[0]).toMatchObject({ engine: "vllm" });
    jump(engineHoldMs + 1);
    peek();
    await until(() => scraper.targets().length === 0);
  });

  test("is forgotten when nobody asks for ten minutes", async () => {
    const server = await upstream(ok(page(7)));
    const { read, jump, scraper } = setup(server);
    await until(() => known(read()) === 7);
    expect(scraper.targets()).toHaveLength(1);
    jump(600_001);
    await until(() => scraper.targets().length === 0);
  });

  test("keeps its last value through failures, then has none, and never 0", async () => {
    const server = await upstream(ok(page(7)));
    const { read, jump, scraper } = setup(server);
    await until(() => known(read()) === 7);
    server.respond = status(500);
    await until(() => scraper.targets()[0]?.failure !== undefined);
    expect(known(read())).toBe(7);
    jump(29_000);
    expect(known(read())).toBe(7);
    jump(1_500);
    expect(problemOf(read())?.message).toContain("it answers with status 500");
    jump(30_000);
    expect(known(read())).toBeUndefined();
    server.respond = ok(page(3));
    await until(() => known(read()) === 3);
  });

  test("is read for the series that a trigger names and its patterns choose", async () => {
    const used = 'used{m="llama-3"} 3\nused{m="gpt"} 50\n';
    const server = await upstream(ok(`${used}slots{m="llama-3"} 4\nslots{m="llama-4"} 8\n`));
    const { scraper, target } = setup(server, { engine: "prometheus" });
    const match = [{ label: "m", op: "=~", value: "llama-.*" }] as const;
    const query = queryFor({ metric: "used", denominator: "slots" }, { match });
    await until(() => known(scraper.read(target, query)) === 0.25);
  });

  test("says what it has when it is asked for what it has not", async () => {
    const server = await upstream(ok(fixture("tei.prom")));
    const { scraper, target } = setup(server);
    const read = () => scraper.read(target, queryFor("kv_cache_usage"));
    await until(() => read().state === "absent" && read().engine === "tei");
    const reading = read();
    expect(reading).toMatchObject({ state: "absent", reason: "unavailable" });
    expect(reading.state === "absent" && reading.fault.code).toBe("signal-unavailable");
    expect(reading.state === "absent" && reading.fault.message).toContain("queue_depth");
  });

  test("of an engine that does not exist is refused with those that do", async () => {
    const server = await upstream(ok(page(7)));
    expect(setup(server, { engine: "vlm" }).read).toThrow("it is one of dynamo-frontend");
  });

  test("behind an open stream is a gateway scraped every second, and is not forgotten", async () => {
    const server = await upstream(ok(fixture("litellm.prom").split("# 60 s later\n")[0] ?? ""));
    const { scraper, target, jump } = setup(server, { engine: "litellm", intervalMs: 600_000 });
    let heard = 0;
    const cancel = scraper.listen(target, () => {
      heard += 1;
    });
    scraper.read(target, queryFor("concurrency"));
    await until(() => heard > 3);
    jump(600_001);
    const now = heard;
    await until(() => heard > now + 2);
    await until(() => known(scraper.read(target, queryFor("concurrency"))) === 18);
    cancel();
    expect(scraper.targets()).toHaveLength(1);
  });

  test("that is followed already is scraped soon once somebody listens", async () => {
    const server = await upstream(ok(fixture("litellm.prom").split("# 60 s later\n")[0] ?? ""));
    // A first scrape, and after it a whole interval of ten minutes.
    let draws = 0;
    const random = () => (draws++ === 1 ? 1 : 0);
    const { scraper, target } = setup(server, { engine: "litellm", intervalMs: 600_000, random });
    await until(() => known(scraper.read(target, queryFor("concurrency"))) === 18);
    expect(server.paths).toHaveLength(1);
    scraper.listen(target, () => {});
    await until(() => server.paths.length > 3);
  });

  test("that nobody reads is let go: its address may be another's by then", async () => {
    const server = await upstream(ok(page(7)));
    const { read, scraper, jump } = setup(server);
    await until(() => known(read()) === 7);
    jump(engineHoldMs);
    read();
    const tries = scraper.targets()[0]?.tries ?? 0;
    await until(() => (scraper.targets()[0]?.tries ?? 0) > tries + 1);
    jump(engineHoldMs + 1);
    await until(() => scraper.targets().length === 0);
  });

  test("is left alone after a stop, also where a scrape was under way", async () => {
    const server = await upstream(() => {});
    let scrapes = 0;
    const { read, scraper } = setup(server, { scraped: () => (scrapes += 1), intervalMs: 10 });
    read();
    await until(() => server.paths.length === 1);
    scraper.stop();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.paths).toHaveLength(1);
    expect(scrapes).toBe(0);
    expect(scraper.scrapes().size).toBe(0);
    expect(read).toThrow("Cannot follow one more engine");
  });

  test("spreads from its second scrape on, however many came together", async () => {
    const server = await upstream(ok(page(7)));
    const delaysMs: number[] = [];
    const real = systemClock();
    const clock: Clock = {
      ...real,
      after: (delayMs, run) => {
        // More is a scrape's time limit. What counts is how long a loop was meant to wait.
        if (delayMs > 600) return real.after(delayMs, run);
        delaysMs.push(delayMs);
        return real.after(0, run);
      },
    };
    const { read } = setup(server, { clock, intervalMs: 600, random: () => 0.25 });
    read();
    await until(() => delaysMs.length > 3);
    const [first, second, ...others] = delaysMs;
    // The first is soon, within the interval of a gateway, which is 10 ms in these tests.
    expect(first).toBe(2.5);
    expect(second).toBe(150);
    for (const delayMs of others) expect(delayMs).toBeWithin(450, 600);
  });

  test("with one address and another owner is another target", async () => {
    const server = await upstream(ok(page(7)));
    const { scraper } = setup(server);
    const at = { podAddress: "127.0.0.1", namespace: "shop", ports: [server.port] };
    for (const owner of ["uid-1", "uid-2"])
      scraper.read({ at: { ...at, owner } }, queryFor("queue_depth"));
    expect(scraper.targets()).toHaveLength(2);
  });

  test("is reported after each scrape, which is counted by how it ended", async () => {
    const server = await upstream(ok(page(7)));
    let calls = 0;
    const { read, scraper } = setup(server, { scraped: () => (calls += 1) });
    await until(() => known(read()) === 7);
    server.respond = status(500);
    await until(() => (scraper.scrapes().get("engine-unreachable") ?? 0) > 1);
    const counted = [...scraper.scrapes().values()].reduce((sum, count) => sum + count, 0);
    expect(calls).toBe(counted);
  });
});

describe("an engine is found", () => {
  test("where its page has moved to, once it has failed three times in a row", async () => {
    const server = await upstream(ok(page(7)));
    const { read } = setup(server, { path: "" });
    await until(() => known(read()) === 7);
    const before = server.paths.length;
    server.respond = (socket, path, head) =>
      path === "/v1/metrics"
        ? ok("num_requests_waiting 4\n")(socket, path, head)
        : status(404)(socket, path, head);
    await until(() => known(read()) === 4);
    const tried = server.paths.slice(before);
    const moved = tried.findIndex((path) => path !== "/metrics");
    expect(tried.slice(0, moved).length).toBeGreaterThanOrEqual(3);
    expect(tried.slice(moved)).toContain("/v1/metrics");
  });

  test("again when another one answers at the same address", async () => {
    const server = await upstream(ok(page(7)));
    const { read } = setup(server);
    await until(() => known(read()) === 7);
    server.respond = ok("sglang:num_queue_reqs 4\nsglang:num_running_reqs 1\n");
    await until(() => known(read()) === 4);
    expect(read().engine).toBe("sglang");
  });

  test("no further than the answer that says most", async () => {
    const server = await upstream((socket, path, head) =>
      path === "/metrics"
        ? ok("go_goroutines 7\n")(socket, path, head)
        : status(404)(socket, path, head),
    );
    const failure = await failureOf(setup(server, { path: "" }));
    expect(failure.message).toContain("go_goroutines");
    expect(server.paths.slice(0, 4)).toEqual([
      "/metrics",
      "/prometheus/metrics",
      "/v1/metrics",
      "/api/ps",
    ]);
  });

  test("behind the path that trtllm-serve has, when the common one is JSON", async () => {
    const server = await upstream((socket, path, head) =>
      path === "/metrics"
        ? ok(fixture("trtllm-metrics.json"), "application/json")(socket, path, head)
        : ok(fixture("trtllm.prom").split("# 60 s later\n")[0] ?? "")(socket, path, head),
    );
    const { read } = setup(server, { path: "" });
    await until(() => known(read()) === 7);
    expect(read().engine).toBe("trtllm");
    await until(() => server.paths.filter((path) => path === "/prometheus/metrics").length > 3);
    expect(server.paths.filter((path) => path === "/metrics")).toHaveLength(1);
  });

  test("in JSON that is labelled as text", async () => {
    const server = await upstream(ok(fixture("ollama-ps.json")));
    const { scraper, target } = setup(server, { path: "/api/ps" });
    const read = () => scraper.read(target, queryFor("loaded_models"));
    await until(() => known(read()) === 2);
    expect(read().engine).toBe("ollama");
  });

  test("in a page that is compressed unasked", async () => {
    const server = await upstream(
      ok(gzipSync(page(7)), "text/plain", "Content-Encoding: GZIP\r\n"),
    );
    const { read } = setup(server);
    await until(() => known(read()) === 7);
  });

  test("behind a redirect to its own path with a slash", async () => {
    const server = await upstream((socket, path, head) =>
      path.endsWith("/")
        ? ok(page(7))(socket, path, head)
        : status(307, "Location: /metrics/\r\n")(socket, path, head),
    );
    const { read } = setup(server);
    await until(() => known(read()) === 7);
  });
});

describe("a server that", () => {
  const slowly =
    (first: string): Respond =>
    (socket) => {
      socket.write(first);
      const timer = setInterval(() => socket.write("#"), 5);
      socket.on("close", () => clearInterval(timer));
    };
  test.each([
    ["never answers", () => {}, "takes longer than "],
    ["sends its headers slowly", slowly("HTTP/1.1 200 OK\r\nX-Slow: "), "takes longer than "],
    ["sends its body slowly", slowly("HTTP/1.1 200 OK\r\n\r\n"), "takes longer than "],
    ["resets the connection", (socket: Socket) => socket.resetAndDestroy(), "ECONNRESET"],
    [
      "closes in the middle of a page",
      (socket: Socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na 1\n"),
      "abort",
    ],
    ["speaks no HTTP", (socket: Socket) => socket.write("220 smtp ready\r\n\r\n"), "Parse Error"],
    [
      "sends headers without end",
      (socket: Socket) =>
        socket.write(`HTTP/1.1 200 OK\r\n${`X-A: ${"y".repeat(1000)}\r\n`.repeat(500)}`),
      "Header overflow",
    ],
    ["wants a token", status(401), "name credentials that may read metrics with engineTokenFile"],
    ["does not know the path", status(404), "its metrics are on another path"],
    [
      "answers with HTML",
      ok("<html><body>Login</body></html>", "text/html"),
      'got "<html><body>Login',
    ],
    ["answers with nothing", ok(""), "got an empty page"],
    ["answers with another program's page", ok("go_goroutines 7\n"), "its page has no known names"],
    [
      "compresses in another way",
      ok("x", "text/plain", "Content-Encoding: br\r\n"),
      "answers in br",
    ],
    ["lies about compression", ok("a 1\n", "text/plain", "Content-Encoding: gzip\r\n"), "header"],
    [
      "redirects to metadata",
      status(302, "Location: http://169.254.169.254/latest\r\n"),
      "it redirects to http://169.254.169.254/latest",
    ],
    ["redirects to another path", status(302, "Location: /login\r\n"), "it redirects to /login"],
    [
      "redirects to another host",
      status(302, "Location: http://localhost/metrics/\r\n"),
      "it redirects to http://localhost",
    ],
    ["redirects in a circle", status(307, "Location: /metrics/\r\n"), "redirects"],
  ] as const)("%s is a stated failure", async (_what, respond, message) => {
    const server = await upstream(respond as Respond);
    const failure = await failureOf(setup(server, { timeoutMs: 100, path: "/metrics" }));
    expect(failure.message).toContain("Cannot ");
    expect(failure.message).toContain(message);
    expect(["engine-unreachable", "page-invalid"]).toContain(failure.code);
  });

  test("is given a path with a newline is sent nothing", async () => {
    const server = await upstream(ok(page(7)));
    const prepared = setup(server, { path: "" });
    const target: ScrapeTarget = { ...prepared.target, path: "/metrics\r\nX-Evil: 1" };
    const read = () => prepared.scraper.read(target, queryFor("queue_depth"));
    expect((await failureOf({ ...prepared, read })).code).toBe("engine-unreachable");
    expect(server.paths).toEqual([]);
  });

  test("is not there is a stated failure", async () => {
    const failure = await failureOf(setup({ port: await closedPort() }, { timeoutMs: 500 }));
    expect(failure.message).toContain("ECONNREFUSED");
  });

  test("sends a body without end is cut off at the limit", async () => {
    let sentBytes = 0;
    const lump = Buffer.from("a 1\n".repeat(16_384));
    const server = await upstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
      const more = () => {
        while (!socket.destroyed && socket.write(lump)) sentBytes += lump.length;
      };
      socket.on("drain", more);
      more();
    });
    const prepared = setup(server, { intervalMs: 600_000 });
    const failure = await failureOf(prepared);
    expect(failure.message).toContain("8388608 bytes");
    await until(() => server.open() === 0);
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });

  test("sends a page of exactly the limit is read", async () => {
    const lines = page(7);
    const body = `${lines}${"#\n".repeat((engineBodyBytesMax - lines.length) / 2)}`;
    expect(body).toHaveLength(engineBodyBytesMax);
    const server = await upstream(ok(body));
    const { read } = setup(server, { intervalMs: 600_000 });
    await until(() => known(read()) === 7);
  });

  test("sends a decompression bomb is cut off at the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024, "#\n"), { level: 1 });
    const server = await upstream(ok(bomb, "text/plain", "Content-Encoding: gzip\r\n"));
    const before = process.memoryUsage.rss();
    const failure = await failureOf(setup(server, { intervalMs: 600_000 }));
    expect(failure.message).toContain("8388608 bytes");
    expect(process.memoryUsage.rss() - before).toBeLessThan(128 * 1024 * 1024);
  });
});

describe("a name", () => {
  test("is resolved once; when it moves to a forbidden address nothing is sent there", async () => {
    const server = await upstream(ok(page(7)));
    let lookups = 0;
    const resolve = () => {
      lookups += 1;
      return Promise.resolve([lookups === 1 ? "127.0.0.1" : "169.254.169.254"]);
    };
    const { read, jump, scraper } = setup(server, { host: "gate.example.org", resolve });
    await until(() => known(read()) === 7);
    await until(() => server.paths.length > 5);
    expect(lookups).toBe(1);
    server.respond = status(500);
    await until(() => scraper.targets()[0]?.failure?.code === "endpoint-refused");
    const asked = server.paths.length;
    jump(31_000);
    expect(problemOf(read())?.message).toContain("169.254.169.254 is a cloud's metadata address");
    expect(server.paths.length).toBe(asked);
  });

  test("of another namespace is refused without a look-up", async () => {
    let lookups = 0;
    const resolve = () => {
      lookups += 1;
      return Promise.resolve(["10.0.0.1"]);
    };
    const prepared = setup({ port: 80 }, { resolve });
    const target: ScrapeTarget = { at: { url: "http://vllm.bank/metrics", namespace: "shop" } };
    const read = () => prepared.scraper.read(target, queryFor("queue_depth"));
    const failure = await failureOf({ ...prepared, read });
    expect(failure.code).toBe("endpoint-refused");
    expect(lookups).toBe(0);
  });
});

describe("a bearer token", () => {
  const guarded: Respond = (socket, path, head) =>
    (/^authorization: Bearer new\r$/im.test(head) ? ok(page(7)) : status(401))(socket, path, head);

  test("is read anew at each scrape, and not sent on by a redirect", async () => {
    const server = await upstream(guarded);
    let token = "old\n";
    const prepared = setup(server, { tokenFile: "/token", readFile: () => Promise.resolve(token) });
    expect((await failureOf(prepared)).message).toContain("status 401");
    token = "new\n";
    await until(() => known(prepared.read()) === 7);
  });

  test("that cannot be read is said, and nothing is sent without it", async () => {
    const server = await upstream(guarded);
    const failure = await failureOf(setup(server, { tokenFile: "/token" }));
    expect(failure.code).toBe("file-invalid");
    expect(server.paths).toEqual([]);
  });
});

describe("limits", () => {
  /** A clock on which nothing happens. */
  const still: Clock = {
    wallMs: () => 0,
    monotonicMs: () => 0,
    after: () => () => {},
    every: () => () => {},
  };
  const quiet = (clock = still) =>
    engineScraper({
      clock,
      log: () => {},
      random: () => 0,
      rules: { allow: [], clusterDomain: "cluster.local", resolve: () => Promise.resolve([]) },
      readFile: () => Promise.reject(new Error("no file")),
    });
  const pod = (index: number, namespace = "shop"): ScrapeTarget => ({
    at: { podAddress: `10.0.0.${index}`, namespace, ports: [8000] },
  });

  test("no more targets of a namespace than its share, and others go on", () => {
    const scraper = quiet();
    for (let index = 0; index < engineTargetsShare; index += 1)
      scraper.read(pod(index), queryFor("queue_depth"));
    expect(() => scraper.read(pod(engineTargetsShare), queryFor("queue_depth"))).toThrow(
      `Cannot follow one more engine of namespace shop: ${engineTargetsShare} of it are followed, which is its share`,
    );
    scraper.read(pod(1), queryFor("queue_depth"));
    scraper.read(pod(1, "bank"), queryFor("queue_depth"));
  });

  test("more targets of a namespace again once some are let go", () => {
    const turns: (() => void)[] = [];
    let nowMs = 0;
    const after: Clock["after"] = (_ms, run) => {
      turns.push(run);
      return () => {};
    };
    const scraper = quiet({ ...still, monotonicMs: () => nowMs, after });
    for (let index = 0; index < engineTargetsShare; index += 1)
      scraper.read(pod(index), queryFor("queue_depth"));
    const read = () => scraper.read(pod(engineTargetsShare), queryFor("queue_depth"));
    expect(read).toThrow("which is its share");
    nowMs = engineHoldMs + 1;
    turns[0]?.();
    read();
    expect(() => scraper.read(pod(engineTargetsShare + 1), queryFor("queue_depth"))).toThrow(
      "which is its share",
    );
  });

  test("no more targets than can be followed", () => {
    const scraper = quiet();
    for (let index = 0; index < 5_000; index += 1)
      scraper.read(pod(index, `n${index % 10}`), queryFor("queue_depth"));
    expect(() => scraper.read(pod(5_000, "bank"), queryFor("queue_depth"))).toThrow("at most 5000");
  });

  test("a tenant's silent pods take their own turns, and another's engine is read meanwhile", async () => {
    const silent = await upstream(() => {});
    const server = await upstream(ok(page(7)));
    // No scrape ends by its time limit, so that a slot is held for as long as the test lasts.
    const { scraper } = setup(server, { host: "127.0.0.1", timeoutMs: 600_000 });
    const at = (owner: string, namespace: string, port: number): ScrapeTarget => ({
      at: { podAddress: "127.0.0.1", namespace, ports: [port], owner },
    });
    for (let index = 0; index < 200; index += 1)
      scraper.read(at(`uid-${index}`, "greedy", silent.port), queryFor("queue_depth"));
    await until(() => silent.paths.length >= engineScrapesShare);
    const read = () => scraper.read(at("own", "shop", server.port), queryFor("queue_depth"));
    await until(() => known(read()) === 7);
    await until(() => server.paths.length > 5);
    expect(silent.paths).toHaveLength(engineScrapesShare);
  });

  /** Eight pods of one namespace whose pages do not fit its share, and one of another namespace. */
  async function longPages() {
    const lines = Array.from(
      { length: 19_900 },
      (_, at) => `vllm:time_to_first_token_seconds_bucket{m="${at}",le="${at}.5"} 1\n`,
    );
    const long = await upstream(ok(lines.join("")));
    const server = await upstream(ok(page(7)));
    const { scraper, jump } = setup(server, { timeoutMs: 10_000, intervalMs: 200 });
    const at = (owner: string, namespace: string, port: number): ScrapeTarget => ({
      at: { podAddress: "127.0.0.1", namespace, ports: [port], owner },
      engine: "vllm",
    });
    const read = (index: number) =>
      scraper.read(at(`uid-${index}`, "greedy", long.port), queryFor("ttft_p95_ms"));
    const indexes = Array.from({ length: 8 }, (_, index) => index);
    return {
      read,
      refused: () => indexes.filter((index) => problemOf(read(index))?.code === "overloaded"),
      kept: () => indexes.filter((index) => read(index).ageMs !== undefined),
      other: () => scraper.read(at("own", "shop", server.port), queryFor("queue_depth")),
      jump,
    };
  }

  test("a tenant's long pages take its own share of memory, and another's engine is read", async () => {
    const { read, refused, other } = await longPages();
    await until(() => refused().length >= 2);
    const [first = 0] = refused();
    expect(problemOf(read(first))?.message).toContain(
      "Cannot keep more series of namespace greedy: those of its engines take",
    );
    await until(() => known(other()) === 7);
    // Some of its pages fit, and those stay.
    expect(refused().length).toBeLessThan(8);
  });

  test("a tenant's page that did not fit is read once others of its own are gone", async () => {
    const { read, refused, kept, jump } = await longPages();
    await until(() => kept().length === 2 && refused().length === 6);
    const [first = 0] = refused();
    jump(engineHoldMs + 1);
    await until(() => read(first).ageMs !== undefined);
  }, 30_000);

  test("no more signals of a target than can be kept", () => {
    const scraper = quiet();
    for (let windowMs = 0; windowMs < 64; windowMs += 1)
      scraper.read(pod(1), queryFor("queue_depth", { windowMs }));
    expect(() => scraper.read(pod(1), queryFor("queue_depth", { windowMs: 64 }))).toThrow(
      "at most 64",
    );
  });

  test("no more of the texts of signals than can be kept", () => {
    const scraper = quiet();
    const match = [{ label: "model", op: "=", value: "x".repeat(10_000) }] as const;
    const read = (windowMs: number) =>
      scraper.read(pod(1), queryFor("queue_depth", { windowMs, match }));
    for (let windowMs = 0; windowMs < 6; windowMs += 1) read(windowMs);
    expect(() => read(6)).toThrow("at most 65536 characters together");
    read(0);
  });

  test("slots() keeps a share to its own part, and hands it on as its tasks end", async () => {
    const slot = slots(3, 2);
    const ends: (() => void)[] = [];
    const begun: string[] = [];
    const tasks = ["a1", "a2", "a3", "b1", "b2", "a4"].map((name) =>
      slot(() => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      }, name[0]),
    );
    expect(begun).toEqual(["a1", "a2", "b1"]);
    for (let at = 0; at < tasks.length; at += 1) {
      await until(() => ends.length > at);
      ends[at]?.();
    }
    await Promise.all(tasks);
    expect(begun.toSorted()).toEqual(["a1", "a2", "a3", "a4", "b1", "b2"]);
  });

  test("slots() runs as many at once as it says, the rest in order", async () => {
    const slot = slots(3);
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const tasks = Array.from({ length: 20 }, (_, at) =>
      slot(async () => {
        running += 1;
        most = Math.max(most, running);
        order.push(at);
        await Promise.resolve();
        running -= 1;
        if (at === 5) throw new Error("five");
      }),
    );
    const results = await Promise.allSettled(tasks);
    expect(most).toBe(3);
    expect(order).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(1);
  });
});
