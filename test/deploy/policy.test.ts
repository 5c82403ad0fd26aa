import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { Fault } from "#core/fault.ts";
import { quotedCharsMax } from "#core/limits.ts";
import { type TriggerKeyName, triggerKeyNames, triggerKeys } from "#trigger/keys.ts";
import type { Rule } from "#trigger/rules.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { namesService } from "#workload/scaled.ts";
import { manifestsPath } from "../../tools/render-manifests.ts";
import { refusedMetadata } from "../fixtures/refused-metadata.ts";
import { ofKind, only, parseObjects } from "./kinds.ts";
import { policyOf, type Scaled } from "./policy.ts";

/** The evaluator takes some milliseconds for each metadata. */
setDefaultTimeout(60_000);

type Metadata = Readonly<Record<string, string>>;

/** Whatever the test says of it, the policy of the manifests is the chart's. */
const manifests = parseObjects(await Bun.file(manifestsPath).text());
const policy = policyOf(only(ofKind(manifests, "ValidatingAdmissionPolicy")).spec);

const scalerAddress = "keda-gpu-scaler.keda.svc.cluster.local:6000";
const scaled = (...triggers: readonly Metadata[]): Scaled => ({
  kind: "ScaledObject",
  spec: { triggers: triggers.map((metadata) => ({ type: "external", metadata })) },
});
const policySays = (metadata: Metadata) =>
  policy(scaled({ scalerAddress, ...metadata })).join("\n");

/** The program's own sentence, or nothing where it takes the metadata. */
function programSays(metadata: Metadata): string {
  try {
    parseTrigger({ scalerAddress, ...metadata });
    return "";
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // CEL has no distance between words.
    return error.message.replaceAll(/; did you mean [^;]+\?/g, "");
  }
}

/** Rows of `refusedMetadata` that the policy takes, each with what it lacks. */
const leftToTheProgram: Readonly<Record<string, string>> = {
  "an environment value by its own name": "the value comes with KEDA's call",
  "a pattern that looks ahead": "CEL does not judge patterns",
  "a pattern that grows": "CEL does not judge patterns",
  "long patterns": "a pattern cannot count what it takes apart",
  "long patterns, counted": "a pattern cannot count what it takes apart",
  "a path with a function": "JSONPath is no regular language",
};

describe("the policy refuses what the program refuses, in its words", () => {
  test.each(refusedMetadata)("%s", (why, metadata) => {
    const expected = Object.hasOwn(leftToTheProgram, why) ? "" : programSays(metadata);
    expect(policySays(metadata)).toBe(expected);
  });

  test("and no row is left to it that is there no more", () => {
    const rows = refusedMetadata.map(([why]) => why);
    expect(Object.keys(leftToTheProgram).filter((why) => !rows.includes(why))).toEqual([]);
  });

  test("every problem of every trigger at once", () => {
    const [first, second] = [
      { scalerAddress, aggregration: "max", gpuIndex: "first" },
      { scalerAddress, targetValue: "0" },
    ];
    expect(policy(scaled(first, second))).toEqual([
      "Cannot use the trigger's metadata: gpuIndex: must be an integer from -1 to 65535, " +
        'got "first"; "aggregration": unknown key; targetValue: must be a decimal number from ' +
        '0.001 to 1000000000000, got "0"; correct the ScaledObject',
    ]);
  });

  test("a key by its first characters where it is long", () => {
    expect(policySays({ ["x".repeat(4_000)]: "" })).toContain(`"${"x".repeat(quotedCharsMax)}…"`);
  });

  test("too many keys, and says only that", () => {
    const keys = Array.from({ length: 64 }, (_, n) => [`key${n}`, ""]);
    expect(policySays(Object.fromEntries(keys))).toBe(programSays(Object.fromEntries(keys)));
  });
});

describe("whose triggers it judges", () => {
  const misspelt = { aggregration: "max" };
  test.each([
    "keda-gpu-scaler",
    "keda-gpu-scaler:6000",
    "keda-gpu-scaler.keda:6000",
    "keda-gpu-scaler.keda.svc:6000",
    "keda-gpu-scaler.keda.svc.cluster.local.:6000",
    "dns:///keda-gpu-scaler.keda:6000",
  ])("%s", (address) => {
    expect(policySays({ ...misspelt, scalerAddress: address })).toContain("unknown key");
  });

  test.each([
    "keda-gpu-scaler.other:6000",
    "keda-gpu-scaler-agent.keda:6000",
    "my-keda-gpu-scaler.keda:6000",
    "keda-gpu-scaler.keda.svcfoo",
    "10.0.0.1:6000",
    "",
  ])("not %p", (address) => {
    expect(policySays({ ...misspelt, scalerAddress: address })).toBe("");
  });

  test("not other kinds of trigger, nor those without an address", () => {
    const [trigger] = scaled({ scalerAddress, ...misspelt }).spec.triggers;
    const of = (type: string) => ({ ...scaled(), spec: { triggers: [{ ...trigger, type }] } });
    expect(policy(of("prometheus") as Scaled)).toEqual([]);
    expect(policy(of("external-push") as Scaled)).toHaveLength(1);
    expect(policy(scaled(misspelt))).toEqual([]);
  });

  test("those of a ScaledJob, by its name", () => {
    const job: Scaled = { ...scaled({ scalerAddress, ...misspelt }), kind: "ScaledJob" };
    expect(policy(job).join()).toEndWith("; correct the ScaledJob");
  });

  test("the same as the program, whatever the address", () => {
    const label = fc.constantFrom("keda-gpu-scaler", "keda", "svc", "cluster", "local", "other");
    const ending = fc.constantFrom("", ":6000", ".", ".:6000", ":", ":x");
    const address = fc
      .tuple(fc.constantFrom("", "dns:", "dns:///"), fc.array(label, { maxLength: 5 }), ending)
      .map(([scheme, labels, end]) => scheme + labels.join(".") + end);
    fc.assert(
      fc.property(address, (text) => {
        const [trigger] = scaled({ ...misspelt, scalerAddress: text }).spec.triggers;
        const isOurs = namesService({ ...trigger, metricType: "AverageValue" } as never, [
          "keda-gpu-scaler.keda",
        ]);
        expect(policySays({ ...misspelt, scalerAddress: text }) !== "").toBe(isOurs);
      }),
    );
  });
});

