import type { X509Certificate } from "node:crypto";
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
