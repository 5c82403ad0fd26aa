import { X509Certificate } from "node:crypto";
import type { Cancel } from "./clock.ts";

/** What one end of a connection shows, and whom it believes. All texts are PEM. */
export interface TlsCredentials {
  /** Its own certificate, followed by those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** The authorities that the other end's certificate must come from; absent: none is asked for. */
  readonly ca?: string | undefined;
}

/** Credentials that may be replaced while they are used. */
export interface TlsSource {
  /** The newest that can be used. */
  readonly current: () => TlsCredentials;
  /** Runs `listener` after they have changed. */
  readonly subscribe: (listener: () => void) => Cancel;
}

/** Whether a certificate carries a DNS name, letter by letter: a wildcard names nobody. */
export function isNamed(certificate: X509Certificate, name: string): boolean {
  return certificate.checkHost(name, { subject: "never", wildcards: false }) !== undefined;
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Each certificate of a PEM text, so that a broken one among many is found too.
 *
 * @throws {Error} that says what is wrong with the text.
 */
export function certificatesOf(pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = (pem.match(pemCertificate) ?? []).map((one) => new X509Certificate(one));
  if (first === undefined) throw new Error("it has no BEGIN CERTIFICATE");
  return [first, ...rest];
}
