import type { Readings } from "./reading.ts";

/**
 * Which part of its GPU a MIG instance or partition is, by memory: of what only the chip as a whole
 * tells, as its power, that part is taken to be the instance's. What no instance has of the memory is nobody's.
 *
 * @returns From 0 to 1; `undefined` where one of the two does not tell its memory.
 */
export function instanceShare(instance: Readings, whole: Readings): number | undefined {
  const [part, all] = [instance.memoryTotalBytes, whole.memoryTotalBytes];
  return part === undefined || all === undefined ? undefined : Math.min(part / all, 1);
}
