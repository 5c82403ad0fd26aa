/**
 * Blocks of code in the Markdown documents: what they hold, and the commands in them.
 *
 * @module
 */

export interface CodeBlock {
  /** `document.md:LINE` of its first line of code. */
  readonly place: string;
  readonly language: string;
  readonly code: string;
}

/** Every block between fences, also inside a list, without the list's indentation. */
export function codeBlocks(document: string, text: string): readonly CodeBlock[] {
  return [...text.matchAll(/^( *)```(\w+)\n([\s\S]*?)^\1```$/gm)].map(
    ({ index, 1: indentation = "", 2: language = "", 3: code = "" }) => ({
      place: `${document}:${text.slice(0, index).split("\n").length + 1}`,
      language,
      code: code.replaceAll(new RegExp(`^${indentation}`, "gm"), ""),
    }),
  );
}

/**
 * YAML that `validate` can read: whole objects as they are, and the triggers of a ScaledObject, or
 * the metadata of one of them, in an object around them. Absent: it is neither.
 */
export function scaledYaml({ language, code }: CodeBlock): string | undefined {
  if (language !== "yaml") return undefined;
  if (/^kind: Scaled(Object|Job)$/m.test(code)) return code;
  const around = (triggers: string) => `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: model, namespace: team-a }
spec:
  scaleTargetRef: { name: model }
  minReplicaCount: 1
${indented(triggers, 2)}`;
  if (/^triggers:$/m.test(code)) return around(code);
  if (/^metadata:\n {2}scalerAddress:/m.test(code))
    return around(`triggers:\n  - type: external\n${indented(code, 4)}`);
  return undefined;
}

/**
 * The arguments of each call of `program` in a block of shell, with options on further lines; also
 * of a call that another program makes: `kubectl exec POD -- program`, `srun program`.
 */
export function commandLines(code: string, program: string): readonly (readonly string[])[] {
  const isProgram = (word: string) =>
    word === program || (/^[\w./]+$/.test(word) && word.endsWith(`/${program}`));
  return code
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .flatMap((line) => line.replace(/(^|\s)#.*$/, "").split(/\||&&|&|;|<\(|>|\$\(|\)/))
    .map(shellWords)
    .flatMap((words) => {
      const at = words.findIndex(
        (word, index) =>
          isProgram(word) && (index === 0 || ["--", "srun"].includes(words[index - 1] ?? "")),
      );
      return at === -1 ? [] : [words.slice(at + 1)];
    });
}

/** Words of a command, with what stands in quotes as one. */
function shellWords(command: string): readonly string[] {
  const words = command.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replaceAll(/["']/g, ""));
}

const indented = (text: string, spaces: number) => text.replaceAll(/^(?=.)/gm, " ".repeat(spaces));
