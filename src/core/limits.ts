/**
 * Every limit of the process, with its reason. A limit that nothing enforces does not belong here.
 *
 * @module
 */

/** One log line for the same event and facts in this time: a steady fault is one line a minute. */
export const logRepeatMs = 60_000;

/** A ScaledObject's metadata is a few hundred bytes; KEDA sends nothing larger. */
export const messageBytesMax = 1024 * 1024;
export const metadataKeysMax = 64;
export const metadataValueBytesMax = 4 * 1024;

/** KEDA holds one push stream a trigger, all on one connection; one costs about 50 kB here. */
export const streamsMax = 5_000;
/** Calls worked on at once: each lasts well below a millisecond, so more only costs memory. */
export const callsMax = 64;
/** Calls that wait for their turn: KEDA may open every stream and ask every value in one moment. */
export const callsWaitingMax = 10_000;
/** Least time between two rounds over the push streams: a large fleet changes all the time. */
export const pushSpacingMs = 200;
/** The text of an error travels in a header, which clients limit to 8 KiB or more. */
export const faultMessageCharsMax = 2_048;
/** KEDA holds one connection a scaler address; the rest are probes and people. */
export const connectionsMax = 512;
/** Answers come from memory, so a call still open after this is a client that stopped sending. */
export const handlerMs = 1_000;

/** After this a connection is asked to reconnect, so that KEDA spreads over new replicas. */
export const connectionAgeMs = 600_000;
/** Spread of that age, so that connections opened together do not return together. */
export const connectionAgeJitter = 0.2;

/** KEDA's default termination grace is 30 s; a stop that takes 5 s leaves room for the kubelet. */
export const shutdownMs = 5_000;

/** Agents that one process follows: one stream each, the same count as streams it may serve. */
export const agentsMax = 5_000;
/** Every scaler replica watches every agent; this many replicas nobody runs. */
export const telemetryWatchersMax = 64;

/** Below three intervals one slow driver call would already be an outage. */
export const staleIntervals = 3;
export const staleLeastMs = 5_000;

/** A reading that costs is taken this long after somebody last asked: a trigger asks far more often. */
export const demandHoldMs = 600_000;
/** How long a stop waits for the sampling thread, which may be inside a driver call of 45 s. */
export const samplerStopMs = 1_000;

/** A mock file is written by hand; one that is larger is not a mock file. */
export const mockFileBytesMax = 1024 * 1024;
/** No node has more; it bounds what a typing error in `count` can cost. */
export const mockDevicesMax = 256;

/** Time a reading may be absent before its device stops counting: see `answer`. */
export const missingGraceMs = 300_000;

/** The longest `windowSeconds` a trigger may ask for. */
export const windowSecondsMax = 600;

/**
 * Age from which a reading is not served any more.
 *
 * @param sampleIntervalMs Time between two samples.
 * @returns Milliseconds.
 */
export function staleAfterMs(sampleIntervalMs: number): number {
  return Math.max(staleIntervals * sampleIntervalMs, staleLeastMs);
}
