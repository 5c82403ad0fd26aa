import type { Log } from "#core/log.ts";
import { type Absences, type ReadingName, readingNames } from "#metric/reading.ts";
import type { DeviceHealth } from "#metric/sample.ts";

/** Takes each sample's health; tells whether its state has changed. */
export type HealthLog = (health: DeviceHealth, absences: Absences, index: number) => boolean;

/** Logs a GPU's health when it changes, and once what the process may not read. */
export function healthLog(uuid: string, log: Log): HealthLog {
  let logged: DeviceHealth["state"] = "ok";
  let isPermissionLogged = false;
  const isDenied = (absences: Absences) => {
    for (const name in absences) if (absences[name as ReadingName] === "not-permitted") return true;
    return false;
  };
  return (health, absences, index) => {
    if (!isPermissionLogged && isDenied(absences)) {
      isPermissionLogged = true;
      const names = readingNames.filter((name) => absences[name] === "not-permitted");
      log("warn", "gpu readings not permitted", { uuid, index, readings: names });
    }
    if (health.state === logged) return false;
    logged = health.state;
    if (health.state === "ok") log("info", "gpu recovered", { uuid, index });
    else log("warn", "gpu unhealthy", { uuid, index, state: health.state, reason: health.reason });
    return true;
  };
}
