/**
 * The shape of a mock file; `default.yaml` is an example of one.
 *
 * @module
 */
import * as v from "valibot";
import { choice, exact, number, say, whole } from "#core/file-schema.ts";
import { deviceTextCharsMax, mockDevicesMax } from "#core/limits.ts";
import { type ReadingName, readingNames } from "#metric/reading.ts";
import { type MockSignal, waveShapes } from "./signal.ts";

const text = v.pipe(
  v.string(say("must be text (in quotes if it looks like a number)")),
  v.minLength(1, "must not be empty"),
  v.maxLength(deviceTextCharsMax, `must have at most ${deviceTextCharsMax} characters`),
);
const finite = v.pipe(number, v.finite(say("must be finite")));
const aboveZero = v.pipe(number, v.gtValue(0, say("must be above 0")));
const positive = v.pipe(aboveZero, v.finite(say("must be finite")));
const wave = v.pipe(
  exact({
    wave: choice(waveShapes),
    low: finite,
    high: finite,
    periodSeconds: positive,
    phaseSeconds: v.optional(finite, 0),
  }),
  v.check(({ low, high }) => low <= high, "low must not be above high"),
);
const step = exact({ forSeconds: positive, value: number });
const steps = exact({
  steps: v.pipe(v.array(step, say("must be a list of steps")), v.minLength(1, "must not be empty")),
  repeat: v.optional(v.boolean(say("must be true or false")), false),
});
const signal = v.lazy((input): v.GenericSchema<unknown, MockSignal> => {
  if (typeof input !== "object" || input === null)
    return v.number(say("must be a number, a wave or steps"));
  return "steps" in input ? steps : wave;
});

const readings = exact(
  Object.fromEntries(readingNames.map((name) => [name, v.optional(signal)])) as {
    [Name in ReadingName]: v.OptionalSchema<typeof signal, undefined>;
  },
);

const spanEntries = {
  fromSeconds: v.optional(v.pipe(number, v.minValue(0, say("must not be below 0"))), 0),
  toSeconds: v.optional(aboveZero, Number.POSITIVE_INFINITY),
};
export interface FaultSpan {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}
const ordered = <Spanned extends FaultSpan>() =>
  v.check<Spanned, string>(
    ({ fromSeconds, toSeconds }) => fromSeconds < toSeconds,
    "fromSeconds must be below toSeconds",
  );
/** `true`, or from when to when. */
const span = v.lazy(
  (input): v.GenericSchema<unknown, FaultSpan> =>
    typeof input === "object" && input !== null
      ? v.pipe(exact(spanEntries), ordered())
      : v.pipe(
          v.literal(true, say("must be true, or fromSeconds and toSeconds")),
          v.transform(() => ({ fromSeconds: 0, toSeconds: Number.POSITIVE_INFINITY })),
        ),
);
const faults = v.optional(
  exact({
    /** Gone from the bus. */
    lost: v.optional(span),
    /** Blocks each pass for ever, as a driver does that has lost its firmware. */
    hang: v.optional(span),
    /** Blocks each pass for this long. */
    slow: v.optional(v.pipe(exact({ milliseconds: positive, ...spanEntries }), ordered())),
    /** Readings that the device does not have, whatever `readings` says. */
    unsupported: v.optional(v.array(choice(readingNames), say("must be a list of readings")), []),
  }),
  {},
);

const template = {
  model: v.optional(text, "Mock GPU"),
  vendor: v.optional(text, "mock"),
  readings: v.optional(readings, {}),
  faults,
};
const device = exact({
  ...template,
  uuid: v.optional(text),
  index: v.optional(whole(0, 4095)),
  minor: v.optional(whole(0, 4095)),
  pciBusId: v.optional(
    v.pipe(
      text,
      v.regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/, say("must look like 0000:3b:00.0")),
    ),
  ),
  parentUuid: v.optional(text),
});

/** Everything that a mock file may say. */
export const fileSchema = exact({
  driverVersion: v.optional(text),
  libraryVersion: v.optional(text),
  devices: v.optional(
    v.pipe(
      v.array(device, say("must be a list of devices")),
      v.maxLength(mockDevicesMax, `must not be longer than ${mockDevicesMax}`),
    ),
  ),
  /** So many devices like `device`, instead of `devices`. */
  count: v.optional(whole(0, mockDevicesMax)),
  device: v.optional(exact(template)),
  /** By how much each device's readings are ahead of those of the device before it. */
  staggerSeconds: v.optional(finite, 0),
  faults,
});
export type MockFile = v.InferOutput<typeof fileSchema>;
export type FileDevice = v.InferOutput<typeof device>;
export type MockFaults = v.InferOutput<typeof faults>;
