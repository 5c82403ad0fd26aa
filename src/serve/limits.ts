import {
  connectionAgeJitter,
  connectionAgeMs,
  connectionsMax,
  handlerMs,
  messageBytesMax,
  pushSpacingMs,
  shutdownMs,
  streamsMax,
  unaryMax,
  unaryQueueMax,
} from "#core/limits.ts";

/** The limits that the server keeps; their reasons are in `core/limits.ts`. */
export const grpcLimits = {
  messageBytesMax,
  streamsMax,
  unaryMax,
  unaryQueueMax,
  connectionsMax,
  handlerMs,
  connectionAgeMs,
  connectionAgeJitter,
  shutdownMs,
  pushSpacingMs,
};
export type GrpcLimits = Readonly<typeof grpcLimits>;
