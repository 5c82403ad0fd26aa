import type { Adapter } from "./adapter.ts";

/** Any page in JSON, of which the trigger names the number by its path. */
export const json: Adapter = {
  engine: "json",
  title: "a page in JSON",
  port: 80,
  path: "/",
  otherPaths: [],
  enable: "name the number with engineJsonPath",
  checked: {
    versions: "RFC 8259, and RFC 9535 for paths",
    source: "rfc-editor.org",
    lacks: "signals of its own: the trigger names a number",
  },
  owns: () => false,
  signals: {},
};
