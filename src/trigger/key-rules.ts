/**
 * Rules among the keys that say what is measured, and whose devices.
 *
 * @module
 */
import { metricOf } from "#metric/catalogue.ts";
import { aimOf, hasUnitOf, shorthandNames, shorthands } from "./aim.ts";
import type { scopes, TriggerValues } from "./keys.ts";
import type { Parsed } from "./metadata.ts";
import type { Profile } from "./profiles.ts";

/** Keys that mean something in one scope alone; each asks for that scope by being there. */
const scopeOf = { node: "node", podSelector: "workload", container: "workload" } as const;
const scopedNames = Object.keys(scopeOf) as (keyof typeof scopeOf)[];

export function impliedScope(values: TriggerValues): (typeof scopes)[number] | undefined {
  const name = scopedNames.find((scoped) => values[scoped] !== undefined);
  return name && scopeOf[name];
}

export function shorthandProblems({ values, isGiven }: Parsed): readonly string[] {
  const given = shorthandNames.filter(isGiven);
  if (given.length > 1) return [`${given[0]}: must not be given beside ${given[1]}`];
  return given.flatMap((name) => {
    const metric = shorthands[name];
    const problems: string[] = [];
    if (values.metricType !== undefined && values.metricType !== metric)
      problems.push(`${name}: means metricType ${metric}, got metricType ${values.metricType}`);
    const [short, long] = [values[name], values.targetValue];
    if (short !== undefined && long !== undefined && short !== long)
      problems.push(`${name}: means targetValue ${short}, got targetValue ${long}`);
    return problems;
  });
}

/** A profile's target in another unit would be a number that nobody chose. */
export function profileProblems(
  { values, isGiven }: Parsed,
  profile: Profile | undefined,
): readonly string[] {
  if (profile === undefined) return [];
  if (["targetValue" as const, ...shorthandNames].some(isGiven)) return [];
  const { metric } = aimOf(values, profile);
  if (hasUnitOf(metric, profile.metric)) return [];
  return [
    `targetValue: must be given where metricType ${metric} (${metricOf(metric).unit}) ` +
      `replaces ${profile.metric} (${metricOf(profile.metric).unit}) of profile ${values.profile}`,
  ];
}

export function scopeProblems({ values, isGiven }: Parsed): readonly string[] {
  const given = scopedNames.filter(isGiven);
  const asked = values.scope;
  if (asked !== undefined)
    return given
      .filter((name) => scopeOf[name] !== asked)
      .map((name) => `${name}: only has a meaning in scope ${scopeOf[name]}, got scope ${asked}`);
  const [first, ...more] = given;
  return first === undefined || isGiven("scope")
    ? []
    : more
        .filter((name) => scopeOf[name] !== scopeOf[first])
        .map((name) => `${name}: must not be given beside ${first}, which means scope node`);
}
