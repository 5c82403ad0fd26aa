import type { Cancel } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { metricOf } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { WorkloadRef } from "./answer.ts";
import { placeTarget } from "./engine-ask.ts";
import type { EngineReader } from "./engine-reader.ts";

/**
 * Listens to every place behind the URL from which a trigger's activity is read, as places come and
 * go. The workload's own pods are read at their usual pace: none is there while it is at zero.
 */
export function watchActivity(
  { namespace }: WorkloadRef,
  trigger: Trigger,
  engines: EngineReader,
  listener: () => void,
): Cancel {
  const { endpoint, activationMetric } = trigger;
  if (endpoint === undefined || metricOf(activationMetric).source !== "engine")
    return () => undefined;
  const heard = new Map<string, Cancel>();

  const follow = () => {
    const places = orNothing(() => engines.endpointsOf(endpoint, namespace)) ?? [];
    const now = new Map(places.map((place) => [JSON.stringify(place), place]));
    for (const [key, cancel] of heard)
      if (!now.has(key)) {
        cancel();
        heard.delete(key);
      }
    for (const [key, place] of now) {
      if (heard.has(key)) continue;
      const cancel = orNothing(() =>
        engines.listen(placeTarget(place, namespace, trigger, engines), listener),
      );
      if (cancel !== undefined) heard.set(key, cancel);
    }
  };
  follow();
  const unsubscribe = engines.onEndpointsChange(() => {
    follow();
    listener();
  });
  return () => {
    unsubscribe();
    for (const cancel of heard.values()) cancel();
    heard.clear();
  };
}

/** The answer itself says what is wrong. */
function orNothing<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
