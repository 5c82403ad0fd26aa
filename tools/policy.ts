/**
 * Writes the variables of the chart's admission policy from the tables of the trigger keys: CEL by
 * which the API server refuses what the scaler would. The last, `message`, is empty where it takes
 * an object. With `--check` it changes nothing and fails when the policy
 * is not current.
 *
 * The chart's template puts four variables before these: `service` and `namespace` of the scaler,
 * `customProfiles`, the names in its value `profiles`, and `profilesAreOpen`, whether a file of
 * profiles that the chart does not know may have more.
 */
import { join } from "node:path";
import { metadataKeysMax } from "#core/limits.ts";
import { triggerKeyNames } from "#trigger/keys.ts";
import { every, firstOf, list, literal, map, not, says } from "./cel.ts";
import { keepsRule, quotedIn, ruleProblem, ruleWords } from "./policy-keys.ts";
import { keyRules } from "./policy-rules.ts";
import { readNames, resolved, ruleTables } from "./policy-terms.ts";
import { chartPath } from "./render-manifests.ts";

export const policyPath = join(chartPath, "policy.yaml");

const fromEnv = "FromEnv";
/** The name of a key, `foo` for `fooFromEnv`. */
const plain = `(key.endsWith("${fromEnv}") ? key.substring(0, size(key) - ${fromEnv.length}) : key)`;

/** As `namesService` of `src/workload/scaled.ts` knows the Service's address. */
const address = `"(?s)^([a-z]+:/*)?" + variables.service + "([.]" + variables.namespace + "([.]svc([.].*)?)?)?[.]?(:[0-9]+)?$"`;

const triggers = `object.spec.triggers.filter(trigger,
  trigger.type in ["external", "external-push"] &&
  has(trigger.metadata) && "scalerAddress" in trigger.metadata &&
  trigger.metadata.scalerAddress.matches(${address})
).map(trigger, trigger.metadata)`;

const broken = lines(
  triggerKeyNames.map((name) =>
    firstOf(
      [[every(`${literal(name)} in m`, not(keepsRule(name, `m.${name}`))), literal(name)]],
      `""`,
    ),
  ),
);
const checked = `variables.triggers.map(m, {
  "metadata": dyn(m),
  "present": dyn(m.map(key, ${plain})),
  "broken": dyn(${broken}.filter(key, key != "")),
})`;

const unknown = `m.filter(key, !(${plain} in variables.keys)).map(key, ${says`${quotedIn("key")}: unknown key`})`;
const twins = `variables.keys.filter(key, key in m && key + "${fromEnv}" in m).map(key, ${says`${"key"}FromEnv: must not be given beside ${"key"}, which means the same`})`;
const ruleBroken = `trigger.broken.map(key, ${ruleProblem("key", "m[key]")})`;

const texts = map(
  readNames.map((name) => [
    name,
    firstOf(
      [[every(`${literal(name)} in m`, `!(${literal(name)} in trigger.broken)`), `m.${name}`]],
      `""`,
    ),
  ]),
);
const amongKeys = `${lines(keyRules.map((rule) => firstOf([[rule.when, rule.says]], `""`)))}.filter(problem, problem != "")`;

/** CEL has no names for values in an expression, but a list of one has a variable. */
const bound = (name: string, value: string, within: string) =>
  `[${value}].map(${name},\n${within})[0]`;
const read = Object.entries({
  present: "trigger.present",
  sound: "present.filter(key, !(key in trigger.broken))",
  text: texts,
  ...resolved,
}).reduceRight((within, [name, value]) => bound(name, value, within), amongKeys);

const problems = `variables.checked.map(trigger, [trigger.metadata].map(m,
  size(m) > ${metadataKeysMax}
  ? ${says`metadata: must have at most ${literal(String(metadataKeysMax))} keys, got ${"string(size(m))"}`}
  : (
${ruleBroken} +
${unknown} +
${twins} +
${read}
  ).join("; "))[0]).filter(problem, problem != "")`;

const sentence = says`Cannot use the trigger's metadata: ${`variables.problems.join("; ")`}; correct the ${"object.kind"}`;

function lines(elements: readonly string[]): string {
  return `[\n${elements.join(",\n")}\n]`;
}

const variables: Readonly<Record<string, string>> = {
  ...ruleTables,
  keys: list(triggerKeyNames),
  rules: ruleWords,
  triggers,
  checked,
  problems,
  message: firstOf([["size(variables.problems) == 0", `""`]], sentence),
};

const indented = (text: string) => text.replaceAll(/^(?=.)/gm, "    ");
const text = `# Generated from the tables of src/trigger by \`bun run gen\`; do not edit.
${Object.entries(variables)
  .map(([name, expression]) => `- name: ${name}\n  expression: |-\n${indented(expression)}`)
  .join("\n")}
`;

if (import.meta.main) {
  if (!Bun.argv.includes("--check")) await Bun.write(policyPath, text);
  else if ((await Bun.file(policyPath).text()) !== text)
    throw new Error(`${policyPath} is not current: run bun run gen`);
}
