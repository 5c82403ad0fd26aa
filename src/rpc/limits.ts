import {
  callsMax,
  callsWaitingMax,
  connectionAgeJitter,
  connectionAgeMs,
  connectionsMax,
  handlerMs,
  messageBytesMax,
  pushSpacingMs,
  shutdownMs,
  streamsMax,
} from "#core/limits.ts";

/** The limits that the server keeps; their reasons are in `src/core/limits.ts`. */
export const grpcLimits = {
  messageBytesMax,
  streamsMax,
  callsMax,
  callsWaitingMax,
  connectionsMax,
  handlerMs,
  connectionAgeMs,
  connectionAgeJitter,
  shutdownMs,
  pushSpacingMs,
};
export type GrpcLimits = Readonly<typeof grpcLimits>;
