/** Engines over TLS and behind credentials, through real sockets. */
import { afterEach, describe, expect, test } from "bun:test";
import { createServer } from "node:https";
import { createServer as createTcpServer } from "node:net";
import { systemClock } from "#core/clock.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { engineScraper } from "#engine/scrape/scraper.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import { type TestCertificate, testAuthority } from "../support/certificates.ts";
import { until } from "../support/until.ts";
import { queryFor } from "./pages.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const authority = testAuthority();
const stranger = testAuthority("another-ca");
const name = "vllm.shop.svc";
const good = authority.issue({ commonName: "engine", dnsNames: [name] });

interface TlsEngine {
  readonly port: number;
  /** The `Authorization` of each request. */
  readonly shown: (string | undefined)[];
  readonly serverNames: (string | false | undefined)[];
  readonly connections: () => number;
  location: string | undefined;
}

/** An engine that is asked over TLS alone. */
async function tlsEngine({ certPem, keyPem }: TestCertificate): Promise<TlsEngine> {
  let connections = 0;
  const engine = { shown: [], serverNames: [], location: undefined } as Pick<
    TlsEngine,
    "shown" | "serverNames" | "location"
  >;
  const server = createServer({ cert: certPem, key: keyPem }, ({ headers, url }, response) => {
    engine.shown.push(headers.authorization);
    if (engine.location !== undefined && url === "/metrics")
      return void response.writeHead(307, { location: engine.location }).end();
    response.setHeader("content-type", "text/plain");
    response.end("vllm:num_requests_waiting 7\nvllm:num_requests_running 1\n");
  });
  server.on("secureConnection", (socket) => {
    connections += 1;
    engine.serverNames.push((socket as { servername?: string | false }).servername);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return Object.assign(engine, { port, connections: () => connections });
}

/** Files by path, which may change. */
type Files = Record<string, string>;

function scraperOf(files: Files, timeoutMs = 2_000) {
  let ends = 0;
  const scraper = engineScraper({
    clock: systemClock(),
    log: () => {},
    random: () => 0,
    rules: {
      allow: [name, "127.0.0.1"],
      clusterDomain: "cluster.local",
      resolve: () => Promise.resolve(["127.0.0.1"]),
    },
    readFile: (path) => {
      const text = files[path];
      return text === undefined ? Promise.reject(new Error("ENOENT")) : Promise.resolve(text);
    },
    timeoutMs,
    intervalMs: 10,
    gatewayMs: 10,
    scraped: () => {
      ends += 1;
    },
  });
  cleanups.push(scraper.stop);
  return {
    read: (target: ScrapeTarget) => scraper.read(target, queryFor("queue_depth")),
    /** After this many more scrapes. */
    later: async (more: number) => {
      const from = ends;
      await until(() => ends >= from + more);
    },
    failureOf: async (target: ScrapeTarget): Promise<string> => {
      const read = () => scraper.read(target, queryFor("queue_depth"));
      await until(() => problemOf(read()) !== "");
      return problemOf(read());
    },
    lastFailure: () => scraper.targets()[0]?.failure?.message,
    valueAt: async (target: ScrapeTarget): Promise<number | undefined> => {
      const read = () => scraper.read(target, queryFor("queue_depth"));
      await until(() => read().state === "known" || problemOf(read()) !== "");
      const reading = read();
      return reading.state === "known" ? reading.value : undefined;
    },
  };
}

function problemOf(reading: EngineReading): string {
  if (reading.state === "known" || reading.reason !== "unreachable") return "";
  return reading.fault.message;
}

const urlTarget = (
  { port }: Pick<TlsEngine, "port">,
  tls: Partial<ScrapeTarget["tls"]> = {},
): ScrapeTarget => ({
  at: { url: `https://${name}:${port}/metrics`, namespace: "shop" },
  engine: "vllm",
  tls: { serverName: name, caFile: "/ca", ...tls },
});
const podTarget = ({ port }: TlsEngine, serverName: string): ScrapeTarget => ({
  at: { podAddress: "127.0.0.1", namespace: "shop", ports: [port] },
  engine: "vllm",
  port,
  path: "/metrics",
  tls: { serverName, caFile: "/ca" },
});

describe("an engine over TLS", () => {
  test("is read on one connection where a mounted authority made its certificate for the name", async () => {
    const engine = await tlsEngine(good);
    const { valueAt, later } = scraperOf({ "/ca": authority.caPem });
    expect(await valueAt(urlTarget(engine))).toBe(7);
    await later(3);
    expect(engine.connections()).toBe(1);
    expect(engine.serverNames).toEqual([name]);
  });

  test("is read at a pod's address under the name that it is said to have", async () => {
    const engine = await tlsEngine(good);
    const { valueAt } = scraperOf({ "/ca": authority.caPem });
    expect(await valueAt(podTarget(engine, name))).toBe(7);
    expect(engine.serverNames).toEqual([name]);
  });

  test("is read at a pod's address that its certificate has", async () => {
    const engine = await tlsEngine(good);
    const { valueAt } = scraperOf({ "/ca": authority.caPem });
    expect(await valueAt(podTarget(engine, "127.0.0.1"))).toBe(7);
    expect(engine.serverNames).toEqual([false]);
  });

  test("is verified by any authority of a file of several, which have no line between them", async () => {
    const engine = await tlsEngine(good);
    const several = `# two\n${stranger.caPem.trim()}${authority.caPem}`;
    expect(await scraperOf({ "/ca": several }).valueAt(urlTarget(engine))).toBe(7);
  });

  test.each([
    [
      "another authority's",
      stranger.issue({ commonName: "engine", dnsNames: [name] }),
      "its certificate must come from an authority of /ca, got another's",
    ],
    [
      "made for another name",
      authority.issue({ commonName: name, dnsNames: ["other.shop.svc"] }),
      `its certificate must be for ${name}, got "DNS:other.shop.svc, IP Address:127.0.0.1"; name one of these with engineServerName`,
    ],
    [
      "over",
      authority.issue({ commonName: name, notAfter: "20210101000000Z" }),
      "its certificate must be valid now, got one that has ended; renew it",
    ],
    [
      "not valid yet",
      authority.issue({ commonName: name, notBefore: "20980101000000Z" }),
      "its certificate must be valid now, got one that has not begun; compare the clocks",
    ],
  ])("is not asked anything when its certificate is %s", async (_what, certificate, problem) => {
    const engine = await tlsEngine(certificate);
    const { failureOf } = scraperOf({ "/ca": authority.caPem, "/token": "secret" });
    const failure = await failureOf({ ...urlTarget(engine), tokenFile: "/token" });
    expect(failure).toStartWith(
      `Cannot read metrics of https://${name}:${engine.port}/metrics: ${problem}`,
    );
    expect(engine.shown).toEqual([]);
  });

  test("is not asked at a pod's address that its certificate does not have", async () => {
    const engine = await tlsEngine(good);
    const failure = await scraperOf({ "/ca": authority.caPem }).failureOf({
      ...podTarget(engine, "pod.shop"),
    });
    expect(failure).toContain("must be for pod.shop, got");
    expect(engine.shown).toEqual([]);
  });

  test("is verified by the system's authorities where none is mounted", async () => {
    const engine = await tlsEngine(good);
    const failure = await scraperOf({}).failureOf(urlTarget(engine, { caFile: undefined }));
    expect(failure).toContain(
      "must come from an authority of the system, got another's (unable to verify the first certificate); name its authority's file with engineCaFile",
    );
    expect(engine.shown).toEqual([]);
  });

  test("is verified whatever the environment says", async () => {
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    cleanups.push(() => {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    });
    const engine = await tlsEngine(good);
    const failure = await scraperOf({ "/ca": stranger.caPem }).failureOf(urlTarget(engine));
    expect(failure).toContain("must come from an authority of /ca");
    expect(engine.shown).toEqual([]);
  });

  test("does not take another target's connection, whose authority or name was another", async () => {
    const engine = await tlsEngine(good);
    const { valueAt, failureOf } = scraperOf({ "/ca": authority.caPem, "/other": stranger.caPem });
    expect(await valueAt(urlTarget(engine))).toBe(7);
    expect(await failureOf(urlTarget(engine, { caFile: "/other" }))).toContain("of /other");
    expect(await failureOf(urlTarget(engine, { serverName: "x.shop.svc" }))).toContain(
      "must be for x.shop.svc",
    );
  });

  test("is verified anew when the file of its authority changes, and changes back", async () => {
    const engine = await tlsEngine(good);
    const files = { "/ca": authority.caPem };
    const { valueAt, lastFailure } = scraperOf(files);
    expect(await valueAt(urlTarget(engine))).toBe(7);
    files["/ca"] = stranger.caPem;
    await until(() => lastFailure()?.includes("must come from an authority of /ca") === true);
    files["/ca"] = authority.caPem;
    await until(() => lastFailure() === undefined);
  });

  test.each([
    ["is not there", {}, "/ca must be a readable file: ENOENT"],
    ["has no certificate", { "/ca": "text" }, "/ca must have PEM certificates"],
    [
      "has a broken one",
      { "/ca": `${authority.caPem}-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----` },
      "/ca must have PEM certificates",
    ],
  ])("is not asked when the file of its authority %s", async (_what, files, problem) => {
    const engine = await tlsEngine(good);
    const failure = await scraperOf(files).failureOf(urlTarget(engine));
    expect(failure).toStartWith(`Cannot verify the engine's certificate: ${problem}`);
    expect(failure).toEndWith("; mount its authority there");
    expect(engine.connections()).toBe(0);
  });

  test("that speaks plain text is told from one with a bad certificate", async () => {
    const plain = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
    cleanups.push(() => void plain.stop(true));
    const { port = 0 } = plain;
    const target = urlTarget({ port });
    const failure = await scraperOf({ "/ca": authority.caPem }).failureOf(target);
    expect(failure).toContain("it must speak TLS, got something else; correct the port");
  });

  test("that says nothing is let go after the time of one scrape", async () => {
    const silent = createTcpServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => silent.close());
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const target = urlTarget({ port });
    const failure = await scraperOf({ "/ca": authority.caPem }, 50).failureOf(target);
    // Of the 50 ms a loaded machine may have spent one before the connection.
    expect(failure).toMatch(/it takes longer than (?:50|4\d) ms/);
  });

  test("that is closed is unreachable, as without TLS", async () => {
    const engine = await tlsEngine(good);
    for (const cleanup of cleanups.splice(0)) cleanup();
    const failure = await scraperOf({ "/ca": authority.caPem }).failureOf(urlTarget(engine));
    expect(failure).toContain("ECONNREFUSED");
  });

  test("is followed to its own path with a slash, and never to plain text", async () => {
    const engine = await tlsEngine(good);
    engine.location = "/metrics/";
    const { valueAt, failureOf } = scraperOf({ "/ca": authority.caPem });
    expect(await valueAt(urlTarget(engine))).toBe(7);
    engine.location = `http://${name}:${engine.port}/metrics/`;
    const anew = { ...urlTarget(engine), port: 1 };
    expect(await failureOf(anew)).toContain(`it redirects to ${engine.location}`);
  });
});

describe("a user and a password", () => {
  const target = (engine: TlsEngine): ScrapeTarget => ({
    ...urlTarget(engine),
    basicAuthFile: "/basic",
  });

  test("are read anew at each scrape", async () => {
    const engine = await tlsEngine(good);
    const files = { "/ca": authority.caPem, "/basic": "reader:päss word: x \n" };
    const { valueAt } = scraperOf(files);
    expect(await valueAt(target(engine))).toBe(7);
    const header = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    expect(engine.shown[0]).toBe(header("reader:päss word: x "));
    files["/basic"] = "reader:new";
    await until(() => engine.shown.includes(header("reader:new")));
  });

  test("do not follow a redirect to another path, host or scheme", async () => {
    const engine = await tlsEngine(good);
    engine.location = "/admin";
    const { failureOf } = scraperOf({ "/ca": authority.caPem, "/basic": "reader:secret" });
    expect(await failureOf(target(engine))).toContain("it redirects to /admin");
    expect(new Set(engine.shown).size).toBe(1);
  });

  test.each([
    ["basicAuthFile", "secret", "user and password", "must be one line of user:password"],
    ["basicAuthFile", ":secret", "user and password", "must be one line of user:password"],
    ["basicAuthFile", "a:secret\nb:secret", "user and password", "must be one line of"],
    ["basicAuthFile", undefined, "user and password", "must be a readable file"],
    ["tokenFile", "", "bearer token", "must be one word of ASCII characters"],
    ["tokenFile", "secret secret", "bearer token", "must be one word of ASCII characters"],
    ["tokenFile", "secrét", "bearer token", "must be one word of ASCII characters"],
    ["tokenFile", undefined, "bearer token", "must be a readable file"],
  ])(
    "or a token: %s of %j is refused, sent nowhere and never repeated",
    async (key, text, what, rule) => {
      const engine = await tlsEngine(good);
      const files = { "/ca": authority.caPem, ...(text !== undefined && { "/file": text }) };
      const failure = await scraperOf(files).failureOf({ ...urlTarget(engine), [key]: "/file" });
      expect(failure).toStartWith(`Cannot read the ${what}: /file ${rule}`);
      expect(failure).not.toContain("secr");
      expect(engine.connections()).toBe(0);
    },
  );
});
