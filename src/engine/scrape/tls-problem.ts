/**
 * Why a certificate was not believed, as its reader can act on it.
 *
 * @module
 */
import { messageOf } from "#core/fault.ts";
import { quoted } from "#core/quoted.ts";
import type { TargetTls } from "./target.ts";

/** @returns `undefined` for what has nothing to do with TLS, such as a closed port. */
export function tlsProblem(error: unknown, { serverName, caFile }: TargetTls): string | undefined {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return (
      `its certificate must be for ${serverName}, got ${quoted(namesIn(error))}; ` +
      "name one of these with engineServerName, or have the certificate made for it"
    );
  if (code === "CERT_HAS_EXPIRED")
    return "its certificate must be valid now, got one that has ended; renew it";
  if (code === "CERT_NOT_YET_VALID")
    return "its certificate must be valid now, got one that has not begun; compare the clocks";
  if (unknownAuthority.has(code))
    return (
      `its certificate must come from an authority of ${caFile ?? "the system"}, ` +
      `got another's (${messageOf(error)}); name its authority's file with engineCaFile`
    );
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER")
    return "it must speak TLS, got something else; correct the port, or ask it over http";
  return undefined;
}

/** As OpenSSL names them. */
const unknownAuthority: ReadonlySet<string> = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "CERT_SIGNATURE_FAILURE",
  "INVALID_CA",
]);

/** The names that the certificate has, as `checkServerIdentity` of Node tells them. */
function namesIn(error: unknown): string {
  const cert = error instanceof Error && "cert" in error ? error.cert : undefined;
  const names =
    typeof cert === "object" && cert !== null && "subjectaltname" in cert
      ? cert.subjectaltname
      : undefined;
  return typeof names === "string" ? names : "no name";
}
