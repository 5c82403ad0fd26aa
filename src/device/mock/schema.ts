/**
 * The shape of a mock file; `default.yaml` is an example of one.
 *
 * @module
 */
import * as v from "valibot";
import { between, choice, exact, number, say, whole } from "#core/file-schema.ts";
import {
  deviceTextCharsMax,
  healthReasonCharsMax,
  mockDevicesMax,
  mockSecondsMax,
} from "#core/limits.ts";
import { type Range, type ReadingName, readingNames, readingRanges } from "#metric/reading.ts";
import { conditionKinds } from "#metric/sample.ts";
import { type MockSignal, waveShapes } from "./signal.ts";

const text = v.pipe(
  v.string(say("must be text (in quotes if it looks like a number)")),
  v.minLength(1, "must not be empty"),
  v.maxLength(deviceTextCharsMax, `must have at most ${deviceTextCharsMax} characters`),
);
const seconds = between(-mockSecondsMax, mockSecondsMax);
const aboveZero = v.pipe(number, v.gtValue(0, say("must be above 0")));
const positive = v.pipe(
  aboveZero,
  v.maxValue(mockSecondsMax, say(`must be at most ${mockSecondsMax}`)),
);

/** What moves within a reading's range: a device cannot have another value. */
function signalWithin({ least, most }: Range) {
  const value = between(least, most);
  const wave = v.pipe(
    exact({
      wave: choice(waveShapes),
      low: value,
      high: value,
      periodSeconds: positive,
      phaseSeconds: v.optional(seconds, 0),
    }),
    v.check(
      ({ low, high }) => low <= high,
      ({ input: { low, high } }) => `low must not be above high, got ${low} > ${high}`,
    ),
  );
  const step = exact({ forSeconds: positive, value });
  const steps = exact({
    steps: v.pipe(
      v.array(step, say("must be a list of steps")),
      v.minLength(1, "must not be empty"),
    ),
    repeat: v.optional(v.boolean(say("must be true or false")), false),
  });
  const constant = v.pipe(v.number(say("must be a number, a wave or steps")), value);
  return v.lazy((input): v.GenericSchema<unknown, MockSignal> => {
    if (typeof input !== "object" || input === null) return constant;
    return "steps" in input ? steps : wave;
  });
}

const readings = exact(
  Object.fromEntries(
    readingNames.map((name) => [name, v.optional(signalWithin(readingRanges[name]))]),
  ) as {
    [Name in ReadingName]: v.OptionalSchema<ReturnType<typeof signalWithin>, undefined>;
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

const condition = exact({
  kind: choice(conditionKinds),
  detail: v.pipe(
    v.string(say("must be text")),
    v.maxLength(healthReasonCharsMax, `must have at most ${healthReasonCharsMax} characters`),
  ),
});
const conditions = v.pipe(
  v.array(condition, say("must be a list of conditions")),
  v.check(
    (list) => new Set(list.map(({ kind }) => kind)).size === list.length,
    say("must have each kind once"),
  ),
);

const template = {
  model: v.optional(text, "Mock GPU"),
  vendor: v.optional(text, "mock"),
  /** What a person should know of it; its readings stand. */
  conditions: v.optional(conditions, []),
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
  staggerSeconds: v.optional(seconds, 0),
  faults,
});
export type MockFile = v.InferOutput<typeof fileSchema>;
export type FileDevice = v.InferOutput<typeof device>;
export type MockFaults = v.InferOutput<typeof faults>;
