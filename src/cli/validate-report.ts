/**
 * What `validate` found, as lines that editors and CI systems know, and as JSON.
 *
 * @module
 */
import type { YamlPlace } from "#core/yaml-text.ts";
import { plural } from "#simulate/report/format.ts";

interface PlacedFinding extends YamlPlace {
  readonly severity: "error" | "warning";
  readonly code?: string | undefined;
  readonly message: string;
  /** `ScaledObject/chat`; absent where it is about no object. */
  readonly object?: string | undefined;
}

export interface FileFindings {
  /** As the command line names it. */
  readonly name: string;
  /** In the order of the text. */
  readonly findings: readonly PlacedFinding[];
  /** ScaledObjects and ScaledJobs. */
  readonly objects: number;
  readonly ownTriggers: number;
  /** External triggers of other scalers, which were not checked. */
  readonly otherTriggers: number;
  /** Documents of other kinds, which were not checked. */
  readonly otherDocuments: number;
}

/** `chat.yaml:12: error: …`, one line a finding, and a line that counts. */
export function textOf(files: readonly FileFindings[]): string {
  const lines = files.flatMap(({ name, findings }) =>
    findings.map(({ line, severity, message, code }) => {
      const about = code === undefined ? "" : ` [${code}]`;
      return `${name}:${line}: ${severity}: ${message}${about}\n`;
    }),
  );
  const { objects, triggers, errors, warnings, skipped } = countsOf(files);
  const found = `${plural(errors, "error")}, ${plural(warnings, "warning")}`;
  const what = `${plural(triggers, "trigger")} in ${plural(objects, "object")} checked`;
  const rest = [
    skipped.documents === 0 ? [] : [plural(skipped.documents, "document")],
    skipped.triggers === 0 ? [] : [`${plural(skipped.triggers, "trigger")} of other scalers`],
  ].flat();
  const left = rest.length === 0 ? "" : `; skipped: ${rest.join(", ")}`;
  return `${lines.join("")}${what}: ${found}${left}\n`;
}

export function jsonOf(files: readonly FileFindings[]): string {
  const findings = files.flatMap(({ name, findings: own }) =>
    own.map(({ line, column, ...finding }) => ({ file: name, line, column, ...finding })),
  );
  return `${JSON.stringify({ ...countsOf(files), findings }, null, 2)}\n`;
}

function countsOf(files: readonly FileFindings[]) {
  const sum = (of: (file: FileFindings) => number) =>
    files.reduce((total, file) => total + of(file), 0);
  const count = (severity: PlacedFinding["severity"]) =>
    sum(({ findings }) => findings.filter((finding) => finding.severity === severity).length);
  return {
    objects: sum(({ objects }) => objects),
    triggers: sum(({ ownTriggers }) => ownTriggers),
    errors: count("error"),
    warnings: count("warning"),
    skipped: {
      documents: sum(({ otherDocuments }) => otherDocuments),
      triggers: sum(({ otherTriggers }) => otherTriggers),
    },
  };
}
