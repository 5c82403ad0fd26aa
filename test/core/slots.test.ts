import { expect, test } from "bun:test";
import { slots } from "#core/slots.ts";

/** Tasks that end when the test says so, and which of them have begun. */
function tasks(most: number) {
  const run = slots(most);
  const begun: string[] = [];
  const ends = new Map<string, { end: () => void; fail: (error: Error) => void }>();
  const start = (name: string) =>
    run(() => {
      begun.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, { end: () => resolve(name), fail: reject });
      });
    });
  return { begun, start, end: (name: string) => ends.get(name)?.end(), ends };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("so many tasks run at once, and the others wait in order", async () => {
  const { begun, start, end } = tasks(2);
  const all = ["a", "b", "c", "d"].map(start);
  await turn();
  expect(begun).toEqual(["a", "b"]);
  end("b");
  await turn();
  expect(begun).toEqual(["a", "b", "c"]);
  end("a");
  await turn();
  expect(begun).toEqual(["a", "b", "c", "d"]);
  end("c");
  end("d");
  expect(await Promise.all(all)).toEqual(["a", "b", "c", "d"]);
});

test("a slot that nobody waits for is free again, after a failure too", async () => {
  const { begun, start, end, ends } = tasks(1);
  const failing = start("a");
  ends.get("a")?.fail(new Error("broken"));
  await expect(failing).rejects.toThrow("broken");
  const next = start("b");
  expect(begun).toEqual(["a", "b"]);
  void start("c");
  await turn();
  expect(begun).toEqual(["a", "b"]);
  end("b");
  await next;
  await turn();
  expect(begun).toEqual(["a", "b", "c"]);
});
