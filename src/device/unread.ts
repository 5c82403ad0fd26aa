import { readingNames } from "#metric/reading.ts";
import type { DeviceHealth, DeviceSample } from "#metric/sample.ts";

/** A device that was read before and is not now. What it never has stays unsupported. */
export function unread({ absences, ...device }: DeviceSample, health: DeviceHealth): DeviceSample {
  const now = readingNames.map((name) => [
    name,
    absences[name] === "unsupported" ? "unsupported" : "failed",
  ]);
  return { ...device, health, readings: {}, absences: Object.fromEntries(now) };
}
