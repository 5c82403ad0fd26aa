import { ptr } from "bun:ffi";

/** Memory that native code writes and this side reads in place; it lives as long as the object. */
export interface NativeMemory {
  readonly view: DataView;
  readonly address: number;
  /** Fills the first bytes with `poison`, so that what the driver does not write is refused. */
  readonly poison: (sizeBytes: number) => void;
}

/**
 * Fills memory before a call: a driver that reports success and writes nothing must not hand on the
 * reading before it, or 0. Repeated over 64 bits it is outside every reading's range, as an integer
 * and as a double; over 32 bits it is `unwrittenU32`.
 */
const poison = 0x7f;
export const unwrittenU32 = 0x7f7f_7f7f;

export function nativeMemory(sizeBytes: number): NativeMemory {
  // An explicit buffer never moves; a small typed array may, once its `buffer` is looked at.
  const bytes = new Uint8Array(new ArrayBuffer(sizeBytes));
  return {
    view: new DataView(bytes.buffer),
    address: ptr(bytes),
    poison: (upTo) => {
      bytes.fill(poison, 0, upTo);
    },
  };
}
