/**
 * Words that no identifier of `src` uses, because the field has another word for each, or plain
 * English has.
 *
 * @module
 */

/** Whole names and parts of camelCase names, with their plural and verb forms; and what to say. */
export const retiredWords: Readonly<Record<string, string>> = {
  aim: "target, goal",
  attend: "watch, follow",
  draft: "builder, partial",
  eye: "reader, view",
  given: "value, input, specified",
  glance: "poll, check, snapshot",
  grouped: "groups, by the key: podsByNode",
  heed: "observe, apply",
  look: "read, get, poll",
  patient: "device, the thing itself",
  scene: "context, dependencies",
  seen: "observed, known, visited",
  sight: "view, snapshot",
  stand: "state, status",
  told: "notified, sent, reported",
  touch: "refresh, markUsed",
  wanted: "requested, desired",
  warmth: "prefetch, readiness",
};

/** Parts that make another word of a retired one: a stand-in, to look up. */
export const compounds: Readonly<Record<string, string>> = { stand: "in", look: "up" };

/** Type names that say nothing by themselves; as a part of a name each may be right. */
export const retiredTypes: Readonly<Record<string, string>> = {
  Asked: "what was asked: MetricRequest, Query",
  Part: "what it is a part of: DeviceResult",
  Place: "Endpoint, Address",
};
