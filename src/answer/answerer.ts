/**
 * Answers from what is in memory: a metric of devices from the fleet's readings, one of engines from
 * their pages, and says how.
 *
 * @module
 */
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import { parseTrigger, type Scope, type Trigger } from "#trigger/trigger.ts";
import type { Workload } from "#workload/workload.ts";
import { watchActivity } from "./activity-watch.ts";
import type { Activity, Answerer } from "./answer.ts";
import { type DeviceSources, deviceAnswers } from "./device-answers.ts";
import { engineAnswers } from "./engine-answers.ts";
import type { EngineWanted } from "./engine-ask.ts";
import type { EngineReader } from "./engine-reader.ts";
import { missingTracker } from "./missing.ts";
import type { Asked } from "./part.ts";
import { type Parse, warned } from "./warned.ts";

export interface AnswererOptions extends DeviceSources {
  /** In a process that reads engines. */
  readonly engines?: EngineReader;
  /** As for the trigger that asks: the other triggers of its object are looked at too. */
  readonly parse?: Parse;
}

export function answerer(options: AnswererOptions): Answerer {
  const { store, clock, engines, parse = parseTrigger } = options;
  const tracker = missingTracker(clock);
  /** What the answer being made has looked up, so that its warnings need not look again. */
  let seen: Workload | undefined;
  const { of } = options.workloads ?? {};
  const workloads = of && {
    of: (...asked: Parameters<typeof of>) => {
      seen = of(...asked);
      return seen;
    },
  };
  const ofDevices = deviceAnswers({ ...options, ...(workloads && { workloads }), tracker });
  const ofEngines = engineAnswers({
    clock,
    tracker,
    ...(engines === undefined ? {} : { engines }),
    ...(workloads === undefined ? {} : { workloads }),
  });

  return {
    value: (ref, trigger) => {
      seen = undefined;
      const wanted = wantedOf(trigger, trigger.metric);
      const answer = isOfEngine(wanted)
        ? ofEngines.value(ref, trigger, wanted)
        : ofDevices.value(ref, trigger, wanted);
      return warned(ref, trigger, answer, { workload: seen, workloads, parse });
    },
    activity: (ref, trigger) => {
      if (trigger.alwaysActive) return alwaysActive(trigger, ofDevices.scopeOf(trigger));
      const wanted = wantedOf(trigger, trigger.activationMetric);
      return isOfEngine(wanted)
        ? ofEngines.activity(ref, trigger, wanted)
        : ofDevices.activity(ref, trigger, wanted);
    },
    subscribe: store.subscribe,
    watchActivity: (ref, trigger, listener) =>
      engines === undefined ? () => undefined : watchActivity(ref, trigger, engines, listener),
  };
}

function wantedOf({ windowSeconds }: Trigger, metric: MetricName): Asked | EngineWanted {
  const row = metricOf(metric);
  return row.source === "device" ? { metric, row, windowSeconds } : { metric, row, windowSeconds };
}

function isOfEngine(wanted: Asked | EngineWanted): wanted is EngineWanted {
  return wanted.row.source === "engine";
}

function alwaysActive({ activationMetric, profile }: Trigger, scope: Scope): Activity {
  return {
    active: true,
    explanation: {
      metric: activationMetric,
      scope,
      rule: `always active: profile ${profile} is never scaled to zero`,
      devices: [],
    },
  };
}
