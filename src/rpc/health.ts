import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { listeners } from "#core/listeners.ts";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "#gen/grpc/health/v1/health_pb.ts";
import { type Subscribe, updates } from "./streams.ts";

/** Whether the data is fresh enough to answer with. */
export interface HealthSource {
  readonly serving: () => boolean;
  /** Tells when `serving` may have changed. */
  readonly subscribe: Subscribe;
}

/** grpc.health.v1 as its specification says; any other service is unknown to it. */
export function healthService(
  { serving, subscribe }: HealthSource,
  names: readonly string[],
): ServiceImpl<typeof Health> {
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
      for await (const _ of updates(context, subscribe)) {
        const now = services.includes(service) ? status() : Status.SERVICE_UNKNOWN;
        if (now !== sent) yield { status: now };
        sent = now;
      }
    },
  };
}

/** A health source that can be made to say no for good. */
interface StoppableHealth extends HealthSource {
  readonly stop: () => void;
  readonly stopped: () => boolean;
}

/** `source` until `stop` is called; then it is not serving any more. */
export function stoppableHealth(source: HealthSource): StoppableHealth {
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
      const cancels = [stops.subscribe(listener), source.subscribe(listener)];
      return () => {
        for (const cancel of cancels) cancel();
      };
    },
  };
}
