import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { scaleEveryMs } from "#core/limits.ts";
import type { KubernetesClient } from "./client.ts";

/** The object that is scaled. */
export interface ScaleTarget {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly name: string;
  /** The plural in the path, where KEDA has resolved it already. */
  readonly resource?: string | undefined;
}

interface RawResourceList {
  readonly resources?: readonly { readonly name: string; readonly kind: string }[];
}

interface CachedList {
  readonly list: Promise<RawResourceList>;
  readonly readAtMs: number;
}

/** The API's path of a group and version. */
export function groupPath({ group, version }: Pick<ScaleTarget, "group" | "version">): string {
  const [groupText, versionText] = [group, version].map(encodeURIComponent);
  return group === "" ? `/api/${versionText}` : `/apis/${groupText}/${versionText}`;
}

/**
 * Finds the plural of a kind by discovery, with one request for each group and version.
 *
 * A list serves for as long as it has the kinds that are needed. One that it lacks may have been
 * installed since: then the list is read again, at most once in `scaleEveryMs`.
 *
 * @throws {Fault} `scale-target-unusable` for a kind that is not installed.
 */
export function resourceNames(
  client: KubernetesClient,
  clock: Clock,
): (target: ScaleTarget) => Promise<string> {
  const lists = new Map<string, CachedList>();

  const listOf = (path: string, refresh: boolean): Promise<RawResourceList> => {
    const cached = lists.get(path);
    const ageMs = clock.monotonicMs() - (cached?.readAtMs ?? Number.NEGATIVE_INFINITY);
    if (cached !== undefined && !(refresh && ageMs > scaleEveryMs)) return cached.list;
    const list = client.get(path) as Promise<RawResourceList>;
    lists.set(path, { list, readAtMs: clock.monotonicMs() });
    list.catch(() => lists.delete(path));
    return list;
  };
  const pluralIn = ({ resources = [] }: RawResourceList, kind: string) =>
    resources.find((each) => each.kind === kind && !each.name.includes("/"))?.name;

  return async ({ group, version, kind, name, resource }) => {
    if (resource !== undefined) return resource;
    const path = groupPath({ group, version });
    const plural =
      pluralIn(await listOf(path, false), kind) ?? pluralIn(await listOf(path, true), kind);
    if (plural !== undefined) return plural;
    throw new Fault(
      "scale-target-unusable",
      `Cannot scale ${kind} ${name}: ${path} has no such kind; install it, or correct the ` +
        "ScaledObject's scaleTargetRef",
      { target: `${kind} ${name}` },
    );
  };
}
