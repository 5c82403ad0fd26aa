/**
 * TLS of the gRPC port: what the server shows, and which clients it answers.
 *
 * A client without a certificate of the authority fails in the handshake. One whose certificate has
 * none of the allowed names is told why in a GOAWAY, which grpc-go puts into its error, and loses its
 * connection: a status for each call would leave it a connection and streams that others need.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Session,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Log } from "#core/log.ts";
import { isNamed, type TlsSource } from "#core/tls.ts";

export interface ServerTls {
  readonly credentials: TlsSource;
  /** Of clients whose certificate comes from the authority; a common name or a DNS name. */
  readonly clientNames: readonly string[];
}

/** An HTTP/2 server over TLS; each new connection gets the newest credentials. */
export function secureServer(
  { credentials }: ServerTls,
  options: SecureServerOptions,
): Http2SecureServer {
  const server = createSecureServer({ ...options, ...serverOptions(credentials) });
  credentials.subscribe(() => server.setSecureContext(serverOptions(credentials)));
  return server;
}

function serverOptions({ current }: TlsSource): SecureServerOptions {
  const { cert, key, ca } = current();
  const mutual = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
  return { cert, key, ...mutual, minVersion: "TLSv1.2", allowHTTP1: false };
}

type BeginSession = (session: ServerHttp2Session) => void;

/** Begins the sessions of clients that are allowed, and ends any other. */
export function allowedClients(
  { credentials, clientNames }: ServerTls,
  log: Log,
  begin: BeginSession,
): BeginSession {
  return (session) => {
    if (credentials.current().ca === undefined) return begin(session);
    const socket = session.socket as TLSSocket;
    const { raw, subject } = socket.getPeerCertificate();
    // Whoever left while it shook hands has shown nothing.
    const certificate = raw && new X509Certificate(raw);
    const isAllowed = (name: string) => subject.CN === name || isNamed(certificate, name);
    if (certificate !== undefined && clientNames.some(isAllowed)) return begin(session);
    const shown = [subject?.CN, certificate?.subjectAltName].filter(Boolean).join(", ");
    const peer = socket.remoteAddress;
    log("warn", "client refused by its name", { peer, names: shown, allowed: clientNames });
    const text = `Cannot answer: the client certificate's names are ${shown}; allow one with --tls-client-names`;
    session.goaway(constants.NGHTTP2_INADEQUATE_SECURITY, 0, Buffer.from(text));
    session.destroy();
  };
}
