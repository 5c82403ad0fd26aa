import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { messageBytesMax } from "#core/limits.ts";
import { frameReader } from "#telemetry/watch.ts";

function frame(message: Uint8Array, flag = 0): Uint8Array {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag, 0);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe("frameReader()", () => {
  test("gives each message once and whole, however the bytes are cut", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 30 })), (sent, cuts) => {
        const received: number[][] = [];
        const read = frameReader((message) => received.push([...message]));
        let rest: Uint8Array = Buffer.concat(sent.map((message) => frame(message)));
        for (const cut of cuts) {
          read(rest.subarray(0, cut));
          rest = rest.subarray(cut);
        }
        read(rest);
        expect(received).toEqual(sent.map((message) => [...message]));
      }),
    );
  });

  test("refuses a compressed message, which was not offered", () => {
    const received: Uint8Array[] = [];
    const read = frameReader((message) => received.push(message));
    expect(() => read(frame(new Uint8Array(3), 1))).toThrow("it is compressed");
    expect(received).toEqual([]);
  });

  test("refuses a message above the limit by its header, and takes one at it", () => {
    const header = (bytes: number) => frame(new Uint8Array(bytes)).subarray(0, 5);
    const read = frameReader(() => {});
    expect(() => read(header(messageBytesMax))).not.toThrow();
    expect(() => frameReader(() => {})(header(messageBytesMax + 1))).toThrow(
      `${messageBytesMax + 1} bytes, the limit is ${messageBytesMax}`,
    );
  });
});