test("an object from before the policy may change in everything but its triggers", () => {
  const old = scaled({ scalerAddress, aggregration: "max" });
  expect(policy(structuredClone(old), old)).toEqual([]);
  expect(policy(scaled({ scalerAddress, aggregration: "min" }), old)).toHaveLength(1);
});

/** Texts of each key, mostly good, so that rules among keys decide. */
function textsOf(name: TriggerKeyName): fc.Arbitrary<string> {
  const { choices = [] }: Rule<unknown> = triggerKeys[name];
  const texts = {
    target: ["80", "80", "70", "0.001", "1e3"],
    Seconds: ["60", "0", "601"],
    enginePort: ["8000", "8000", "65536"],
    enginePath: ["/metrics", "/metrics", "/a/../b", "//a", "/a?b=.."],
    ndpoint: [
      "http://a:1",
      "http://a/",
      "http://a/m?x=/",
      "HTTP://a",
      "https://a",
      "http://u@a",
      "http://a#b",
    ],
    engineMetric: ["a", "a", "a / b", "a/b", "1"],
    engineJsonPath: ["$.a", "$.a", "a"],
    engineLabels: ['a="b"', 'route_name="a",route_namespace="b"', 'route_name="a"', "a=b"],
    podSelector: ["app=llm", "app in (a,b)", "app in (a b)", ""],
  };
  const own = Object.entries(texts).find(([part]) => name.includes(part))?.[1];
  const named = choices.length === 0 ? ["a", "b", "a", "a.b", "A b"] : [...choices, "none"];
  return fc.constantFrom(...(own ?? named));
}
const keepsRule = ([name, text]: readonly [name: TriggerKeyName, text: string, share: number]) =>
  v.is(triggerKeys[name].schema, text);
const entry = fc
  .constantFrom(...triggerKeyNames.filter((name) => name !== "scalerAddress"))
  .chain((name) => fc.tuple(fc.constant(name), textsOf(name), fc.nat(3)));
const entries = fc.uniqueArray(entry, { selector: ([name]) => name, maxLength: 6 });

describe("whatever the metadata", () => {
  test("the policy says what the program says", () => {
    const verdicts = { good: 0, refused: 0 };
    fc.assert(
      fc.property(entries, (drawn) => {
        const metadata = Object.fromEntries(drawn.map(([name, text]) => [name, text]));
        const text = programSays(metadata);
        verdicts[text === "" ? "good" : "refused"] += 1;
        const said = policySays(metadata);
        // What a key that breaks its own rule was to mean is guessed in two ways.
        if (drawn.every(keepsRule)) expect(said).toBe(text);
        else expect(said).not.toBe("");
      }),
      { numRuns: 1_000 },
    );
    expect(Math.min(...Object.values(verdicts))).toBeGreaterThan(50);
  });

  test("what comes from the environment is refused only where no value of it were taken", () => {
    let refused = 0;
    fc.assert(
      fc.property(entries, fc.infiniteStream(fc.nat()), (drawn, seeds) => {
        const isFromEnv = ([, , share]: (typeof drawn)[number]) => share === 0;
        const object = Object.fromEntries(
          drawn.map((each) =>
            isFromEnv(each) ? [`${each[0]}FromEnv`, "VARIABLE"] : [each[0], each[1]],
          ),
        );
        if (policySays(object) === "") return;
        refused += 1;
        for (const seed of seeds.take(20)) {
          const sent = Object.fromEntries(
            drawn.map((each) => {
              const [name, text] = each;
              const resolved = () => fc.sample(textsOf(name), { seed, numRuns: 1 })[0] ?? "";
              return isFromEnv(each) ? [`${name}FromEnv`, resolved()] : [name, text];
            }),
          );
          expect(programSays(sent)).not.toBe("");
        }
      }),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(50);
  });
});
