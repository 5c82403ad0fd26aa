import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { agentSource, systemResolve } from "#fleet/agents.ts";
import { manualClock } from "../support/manual-clock.ts";

type Answer = readonly string[] | Error;

function source(text: string, ...answers: readonly Answer[]) {
  const clock = manualClock();
  const logged: string[] = [];
  const asked: string[] = [];
  let next = 0;
  const resolve = async (host: string) => {
    asked.push(host);
    const answer = answers[Math.min(next++, answers.length - 1)] ?? [];
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const log = (_level: string, event: string) => logged.push(event);
  const agents = agentSource(text, { clock, log, resolve, refreshMs: 1_000 });
  let told = 0;
  agents.subscribe(() => {
    told += 1;
  });
  /** Lets the answers that are under way arrive, then `seconds` pass. */
  const pass = async (seconds = 0) => {
    await new Promise((done) => setImmediate(done));
    clock.advance(seconds * 1_000);
    await new Promise((done) => setImmediate(done));
  };
  const addresses = () => agents.list()?.map(({ address, port }) => `${address} ${port}`);
  return { ...agents, pass, addresses, asked, logged, told: () => told };
}

describe("a fixed list", () => {
  test("is read as it is written, IPv6 in brackets", () => {
    expect(source("gpu-1:6000, 10.0.0.7:6001,[fd00::7]:6002").list()).toEqual([
      { address: "gpu-1", port: 6000, ready: true },
      { address: "10.0.0.7", port: 6001, ready: true },
      { address: "fd00::7", port: 6002, ready: true },
    ]);
  });

  test("takes the least and the greatest port", () => {
    expect(source("a:1,b:65535").addresses()).toEqual(["a 1", "b 65535"]);
  });

  test.each([
    "",
    "gpu-1",
    "gpu-1:0",
    "gpu-1:65536",
    "a:1,,b:2",
    "http://a:1",
    "dns:///a",
    "fd00::7:1",
  ])("%p is refused, and told how to write it", (text) => {
    expect(() => source(text)).toThrow(Fault);
    expect(() => source(text)).toThrow("write host:port,host:port or dns:///name:port");
  });
});

describe("a name", () => {
  test("is resolved again and again, and tells only of changes", async () => {
    const agents = source(
      "dns:///agents.keda.svc:6000",
      ["10.0.0.2", "10.0.0.1"],
      ["10.0.0.1", "10.0.0.2"],
      ["10.0.0.1"],
    );
    expect(agents.list()).toBeUndefined();
    await agents.pass();
    expect(agents.asked).toEqual(["agents.keda.svc"]);
    expect(agents.addresses()).toEqual(["10.0.0.1 6000", "10.0.0.2 6000"]);
    expect(agents.told()).toBe(1);
    await agents.pass(1);
    expect(agents.told()).toBe(1);
    await agents.pass(1);
    expect(agents.addresses()).toEqual(["10.0.0.1 6000"]);
    expect(agents.told()).toBe(2);

    agents.close();
    await agents.pass(10);
    expect(agents.asked).toHaveLength(3);
  });

  test("without addresses is an empty list; a resolver in trouble leaves the list as it was", async () => {
    const trouble = new Error("EAI_AGAIN");
    const agents = source("dns:///agents:6000", trouble, ["10.0.0.1"], trouble, trouble, []);
    await agents.pass();
    expect(agents.list()).toBeUndefined();
    await agents.pass(1);
    await agents.pass(1);
    await agents.pass(1);
    expect(agents.addresses()).toEqual(["10.0.0.1 6000"]);
    await agents.pass(1);
    expect(agents.list()).toEqual([]);
    const [lost, back] = ["agents' name does not resolve", "agents' name resolves again"];
    expect(agents.logged).toEqual([lost, back, lost, back]);
  });
});

describe("systemResolve()", () => {
  const failing = (code: string) => async () => {
    throw Object.assign(new Error(code), { code });
  };

  test("gives every address", async () => {
    const resolve = systemResolve(async () => [{ address: "10.0.0.1" }, { address: "fd00::1" }]);
    expect(await resolve("agents")).toEqual(["10.0.0.1", "fd00::1"]);
  });

  test("takes a name without addresses for an answer, and no other failure", async () => {
    for (const code of ["ENOTFOUND", "ENODATA"])
      expect(await systemResolve(failing(code))("agents")).toEqual([]);
    await expect(systemResolve(failing("EAI_AGAIN"))("agents")).rejects.toThrow("EAI_AGAIN");
  });
});
