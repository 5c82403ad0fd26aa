/** One call that is over, whatever its end was. */
export interface FinishedCall {
  /** As on the wire, `externalscaler.ExternalScaler/IsActive`; `unknown` when there is no such method. */
  readonly method: string;
  /** The gRPC status, `OK` or `UNAVAILABLE`. */
  readonly code: string;
  readonly durationMs: number;
}

/** Where the server counts. Each function is called when its fact changes and must not throw. */
export interface Meter {
  readonly finished: (call: FinishedCall) => void;
  readonly openStreams: (count: number) => void;
  readonly openConnections: (count: number) => void;
}
