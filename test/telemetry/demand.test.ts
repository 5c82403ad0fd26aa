import { expect, test } from "bun:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { WatchRequestSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { readingNames } from "#metric/reading.ts";
import { demandedReadings, watchRequest } from "#telemetry/demand.ts";

test("what is demanded arrives", () => {
  const bytes = toBinary(WatchRequestSchema, watchRequest(readingNames));
  expect(demandedReadings(fromBinary(WatchRequestSchema, bytes))).toEqual(readingNames);
});

test("an older scaler demands nothing", () => {
  expect(demandedReadings(fromBinary(WatchRequestSchema, new Uint8Array(0)))).toEqual([]);
});

test("readings of a newer scaler are left out, and none counts twice", () => {
  const request = { ...watchRequest([]), demandedReadings: [0, 62, 19, 19, 1_000_000, 20] };
  expect(demandedReadings(request)).toEqual([
    "pcieTxKilobytesPerSecond",
    "pcieRxKilobytesPerSecond",
  ]);
});
