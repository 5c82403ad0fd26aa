/** Engines over TLS, behind a password and in JSON, read by the compiled binary. */
import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foreignClient } from "../foreign/client.ts";
import { type Serving, serveBinary } from "../support/binary.ts";
import { testAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const root = mkdtempSync(join(tmpdir(), "engines-"));
const client = foreignClient();
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const authority = testAuthority();
const name = "llm.example";
for (const folder of ["tokens/ml", "authorities/ml"])
  mkdirSync(join(root, folder), { recursive: true });
writeFileSync(join(root, "tokens/ml/basic"), "reader:secret\n");
const caFile = join(root, "authorities/ml/ca.crt");
writeFileSync(caFile, authority.caPem);
writeFileSync(join(root, "authorities/ml/other.crt"), testAuthority("another-ca").caPem);

/** Lists its models to whoever knows the password. */
async function engine(): Promise<{
  readonly port: number;
  readonly shown: (string | undefined)[];
}> {
  const { certPem, keyPem } = authority.issue({ commonName: name });
  const shown: (string | undefined)[] = [];
  const server = createServer({ cert: certPem, key: keyPem }, ({ headers }, response) => {
    shown.push(headers.authorization);
    const isKnown = headers.authorization === `Basic ${btoa("reader:secret")}`;
    response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
    response.end('{"models":[{"size_vram":5},{"size_vram":7}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { shown, port: typeof address === "object" && address !== null ? address.port : 0 };
}

const serve = (env: Readonly<Record<string, string>> = {}) =>
  serveBinary({
    args: [
      ...["--collector", "mock", "--engine-token-dir", join(root, "tokens")],
      ...["--engine-ca-dir", join(root, "authorities")],
    ],
    env,
  });

async function asker({ grpcPort }: Serving, metadata: Readonly<Record<string, string>>) {
  const channel = await client.connect(`127.0.0.1:${grpcPort}`);
  const scaledObjectRef = { name: "llm", namespace: "ml", scalerMetadata: metadata };
  return async (): Promise<string> => {
    const answer = await channel.unary("externalscaler.ExternalScaler", "GetMetrics", {
      scaledObjectRef,
      metricName: "gpu-engine-metric",
    });
    return JSON.stringify(answer);
  };
}

const metadataOf = (port: number) => ({
  engineJsonPath: "$.models[*].size_vram",
  endpoint: `https://127.0.0.1:${port}/api/ps`,
  engineServerName: name,
  engineCaFile: "ca.crt",
  engineBasicAuthFile: "basic",
  targetValue: "1",
});

test("a number is read over TLS with a password, and a rotated authority counts at once", async () => {
  const { port } = await engine();
  await using serving = await serve({ NODE_TLS_REJECT_UNAUTHORIZED: "0" });
  const ask = await asker(serving, metadataOf(port));
  const isRead = async () => (await ask()).includes('"metricValueFloat":12');
  await eventually(isRead, true);
  writeFileSync(caFile, testAuthority("new-ca").caPem);
  const failed = await serving.logged("engine scrape failed");
  expect(String(failed["problem"])).toContain(`must come from an authority of ${caFile}`);
  writeFileSync(caFile, authority.caPem);
  await serving.logged("engine scraped again");
  expect(JSON.stringify(serving.log)).not.toContain("secret");
});

test("without a file the system's authorities count, and no proxy is asked", async () => {
  const { port } = await engine();
  const nobody = "http://127.0.0.1:1";
  await using serving = await serve({
    SSL_CERT_FILE: caFile,
    ...{ HTTPS_PROXY: nobody, https_proxy: nobody, HTTP_PROXY: nobody, http_proxy: nobody },
  });
  const { engineCaFile: _, ...metadata } = metadataOf(port);
  const ask = await asker(serving, metadata);
  await eventually(async () => (await ask()).includes('"metricValueFloat":12'), true);
});

test("an engine whose certificate is another authority's gets no password, whatever the environment", async () => {
  const { port, shown } = await engine();
  await using serving = await serve({ NODE_TLS_REJECT_UNAUTHORIZED: "0" });
  const ask = await asker(serving, { ...metadataOf(port), engineCaFile: "other.crt" });
  await eventually(async () => (await ask()).includes("must come from an authority of"), true);
  expect(shown).toEqual([]);
});
