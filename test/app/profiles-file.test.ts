import { expect, test } from "bun:test";
import { profilesFile } from "#app/profiles-file.ts";
import { profilesFileBytesMax, profilesReadEveryMs } from "#core/limits.ts";
import { profileNames } from "#trigger/profiles.ts";
import { manualClock } from "../support/manual-clock.ts";

const path = "/etc/profiles.yaml";
const chat = (target: number) => `profiles: { chat: { metric: queue_depth, target: ${target} } }`;

/** A file that the test rewrites; an error is what reading it gives. */
async function heldFile(first: string | Error) {
  let content = first;
  const clock = manualClock();
  const logged: string[] = [];
  let changes = 0;
  const file = await profilesFile({
    path,
    clock,
    log: (level, event) => logged.push(`${level}: ${event}`),
    readFile: async () => {
      if (content instanceof Error) throw content;
      return content;
    },
  });
  file.subscribe(() => {
    changes += 1;
  });
  const write = async (next: string | Error) => {
    content = next;
    clock.advance(profilesReadEveryMs);
    // The reading goes on in microtasks alone, for the file is in memory.
    await Bun.sleep(0);
  };
  const target = () => file.table().get("chat")?.target;
  return { file, write, target, logged, changes: () => changes, clock };
}

test("a changed file changes the profiles, and says so once", async () => {
  const { file, write, target, logged, changes } = await heldFile(chat(4));
  expect(target()).toBe(4);
  const before = file.table();
  await write(chat(4));
  expect(file.table()).toBe(before);
  expect(changes()).toBe(0);
  await write(chat(6));
  expect(target()).toBe(6);
  expect(changes()).toBe(1);
  expect(logged).toEqual(["info: profiles read", "info: profiles read"]);
});

test.each([
  ["is wrong", chat(0), "profiles.chat.target: must be a number from 0.001"],
  ["is gone", new Error("ENOENT"), "the file: cannot be read: ENOENT"],
])("a file that %s changes nothing, until it is right again", async (_what, wrong, problem) => {
  const { file, write, target, logged, changes } = await heldFile(chat(4));
  await write(wrong);
  await write(wrong);
  expect(target()).toBe(4);
  expect(file.fault()?.message).toContain(problem);
  expect(logged.filter((line) => line.startsWith("warn"))).toHaveLength(1);
  expect(changes()).toBe(0);
  await write(chat(5));
  expect(target()).toBe(5);
  expect(file.fault()).toBeUndefined();
  expect(changes()).toBe(1);
});

test("a file that is wrong from the start is a fault with every problem", async () => {
  const yaml = "profiles: { chat: { metric: queue_dept, target: 0 } }";
  await expect(heldFile(yaml)).rejects.toMatchObject({
    code: "file-invalid",
    facts: {
      path,
      problems: [
        expect.stringContaining("profiles.chat.metric"),
        expect.stringContaining("profiles.chat.target"),
      ],
    },
  });
});

test("after a stop the file is read no more", async () => {
  const { file, write, target } = await heldFile(chat(4));
  file.stop();
  await write(chat(6));
  expect(target()).toBe(4);
});

test("without a file there are the built-in profiles", async () => {
  const readFile = () => Promise.reject(new Error("nothing is read"));
  const file = await profilesFile({
    path: undefined,
    clock: manualClock(),
    log: () => {},
    readFile,
  });
  expect([...file.table().keys()]).toEqual(profileNames);
  file.stop();
});

test("a file of the largest size is used", async () => {
  const text = chat(4);
  const { target } = await heldFile(`${text}\n#`.padEnd(profilesFileBytesMax, "x"));
  expect(target()).toBe(4);
});

test("a file that takes long to read is not read twice at once, and again when it was read", async () => {
  const clock = manualClock();
  let reads = 0;
  let hang = Promise.resolve();
  const file = await profilesFile({
    path,
    clock,
    log: () => {},
    readFile: async () => {
      reads += 1;
      await hang;
      return chat(4);
    },
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  hang = promise;
  clock.advance(3 * profilesReadEveryMs);
  expect(reads).toBe(2);
  resolve();
  await Bun.sleep(0);
  clock.advance(profilesReadEveryMs);
  expect(reads).toBe(3);
  file.stop();
});
