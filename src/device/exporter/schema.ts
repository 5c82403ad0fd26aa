/**
 * The shape of an exporter's table: which series of its page is which reading of which device.
 * `tables/` has examples.
 *
 * @module
 */
import * as v from "valibot";
import { between, choice, exact, isMapping, say, whole } from "#core/file-schema.ts";
import { deviceTextCharsMax, exporterCollectionSecondsMax } from "#core/limits.ts";
import { type ReadingName, readingNames } from "#metric/reading.ts";
import { isTemplate } from "./template.ts";
import { unitFactors } from "./units.ts";

const text = v.pipe(
  v.string(say("must be text (in quotes if it looks like a number or a date)")),
  v.minLength(1, "must not be empty"),
  v.maxLength(deviceTextCharsMax, `must have at most ${deviceTextCharsMax} characters`),
);
const template = v.pipe(
  text,
  v.check(
    isTemplate,
    say('must be text with labels as {name}, {name after /} or {name div other}, as in "{UUID}"'),
  ),
);
const labelName = v.pipe(
  text,
  v.regex(/^[A-Za-z_]\w*$/, say("must be the name of a label: letters, digits and _")),
);
const seriesName = v.pipe(
  text,
  v.regex(/^[A-Za-z_:][\w:]*$/, say("must be the name of a series: letters, digits, _ and :")),
);
const date = v.pipe(
  text,
  v.regex(/^\d{4}-\d{2}-\d{2}$/, say('must be a day in quotes, as in "2026-11-24"')),
);
const url = v.pipe(text, v.regex(/^https?:\/\/\S+$/, say("must be a URL")));
/** Values that labels must have; `""` stands for a label that is not there, as in PromQL. */
const labels = v.optional(v.record(labelName, v.string(say("must be text in quotes"))), {});

type OneOrMore<Item> = v.LazySchema<v.GenericSchema<unknown, readonly Item[]>>;

function oneOrMore<Item>(item: v.GenericSchema<unknown, Item>, what: string): OneOrMore<Item> {
  const several = v.pipe(v.array(item), v.minLength(1, `must have at least one ${what}`));
  const one = v.pipe(
    item,
    v.transform((only) => [only]),
  );
  return v.lazy((input) => (Array.isArray(input) ? several : one));
}

const reduceNames = ["sum", "max", "mean"] as const;
const kindNames = ["gauge", "counter"] as const;

export interface ReadingSource {
  /** All of them must be there. */
  readonly series: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly kind: (typeof kindNames)[number];
  readonly reduce?: (typeof reduceNames)[number] | undefined;
}

function sourceOf(name: ReadingName): v.GenericSchema<unknown, ReadingSource> {
  const units = Object.keys(unitFactors[name]);
  return exact({
    series: oneOrMore(seriesName, "series"),
    labels,
    unit: choice(units),
    /** A counter's reading is how much it grows in a second. */
    kind: v.optional(choice(kindNames), "gauge"),
    /** Of several series of one device; without it there must be one. */
    reduce: v.optional(choice(reduceNames)),
  });
}
const readings = v.pipe(
  exact(
    Object.fromEntries(
      readingNames.map((name) => [name, v.optional(oneOrMore(sourceOf(name), "source"))]),
    ) as {
      [Name in ReadingName]: v.OptionalSchema<OneOrMore<ReadingSource>, undefined>;
    },
  ),
  v.check(
    (value) => isMapping(value) && Object.values(value).some((one) => one !== undefined),
    "must have at least one reading",
  ),
);

/** Everything that an exporter's table may say. */
export const tableSchema = exact({
  name: text,
  /** Where its facts come from. */
  source: oneOrMore(url, "URL"),
  version: text,
  date,
  /** As in `nvidia`; a device that a driver of this vendor is read for is not taken from a page too. */
  vendor: text,
  port: whole(1, 65_535),
  path: v.optional(v.pipe(text, v.regex(/^\/\S*$/, say("must begin with /"))), "/metrics"),
  /** How often it takes its own readings, where it does not take them when it is asked. */
  collectionSeconds: v.optional(between(0, exporterCollectionSecondsMax), 0),
  /** Values that stand for no value. */
  blanks: v.optional(v.array(v.number(say("must be a number"))), []),
  /** A series of the whole page, whose labels every device has too. */
  info: v.optional(oneOrMore(seriesName, "series")),
  device: exact({
    id: template,
    index: v.optional(template),
    model: template,
    pciBusId: v.optional(template),
    /** Which series are of a device at all. */
    labels,
    /** What it means that a device is not on the page any more: gone, or that nothing runs on it. */
    absent: v.optional(choice(["lost", "idle"]), "lost"),
  }),
  readings,
  /** Labels that name the container that holds a device. */
  holder: v.optional(exact({ namespace: labelName, pod: labelName, container: labelName })),
  /** How the vendor's device plugin names a device to the kubelet; `*` at the end is a part's number. */
  plugin: v.optional(
    oneOrMore(
      exact({
        resource: v.pipe(text, v.includes("/", say("must be a resource, as in habana.ai/gaudi"))),
        id: v.pipe(
          text,
          v.check(
            (id) => isTemplate(id.replace(/\*$/, "")) && !id.slice(0, -1).includes("*"),
            say("must be text with labels as {name}, with * at its end for a part"),
          ),
        ),
      }),
      "resource",
    ),
  ),
});
export type ExporterTable = v.InferOutput<typeof tableSchema>;
