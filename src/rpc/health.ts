import { Code, ConnectError } from "@connectrpc/connect";
import type { Cancel } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "#gen/grpc/health/v1/health_pb.ts";
import type { Implementation } from "./unary.ts";
import { wakeups } from "./wakeups.ts";

/** Whether the data is fresh enough to answer with. */
export interface HealthSource {
  readonly serving: () => boolean;
  /** Runs `listener` whenever `serving` may have changed; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => Cancel;
}

/** grpc.health.v1 as its specification says; any other service is unknown to it. */
export function healthService(
  { serving, subscribe }: HealthSource,
  names: readonly string[],
): Implementation<typeof Health> {
  // The empty name is the server as a whole.
  const services = ["", ...names];
  const status = () => (serving() ? Status.SERVING : Status.NOT_SERVING);
  return {
    check({ service }) {
      if (services.includes(service)) return { status: status() };
      const rule = `known are ${services.map((name) => `"${name}"`).join(" and ")}`;
      const text = `Cannot tell the health of ${JSON.stringify(service)}: ${rule}`;
      throw new ConnectError(text, Code.NotFound);
    },

    list: () => ({
      statuses: Object.fromEntries(services.map((name) => [name, { status: status() }])),
    }),

    /** An unknown service is a status here, not an error: it might be known one day. */
    async *watch({ service }, context) {
      let sent: Status | undefined;
      for await (const _ of wakeups(context, subscribe)) {
        const now = services.includes(service) ? status() : Status.SERVICE_UNKNOWN;
        if (now !== sent) yield { status: now };
        sent = now;
      }
    },
  };
}

/** A health source that can be made to say no for good. */
export interface StoppableHealth extends HealthSource {
  readonly stop: () => void;
  readonly stopped: () => boolean;
}

/** `source` until `stop` is called; from then on it is not serving, and its listeners are told. */
export function stoppable(source: HealthSource): StoppableHealth {
  const stops = listeners();
  let stopped = false;
  return {
    serving: () => !stopped && source.serving(),
    stopped: () => stopped,
    stop: () => {
      stopped = true;
      stops.notify();
    },
    subscribe: (listener) => {
      const leave = stops.subscribe(listener);
      const unsubscribe = source.subscribe(listener);
      return () => {
        leave();
        unsubscribe();
      };
    },
  };
}
