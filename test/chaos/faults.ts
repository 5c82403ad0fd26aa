/**
 * Everything that is done to the cluster, each fault with its end.
 *
 * @module
 */
import type { Random } from "#simulate/random.ts";
import type { ChaosCluster, ChaosEngine, Member } from "./cluster.ts";
import type { ChaosProcess } from "./process.ts";
import { networkFaults, type TcpProxy } from "./proxy.ts";

export interface Fault {
  /** For people, and to play it again. */
  readonly name: string;
  /** What it befalls: two faults of one thing are never in force together. */
  readonly befalls: string;
  readonly begin: () => void | Promise<void>;
  readonly end: () => void | Promise<void>;
}

/** Every way a page of metrics lies that can be known for a lie. */
const lies: Readonly<Record<string, () => Response | Promise<Response>>> = {
  "a login page": () =>
    new Response("<html>Sign in</html>", { headers: { "content-type": "text/html" } }),
  nothing: () => new Response(""),
  "an error": () => new Response("boom", { status: 500 }),
  "no number": () => new Response('vllm:num_requests_waiting{model_name="m"} NaN\n'),
  "less than nothing": () => new Response('vllm:num_requests_waiting{model_name="m"} -7\n'),
  "half a number": () =>
    new Response(
      new ReadableStream({
        start: (page) => {
          page.enqueue('vllm:num_requests_waiting{model_name="m"} 1');
          page.error(new Error("the engine ends in the middle of a number"));
        },
      }),
    ),
  "no end": () =>
    new Response(new ReadableStream({ pull: (page) => page.enqueue("x".repeat(64 * 1024)) })),
  never: () => new Promise<Response>(() => undefined),
};

export function below(random: Random, count: number): number {
  return Math.floor(random.next() * count);
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[below(random, items.length)];
  if (item === undefined) throw new Error("there is one to pick");
  return item;
}

/** Draws faults, each kind once before any comes again, of any part of the cluster. */
export function faultDeck(cluster: ChaosCluster, random: Random): () => Fault {
  const { nodes, scalers, engines } = cluster;
  const node = () => pick(random, nodes);
  const scaler = () => pick(random, scalers);
  const engine = () => pick(random, engines);
  const member = () => pick(random, [...nodes, ...scalers]);
  const kinds: readonly (() => Fault)[] = [
    () => killed(node().process),
    () => killed(scaler().process),
    () => stopped(member().process),
    () => frozen(node().process),
    () => frozen(scaler().process),
    () => unreachable(node(), "its scalers", random),
    () => unreachable(scaler(), "the API server", random),
    () => wrongClock(member(), random),
    () => fullDisk(member().process),
    () => fewDescriptors(scaler(), nodes, random),
    () => failingApi(cluster, random),
    () => forgetfulApi(cluster),
    () => absentApi(cluster),
    () => mutedKubelet(node(), pick(random, ["hangs", "vanishes"])),
    () => lyingEngine(engine(), random),
    () => unreachableEngine(engine(), random),
  ];
  let deck: (() => Fault)[] = [];
  return () => {
    if (deck.length === 0) deck = [...kinds];
    const [draw] = deck.splice(below(random, deck.length), 1);
    if (draw === undefined) throw new Error("a deck that was filled has a fault");
    return draw();
  };
}

function killed(process: ChaosProcess): Fault {
  return {
    name: `${process.name} is killed`,
    befalls: process.name,
    begin: () => process.signal("SIGKILL"),
    end: () => process.start(),
  };
}

function stopped(process: ChaosProcess): Fault {
  return {
    ...killed(process),
    name: `${process.name} is stopped`,
    begin: () => process.signal("SIGTERM"),
  };
}

function frozen(process: ChaosProcess): Fault {
  return {
    name: `${process.name} is frozen`,
    befalls: process.name,
    begin: () => process.signal("SIGSTOP"),
    end: () => process.signal("SIGCONT"),
  };
}

function fullDisk(process: ChaosProcess): Fault {
  const again = (disk: "usual" | "full") => async () => {
    await process.signal("SIGTERM");
    await process.start(disk);
  };
  return {
    name: `${process.name} logs to a full disk`,
    befalls: process.name,
    begin: again("full"),
    end: again("usual"),
  };
}

function wrongClock({ process, shiftClock }: Member, random: Random): Fault {
  const hours = pick(random, [-24, -1, -0.01, 0.01, 1, 24]);
  return {
    name: `the wall clock of ${process.name} jumps by ${hours} h`,
    befalls: `clock of ${process.name}`,
    begin: () => shiftClock(hours * 3_600_000),
    end: () => shiftClock(0),
  };
}

function cut(network: TcpProxy, name: string, random: Random): Fault {
  const fault = pick(random, networkFaults);
  return {
    name: `the network ${name}: ${fault}`,
    befalls: `network ${name}`,
    begin: () => network.fail(fault),
    end: () => network.fail(undefined),
  };
}

function unreachable({ process, network }: Member, other: string, random: Random): Fault {
  return cut(network, `between ${process.name} and ${other}`, random);
}

function unreachableEngine({ engine, network }: ChaosEngine, random: Random): Fault {
  return cut(network, `before engine ${engine.address}`, random);
}

/** Agents' connections are cut too, so that new ones are needed. */
function fewDescriptors({ process }: Member, nodes: readonly Member[], random: Random): Fault {
  const more = below(random, 3);
  return {
    name: `${process.name} may open ${more} more descriptors, and its agents' connections are cut`,
    befalls: process.name,
    begin: () => {
      process.limitDescriptors(more);
      for (const { network } of nodes) {
        network.fail("resets");
        network.fail(undefined);
      }
    },
    end: () => process.limitDescriptors(undefined),
  };
}

function failingApi({ kubernetes }: ChaosCluster, random: Random): Fault {
  const status = pick(random, [429, 500, 503]);
  const retryAfterSeconds = status === 429 ? { retryAfterSeconds: 1 } : {};
  return {
    name: `the API server answers ${status} and ends every watch`,
    befalls: "kubernetes",
    begin: () => {
      kubernetes.fail({ path: /./, status, ...retryAfterSeconds });
      kubernetes.disconnect();
    },
    end: () => kubernetes.fail(),
  };
}

function forgetfulApi({ kubernetes }: ChaosCluster): Fault {
  return {
    name: "the API server has forgotten its history, and says 410 to every watch",
    befalls: "kubernetes",
    begin: () => {
      kubernetes.compact();
      kubernetes.failWatches(410, "too old resource version");
    },
    end: () => kubernetes.compact("status"),
  };
}

function absentApi({ kubernetes }: ChaosCluster): Fault {
  return {
    name: "the API server is gone",
    befalls: "kubernetes",
    begin: kubernetes.goAway,
    end: kubernetes.comeBack,
  };
}

function mutedKubelet(
  { process, kubelet }: ChaosCluster["nodes"][number],
  how: "hangs" | "vanishes",
): Fault {
  return {
    name: `the kubelet of ${process.name} ${how}`,
    befalls: `kubelet of ${process.name}`,
    begin: () => (how === "hangs" ? kubelet.hang(true) : kubelet.vanish()),
    end: () => (how === "hangs" ? kubelet.hang(false) : kubelet.comeBack()),
  };
}

function lyingEngine({ engine }: ChaosEngine, random: Random): Fault {
  const [what, reply] = pick(random, Object.entries(lies));
  return {
    name: `engine ${engine.address} answers ${what}`,
    befalls: `engine ${engine.address}`,
    begin: () => engine.answer(reply),
    end: () => engine.answer(),
  };
}
