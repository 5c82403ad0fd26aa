/**
 * The rules among trigger keys in CEL: what `src/trigger/key-rules.ts` and its neighbours decide by
 * code, over the same tables and in the same words. The policy's tests hold both against each other.
 */
import { scopedNames, scopeOf } from "#trigger/key-rules.ts";
import { endpointEngines, endpointNames, shorthandNames, shorthands } from "#trigger/resolve.ts";
import { every, literal, not, says, some } from "./cel.ts";
import { engineRules } from "./policy-engine-rules.ts";
import {
  has,
  hasAny,
  isKnown,
  isRead,
  isSound,
  type KeyRule,
  profileIsKnown,
  seriesNamers,
  text,
} from "./policy-terms.ts";

const pairs = <Name>(names: readonly Name[]) =>
  names.flatMap((one, at) => names.slice(at + 1).map((other) => [one, other] as const));

function shorthandRules(): readonly KeyRule[] {
  const both = pairs(shorthandNames).map(([one, other]) => ({
    when: every(has(one), has(other)),
    says: literal(`${one}: must not be given beside ${other}`),
  }));
  const means = shorthandNames.flatMap((name) => {
    const alone = shorthandNames.filter((other) => other !== name).map((other) => not(has(other)));
    const metric = shorthands[name];
    const differs = `double(${text(name)}) != double(text.targetValue)`;
    return [
      {
        when: every(
          has(name),
          ...alone,
          isRead("metricType"),
          `text.metricType != ${literal(metric)}`,
        ),
        says: says`${literal(`${name}: means metricType ${metric}, got metricType `)}${"text.metricType"}`,
      },
      {
        when: every(isRead(name), ...alone, isRead("targetValue"), differs),
        says: says`${literal(`${name}: means targetValue `)}${text(name)}, got targetValue ${"text.targetValue"}`,
      },
    ];
  });
  return [...both, ...means];
}

function targetRules(): readonly KeyRule[] {
  const without = every(
    not(hasAny(["targetValue", ...shorthandNames])),
    profileIsKnown,
    isKnown("metricType"),
    some(
      isRead("metricType"),
      not(some(...seriesNamers.map(isSound))),
      isKnown("activationMetricType"),
    ),
  );
  const unit = "variables.units[metric]";
  const profileMetric = "variables.profiles[text.profile].metric";
  return [
    {
      when: every(without, not(has("profile")), `${unit} != "%"`),
      says: says`targetValue: must be given for ${"metric"}, whose unit is ${unit}: 80 is for percentages`,
    },
    {
      when: every(without, has("profile"), `${unit} != variables.units[${profileMetric}]`),
      says: says`targetValue: must be given where metricType ${"metric"} (${unit}) replaces ${profileMetric} (${`variables.units[${profileMetric}]`}) of profile ${"text.profile"}`,
    },
  ];
}

function endpointRules(): readonly KeyRule[] {
  const others = endpointNames.slice(1).map((name, at) => ({
    when: every(has(name), hasAny(endpointNames.slice(0, at + 1))),
    says: says`${literal(`${name}: must not be given beside `)}${"endpoint"}`,
  }));
  const engines = endpointNames.flatMap((name) => {
    const engine = endpointEngines[name];
    if (engine === undefined) return [];
    return {
      when: every(
        `endpoint == ${literal(name)}`,
        isRead("engine"),
        `text.engine != ${literal(engine)}`,
      ),
      says: says`${literal(`${name}: means engine ${engine}, got engine `)}${"text.engine"}`,
    };
  });
  // Backslashes and parts of dots mean something to a URL parser, and are left to it.
  const hasPath = endpointNames.map((name) =>
    every(
      `endpoint == ${literal(name)}`,
      `${text(name)}.matches(${literal(String.raw`^[a-zA-Z]+://[^/?\\]+/[^.%\\?][^.%\\?]*([?]|$)`)})`,
    ),
  );
  return [
    ...others,
    ...engines,
    {
      when: every(has("enginePort"), `endpoint != ""`),
      says: says`enginePort: must not be given beside ${"endpoint"}, whose URL names the port`,
    },
    {
      when: every(has("engineScheme"), `endpoint != ""`),
      says: says`engineScheme: must not be given beside ${"endpoint"}, whose URL names the scheme`,
    },
    {
      when: every(has("enginePath"), some(...hasPath)),
      says: says`enginePath: must not be given beside ${"endpoint"}, whose URL has a path`,
    },
  ];
}

function scopeRules(): readonly KeyRule[] {
  const inScope = scopedNames.map((name) => ({
    when: every(has(name), isRead("scope"), `text.scope != ${literal(scopeOf[name])}`),
    says: says`${literal(`${name}: only has a meaning in scope ${scopeOf[name]}, got scope `)}${"text.scope"}`,
  }));
  const implied = pairs(scopedNames).flatMap(([first, other]) => {
    if (scopeOf[first] === scopeOf[other]) return [];
    return {
      when: every(not(has("scope")), has(first), has(other)),
      says: literal(`${other}: must not be given beside ${first}, which means scope node`),
    };
  });
  return [...inScope, ...implied];
}

/** Each of them, in the parser's order. */
export const keyRules: readonly KeyRule[] = [
  ...shorthandRules(),
  ...targetRules(),
  ...endpointRules(),
  ...engineRules,
  ...scopeRules(),
];
