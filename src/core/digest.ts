/**
 * Stands for a text of any length as the key of a map, in 43 characters. Texts come from callers, and
 * what one sends must not be taken for what another sent, so it is SHA-256 and no quick hash.
 */
export function digest(text: string): string {
  return Bun.CryptoHasher.hash("sha256", text, "base64url");
}
