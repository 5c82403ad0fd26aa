/**
 * The files of `--tls-cert`, `--tls-key` and `--tls-client-ca`, read again when they change.
 *
 * A mounted Secret changes by a symbolic link that is turned to another folder, which no watch of a
 * file would notice, so the texts are read and compared. Files that do not fit together change nothing:
 * they may have been read in the middle of a change, and connections go on with those before.
 *
 * @module
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import type { Clock } from "#core/clock.ts";
import { Fault, messageOf } from "#core/fault.ts";
import { tlsFileBytesMax, tlsReadEveryMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import { certificatesOf, type TlsCredentials, type TlsSource } from "#core/tls.ts";
import type { TlsOptions } from "./options.ts";

export interface TlsFilesOptions extends Omit<TlsOptions, "clientNames"> {
  readonly clock: Clock;
  readonly log: Log;
  readonly readFile: (path: string) => Promise<string>;
}

export interface TlsFiles extends TlsSource {
  /** When the certificate in use ends, in milliseconds since 1970. */
  readonly expiresAtMs: () => number;
  readonly stop: () => void;
}

interface Read {
  readonly credentials: TlsCredentials;
  readonly expiresAtMs: number;
}

/** @throws {Fault} `file-invalid` when the files cannot be used from the start. */
export async function tlsFiles(options: TlsFilesOptions): Promise<TlsFiles> {
  const { clock, log, certFile } = options;
  const changes = listeners();
  let { credentials, expiresAtMs } = await readAll(options);

  const refresh = async () => {
    try {
      const next = await readAll(options);
      if (Bun.deepEquals(next.credentials, credentials)) return;
      ({ credentials, expiresAtMs } = next);
      const expiresAt = new Date(expiresAtMs).toISOString();
      log("info", "certificates read", { path: certFile, expiresAt });
      changes.notify();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      log("warn", "certificates cannot be used, those before them stay", {
        problem: error.message,
      });
    }
  };
  let isReading = false;
  const stop = clock.every(tlsReadEveryMs, () => {
    // A mount that hangs is read again when it answers.
    if (isReading) return;
    isReading = true;
    void refresh().finally(() => {
      isReading = false;
    });
  });
  return {
    current: () => credentials,
    subscribe: changes.subscribe,
    expiresAtMs: () => expiresAtMs,
    stop,
  };
}

async function readAll(options: TlsFilesOptions): Promise<Read> {
  const { certFile, keyFile, clientCaFile, clock } = options;
  // One after the other, so that of several that cannot be read the first is named.
  const cert = await readPem("--tls-cert", certFile, options);
  const key = await readPem("--tls-key", keyFile, options);
  const ca =
    clientCaFile === undefined
      ? undefined
      : await readPem("--tls-client-ca", clientCaFile, options);
  const certificate = parsed("--tls-cert", certFile, "a PEM certificate", () =>
    certificateOf(cert),
  );
  const privateKey = parsed("--tls-key", keyFile, "a PEM private key without a passphrase", () =>
    keyOf(key),
  );
  if (clientCaFile !== undefined && ca !== undefined)
    parsed("--tls-client-ca", clientCaFile, "PEM certificates", () => certificatesOf(ca));
  if (!certificate.checkPrivateKey(privateKey))
    throw unusable("--tls-key", keyFile, `must be the key of ${certFile}, and is another's`);
  const expiresAtMs = Date.parse(certificate.validTo);
  if (expiresAtMs <= clock.wallMs()) {
    const ended = new Date(expiresAtMs).toISOString();
    throw unusable("--tls-cert", certFile, `must be valid now, and ended at ${ended}; renew it`);
  }
  return { credentials: { cert, key, ca }, expiresAtMs };
}

async function readPem(flag: string, path: string, { readFile }: TlsFilesOptions): Promise<string> {
  let text: string;
  try {
    text = await readFile(path);
  } catch (error) {
    throw unusable(flag, path, `cannot be read: ${messageOf(error)}`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes <= tlsFileBytesMax) return text;
  throw unusable(flag, path, `must have at most ${tlsFileBytesMax} bytes, got ${bytes}`);
}

function parsed<T>(flag: string, path: string, kind: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw unusable(flag, path, `must be ${kind}: ${messageOf(error)}`);
  }
}

function certificateOf(pem: string): X509Certificate {
  return certificatesOf(pem)[0];
}

function keyOf(pem: string): KeyObject {
  return createPrivateKey(pem);
}

function unusable(flag: string, path: string, rule: string): Fault {
  const message = `Cannot use TLS: ${flag} ${path} ${rule}; correct the file`;
  return new Fault("file-invalid", message, { path, problems: [rule] });
}
