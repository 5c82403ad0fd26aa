import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { listeners } from "#core/listeners.ts";
import type { TlsCredentials } from "#core/tls.ts";
import { type ForeignClient, foreignClient } from "../foreign/client.ts";
import { type TestCertificate, testAuthority } from "../support/certificates.ts";
import { heldServer, until } from "./stand-in.ts";

setDefaultTimeout(30_000);

const scaler = "externalscaler.ExternalScaler";
let client: ForeignClient;
beforeAll(() => {
  client = foreignClient();
});
afterAll(() => client[Symbol.asyncDispose]());

const authority = testAuthority();
const stranger = testAuthority("another-ca");
const keda = authority.issue({ commonName: "keda-operator" });
const shown = (certificate: TestCertificate, ca = authority.caPem) => ({
  ca,
  cert: certificate.certPem,
  key: certificate.keyPem,
});
const issue = (commonName = "keda-gpu-scaler") => shown(authority.issue({ commonName }));

/** A server with mutual TLS, whose credentials the test replaces. */
async function secureServer(
  first: TlsCredentials = issue(),
  limits: Parameters<typeof heldServer>[0] = {},
) {
  let credentials = first;
  const changes = listeners();
  const held = await heldServer({
    ...limits,
    tls: {
      credentials: { current: () => credentials, subscribe: changes.subscribe },
      clientNames: ["keda-operator", "keda-operator-metrics-apiserver", "keda.example.org"],
    },
  });
  const rotate = (next: TlsCredentials) => {
    credentials = next;
    changes.notify();
  };
  return { ...held, rotate };
}

/** The common name that the server shows on a new connection. */
async function serverName(port: number, options: ConnectionOptions = {}): Promise<string> {
  const offer = { host: "127.0.0.1", port, ALPNProtocols: ["h2"], ...shown(keda) };
  const socket = connect({ ...offer, ...options });
  try {
    await once(socket, "secureConnect");
    return String(socket.getPeerCertificate().subject.CN);
  } finally {
    socket.destroy();
  }
}

describe("with an authority of clients", () => {
  test.each([
    ["keda-operator", []],
    ["keda-operator-metrics-apiserver", []],
    ["anything", ["keda-operator"]],
  ])("answers %s with DNS names %p", async (commonName, dnsNames) => {
    await using held = await secureServer();
    const certificate = authority.issue({ commonName, dnsNames });
    const channel = await client.connect(held.address, {}, shown(certificate));
    expect(await channel.unary(scaler, "IsActive")).toMatchObject({ code: "OK" });
    expect(held.logged).toEqual([]);
  });

  test.each([
    ["another name", { commonName: "prometheus" }],
    ["a part of the name", { commonName: "keda" }],
    ["a wildcard that covers it", { commonName: "x", dnsNames: ["*.example.org"] }],
    ["the names of several in one", { commonName: "x", dnsNames: ["a, DNS:keda-operator"] }],
  ])("refuses %s, says why and closes", async (_what, names) => {
    await using held = await secureServer(undefined, { prefaceMs: 200 });
    const channel = await client.connect(held.address, {}, shown(authority.issue(names)));
    const { code } = await channel.unary(scaler, "IsActive", {}, { deadlineMs: 2_000 });
    expect(code).not.toBe("OK");
    await channel.close();
    expect(held.logged[0]).toMatchObject({
      level: "warn",
      event: "client refused by its name",
      facts: { peer: "127.0.0.1", names: expect.stringContaining(names.commonName) },
    });
    await until(() => held.open.connections === 0, "the connection is closed");
    expect(held.refs).toEqual([]);
  });

  test("a client that is refused by its name is told so", async () => {
    await using held = await secureServer();
    const session = connectHttp2(
      `https://${held.address}`,
      shown(authority.issue({ commonName: "x" })),
    );
    session.on("error", () => undefined);
    const [code, , told] = await once(session, "goaway");
    expect(code).toBe(constants.NGHTTP2_INADEQUATE_SECURITY);
    expect(String(told)).toContain(
      "names are x, DNS:x, IP Address:127.0.0.1; allow one with --tls",
    );
    session.destroy();
  });

  test.each([
    ["plain text", undefined],
    ["no certificate", { ca: authority.caPem }],
    ["a certificate of another authority", shown(stranger.issue({ commonName: "keda-operator" }))],
  ])("refuses %s", async (_what, tls) => {
    await using held = await secureServer();
    const options = tls && { ...tls, ca: authority.caPem };
    const channel = await client.connect(held.address, {}, options);
    const { code } = await channel.unary(scaler, "IsActive", {}, { deadlineMs: 2_000 });
    expect(code).not.toBe("OK");
    await channel.close();
    await until(() => held.open.connections === 0, "the connection is closed");
    expect(held.refs).toEqual([]);
  });

  test("speaks TLS 1.2 and 1.3, and nothing older", async () => {
    await using held = await secureServer();
    const { port } = held.server;
    for (const version of ["TLSv1.2", "TLSv1.3"] as const)
      expect(await serverName(port, { minVersion: version, maxVersion: version })).toBe(
        "keda-gpu-scaler",
      );
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
    expect(await serverName(port, old).catch(String)).toContain("PROTOCOL_VERSION");
  });

  test("closes a connection that never shakes hands", async () => {
    await using held = await secureServer(undefined, { prefaceMs: 100 });
    const socket = connectTcp(held.server.port, "127.0.0.1");
    await once(socket, "close");
    await until(() => held.open.connections === 0, "the connection is closed");
  });

  test("new credentials are for new connections, and no call fails", async () => {
    await using held = await secureServer();
    held.set({ active: () => true });
    const channel = await client.connect(held.address, {}, shown(keda));
    await using stream = await channel.stream(scaler, "StreamIsActive");
    expect(await stream.next()).toEqual({ result: true });
    const codes = new Set<string>();
    let loading = true;
    const load = async () => {
      while (loading)
        for (const code of Object.keys(await channel.burst(20, scaler, "IsActive")))
          codes.add(code);
    };
    const loaded = load();
    for (const name of ["second", "third", "fourth"]) {
      held.rotate(issue(name));
      expect(await serverName(held.server.port)).toBe(name);
    }
    loading = false;
    await loaded;
    expect([...codes]).toEqual(["OK"]);
    held.set({ active: () => false });
    expect(await stream.next()).toEqual({ result: false });
  });

  test("another authority is for new connections too", async () => {
    await using held = await secureServer();
    held.rotate({ ...issue(), ca: stranger.caPem });
    const theirs = stranger.issue({ commonName: "keda-operator" });
    const [ours, others] = await Promise.all([
      client.connect(held.address, {}, shown(keda)),
      client.connect(held.address, {}, shown(theirs, authority.caPem)),
    ]);
    const call = { deadlineMs: 2_000 };
    expect((await others.unary(scaler, "IsActive", {}, call)).code).toBe("OK");
    expect((await ours.unary(scaler, "IsActive", {}, call)).code).not.toBe("OK");
  });
});

test("without an authority of clients, any client is answered over TLS", async () => {
  const { cert, key } = issue();
  await using held = await secureServer({ cert, key });
  const channel = await client.connect(held.address, {}, { ca: authority.caPem });
  expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
});
