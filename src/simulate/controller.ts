/** What keeps as many pods as a scale target asks for, and replaces them when their template changes. */
export interface Controller {
  /** Moves pods towards that many of the newest template; one pass, as a controller's sync is. */
  readonly sync: (specReplicas: number, nowMs: number) => void;
  /** The pod template has changed. */
  readonly rollOut: () => void;
  /** As the target's status says it. */
  readonly statusReplicas: () => number;
}
