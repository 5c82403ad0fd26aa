import { expect, test } from "bun:test";
import { tlsFiles } from "#app/tls-files.ts";
import { Fault } from "#core/fault.ts";
import { tlsFileBytesMax, tlsReadEveryMs } from "#core/limits.ts";
import { testAuthority } from "../support/certificates.ts";
import { manualClock } from "../support/manual-clock.ts";

const authority = testAuthority();
const issue = (notAfter?: string) => {
  const names = { commonName: "keda-gpu-scaler" };
  const { certPem, keyPem } = authority.issue(notAfter ? { ...names, notAfter } : names);
  return { "/tls.crt": certPem, "/tls.key": keyPem, "/ca.crt": authority.caPem };
};
type Files = Readonly<Record<string, string>>;

/** Files that the test replaces; a file left out is missing. */
async function heldFiles(first: Files) {
  let files = first;
  const clock = manualClock();
  const logged: string[] = [];
  let changes = 0;
  const source = await tlsFiles({
    certFile: "/tls.crt",
    keyFile: "/tls.key",
    clientCaFile: "/ca.crt",
    clock,
    log: (level, event) => logged.push(`${level}: ${event}`),
    readFile: async (path) => {
      const text = files[path];
      if (text === undefined) throw new Error("ENOENT");
      return text;
    },
  });
  source.subscribe(() => {
    changes += 1;
  });
  const write = async (next: Files) => {
    files = next;
    clock.advance(tlsReadEveryMs);
    // The reading goes on in microtasks alone, for the files are in memory.
    await Bun.sleep(0);
  };
  return { source, write, logged, changes: () => changes };
}

const good = issue();
const { "/tls.crt": _cert, ...withoutCert } = good;

test.each([
  ["a missing certificate", withoutCert, "--tls-cert /tls.crt cannot be read: ENOENT"],
  ["what is no certificate", { ...good, "/tls.crt": "x" }, "/tls.crt must be a PEM certificate"],
  [
    "a broken certificate",
    { ...good, "/tls.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
    "/tls.crt must be a PEM certificate",
  ],
  ["what is no key", { ...good, "/tls.key": "x" }, "--tls-key /tls.key must be a PEM private key"],
  [
    "another's key",
    { ...good, "/tls.key": issue()["/tls.key"] },
    "--tls-key /tls.key must be the key of /tls.crt",
  ],
  ["what is no authority", { ...good, "/ca.crt": "" }, "--tls-client-ca /ca.crt must be PEM cert"],
  [
    "a certificate that has ended",
    issue("20250101000000Z"),
    "must be valid now, and ended at 2025-01-01T00:00:00.000Z; renew it",
  ],
  [
    "a large file",
    { ...good, "/ca.crt": "#".repeat(tlsFileBytesMax + 1) },
    "at most 1048576 bytes",
  ],
])("%s is a fault at the start", async (_what, files, problem) => {
  const fault = await heldFiles(files).catch((error: unknown) => error);
  if (!(fault instanceof Fault)) throw new Error("They were taken");
  expect(fault.code).toBe("file-invalid");
  expect(fault.message).toStartWith("Cannot use TLS: ");
  expect(fault.message).toContain(problem);
  expect(fault.message).toEndWith("; correct the file");
});

test("files that changed are used, and their end is known", async () => {
  const { source, write, changes } = await heldFiles(good);
  await write(good);
  expect(changes()).toBe(0);
  const next = issue("20300101000000Z");
  await write(next);
  expect(changes()).toBe(1);
  expect(source.current().cert).toBe(next["/tls.crt"]);
  expect(source.current().key).toBe(next["/tls.key"]);
  expect(source.expiresAtMs()).toBe(Date.UTC(2030, 0, 1));
});

test.each([
  ["half of a pair", { ...issue(), "/tls.key": good["/tls.key"] }],
  ["a missing file", withoutCert],
  ["a certificate that has ended", issue("20250101000000Z")],
])("%s changes nothing until it is whole again", async (_what, wrong) => {
  const { source, write, logged, changes } = await heldFiles(good);
  await write(wrong);
  expect(source.current().cert).toBe(good["/tls.crt"]);
  expect(logged).toEqual(["warn: certificates cannot be used, those before them stay"]);
  expect(changes()).toBe(0);
  const next = issue();
  await write(next);
  expect(source.current().cert).toBe(next["/tls.crt"]);
});
