/**
 * What a target is shown, from files that are read anew each time because credentials rotate. What is in
 * them never becomes part of a message.
 *
 * @module
 */
import { Fault, messageOf } from "#core/fault.ts";

/** Paths of files; at most one is there. */
export interface CredentialFiles {
  /** A bearer token. */
  readonly tokenFile?: string | undefined;
  /** `user:password`. */
  readonly basicAuthFile?: string | undefined;
}

/**
 * The `Authorization` header; `undefined` where the target is shown nothing.
 *
 * @throws {Fault} `file-invalid`.
 */
export async function authorizationOf(
  { tokenFile, basicAuthFile }: CredentialFiles,
  readFile: (path: string) => Promise<string>,
): Promise<string | undefined> {
  if (tokenFile !== undefined) {
    const token = (await textOf("bearer token", tokenFile, readFile)).trim();
    // What RFC 6750 allows, and all else that a header may have: servers are not strict.
    if (!/^[!-~]+$/.test(token))
      throw unusable("bearer token", tokenFile, "must be one word of ASCII characters");
    return `Bearer ${token}`;
  }
  if (basicAuthFile === undefined) return undefined;
  const text = await textOf("user and password", basicAuthFile, readFile);
  // A line end is what editors and `echo` add; spaces may be the password's.
  const userAndPassword = text.replace(/\r?\n$/, "");
  // RFC 7617: the first colon ends the user, and control characters are in neither.
  if (!/^[^:\p{Cc}]+:\P{Cc}*$/u.test(userAndPassword))
    throw unusable("user and password", basicAuthFile, "must be one line of user:password");
  return `Basic ${Buffer.from(userAndPassword).toString("base64")}`;
}

async function textOf(
  what: string,
  path: string,
  readFile: (path: string) => Promise<string>,
): Promise<string> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unusable(what, path, `must be a readable file: ${messageOf(error)}`, error);
  }
}

function unusable(what: string, path: string, rule: string, cause?: unknown): Fault {
  return new Fault(
    "file-invalid",
    `Cannot read the ${what}: ${path} ${rule}; correct what is mounted there`,
    { path, problems: [rule] },
    cause,
  );
}
