/**
 * Which readings a watcher demands beside those that every agent takes: both ends of `WatchRequest`.
 *
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { type WatchRequest, WatchRequestSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import { readingNumbers, readingsByNumber } from "./encode.ts";

export function watchRequest(demanded: readonly ReadingName[]): WatchRequest {
  return create(WatchRequestSchema, {
    demandedReadings: demanded.map((name) => readingNumbers[name]),
  });
}

/** Each once; those that are not known here, which a newer scaler may send, are left out. */
export function demandedReadings(request: WatchRequest): readonly ReadingName[] {
  return [...new Set(request.demandedReadings)].flatMap((number) => readingsByNumber[number] ?? []);
}
