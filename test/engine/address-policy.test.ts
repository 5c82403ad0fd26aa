import { describe, expect, test } from "bun:test";
import { isIPv4 } from "node:net";
import fc from "fast-check";
import { Fault } from "#core/fault.ts";
import { addressKind } from "#engine/scrape/address-kind.ts";
import { allowedUrl, podEndpoint, resolvedEndpoint } from "#engine/scrape/address-policy.ts";

const rules = { allow: [] as readonly string[], clusterDomain: "cluster.local" };
const name = (url: string, allow: readonly string[] = []) =>
  allowedUrl(url, "shop", { ...rules, allow }).name;

describe("allowedUrl() resolves as a Service of the own namespace", () => {
  test.each([
    "http://vllm:8000/metrics",
    "http://vllm.shop:8000",
    "http://vllm.shop.svc",
    "http://vllm.shop.svc.cluster.local:8000",
    "http://vllm.shop.svc.cluster.local.:8000",
    "http://VLLM.shop/metrics?x=1",
  ])("%s", (url) => {
    expect(name(url)).toBe("vllm.shop.svc.cluster.local.");
  });

  test("a bare name that is this machine's own elsewhere", () => {
    expect(name("http://localhost:8000")).toBe("localhost.shop.svc.cluster.local.");
  });
});

describe("allowedUrl() refuses", () => {
  test.each([
    ["another namespace", "http://vllm.bank:8000/metrics"],
    ["another namespace in full", "http://vllm.bank.svc.cluster.local"],
    ["a host outside", "http://example.org/metrics"],
    ["a pod of a StatefulSet, which is no Service", "http://vllm-0.vllm.shop.svc.cluster.local"],
    ["another cluster's domain", "http://vllm.shop.svc.example.org"],
    ["an address", "http://10.0.0.1:8000"],
    ["loopback", "http://127.0.0.1:8000"],
    ["loopback over IPv6", "http://[::1]:8000"],
    ["a short loopback", "http://127.1"],
    ["metadata", "http://169.254.169.254/latest"],
    ["metadata in decimal", "http://2852039166/"],
    ["metadata in hexadecimal", "http://0xa9fea9fe/"],
    ["metadata in octal", "http://0251.0376.0251.0376/"],
    ["metadata in mixed spelling", "http://0xa9.254.0251.254/"],
    ["metadata over IPv6", "http://[fd00:ec2::254]/"],
    ["metadata mapped into IPv6", "http://[::ffff:169.254.169.254]/"],
    ["metadata mapped in hexadecimal", "http://[::ffff:a9fe:a9fe]/"],
    ["another scheme", "file:///etc/passwd"],
    ["a socket's scheme", "wss://vllm"],
    ["another namespace over TLS", "https://vllm.bank:8000/metrics"],
    ["metadata over TLS", "https://169.254.169.254/latest"],
    ["a password over TLS", "https://user:password@vllm.shop"],
    ["a user", "http://user@vllm.shop"],
    ["no URL", "vllm.shop:8000"],
    ["a name with an underscore", "http://vl_lm.shop"],
  ])("%s", (_what, url) => {
    expect(() => name(url)).toThrow(Fault);
    expect(() => name(url)).toThrow("Cannot ask");
  });

  test.each([
    "http://169.254.169.254/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
  ])("metadata whatever the operator allows: %s", (url) => {
    const allow = ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]", "*"];
    expect(() => name(url, allow)).toThrow("metadata address is never asked");
  });
});

describe("--allow-endpoint", () => {
  test.each([
    ["localhost", "http://localhost:1", true],
    ["localhost:8000", "http://localhost:8000", true],
    ["localhost:8000", "http://localhost:8001", false],
    ["localhost:*", "http://localhost:8001", true],
    ["*.example.org", "http://a.b.example.org", true],
    ["*.example.org", "http://example.org", false],
    ["*.example.org", "http://badexample.org", false],
    ["10.0.0.1", "http://10.0.0.1:8000", true],
    ["10.0.0.1", "http://10.0.0.12:8000", false],
    ["*.0.0.1", "http://10.0.0.1:8000", false],
    ["[fd00::1]:8000", "http://[fd00::1]:8000", true],
    ["vllm.bank.svc", "http://vllm.bank.svc:8000", true],
  ])("%s and %s: %p", (pattern, url, isAllowed) => {
    const ask = () => allowedUrl(url, "", { ...rules, allow: [pattern] });
    if (isAllowed) expect(ask().url.href).toStartWith(url);
    else expect(ask).toThrow("--allow-endpoint");
  });
});

describe("resolvedEndpoint()", () => {
  const pin = (addresses: readonly string[], allow: readonly string[] = []) => {
    const url = allow.length > 0 ? "http://gate.example.org:9000/m" : "http://vllm:8000/metrics";
    return resolvedEndpoint(allowedUrl(url, "shop", { ...rules, allow }), () =>
      Promise.resolve(addresses),
    );
  };

  test("connects to the address that was checked, under the name that was asked", async () => {
    expect(await pin(["10.1.2.3", "10.1.2.4"])).toEqual({
      url: "http://vllm:8000",
      address: "10.1.2.3",
      port: 8000,
      host: "vllm:8000",
      isTls: false,
    });
  });

  test.each([
    ["metadata", "169.254.169.254", "metadata address"],
    ["metadata mapped", "::ffff:169.254.169.254", "metadata address"],
    ["loopback", "127.0.0.1", "own address"],
    ["link-local", "fe80::1%eth0", "own address"],
    ["nothing", "0.0.0.0", "own address"],
    ["multicast", "224.0.0.1", "no single machine"],
  ])("refuses a name for %s, also as one of several", async (_what, address, message) => {
    await expect(pin([address])).rejects.toThrow(message);
    await expect(pin(["10.1.2.3", address])).rejects.toThrow(message);
  });

  test("lets only an exact pattern lead to this machine", async () => {
    await expect(pin(["127.0.0.1"], ["*.example.org"])).rejects.toThrow("own address");
    expect((await pin(["127.0.0.1"], ["gate.example.org"])).address).toBe("127.0.0.1");
    await expect(pin(["169.254.169.254"], ["gate.example.org"])).rejects.toThrow("metadata");
  });

  test("takes port 80 where the URL has none", async () => {
    const resolve = () => Promise.resolve(["10.1.2.3"]);
    const endpoint = await resolvedEndpoint(allowedUrl("http://vllm/m", "shop", rules), resolve);
    expect(endpoint).toMatchObject({ port: 80, host: "vllm" });
  });

  test("takes port 443 where an https URL has none", async () => {
    const resolve = () => Promise.resolve(["10.1.2.3"]);
    const endpoint = await resolvedEndpoint(allowedUrl("https://vllm/m", "shop", rules), resolve);
    expect(endpoint).toMatchObject({ url: "https://vllm", port: 443, host: "vllm", isTls: true });
  });

  test("says that a name has no address", async () => {
    await expect(pin([])).rejects.toThrow("has no address");
    const failing = resolvedEndpoint(allowedUrl("http://vllm", "shop", rules), () =>
      Promise.reject(new Error("ENOTFOUND")),
    );
    await expect(failing).rejects.toThrow("vllm.shop.svc.cluster.local. has no address");
  });
});

test("allowedUrl() takes no namespace that is none", () => {
  for (const namespace of ["", "..", "a/b", "shop.evil", "-"])
    expect(() => allowedUrl("http://vllm", namespace, rules)).toThrow("its host is a Service");
});

describe("podEndpoint()", () => {
  const at = (address: string, port: number, ...allow: string[]) =>
    podEndpoint({ address, port, isTls: false }, { allow });
  test("takes every port there is", () => {
    expect(at("10.0.0.7", 1).port).toBe(1);
    expect(at("10.0.0.7", 65_535).port).toBe(65_535);
  });
  test("takes the address of the API as it is", () => {
    expect(at("10.0.0.7", 8000)).toMatchObject({ host: "10.0.0.7:8000", port: 8000 });
    expect(at("fd00::7", 8000).host).toBe("[fd00::7]:8000");
  });
  test("says https where TLS is spoken", () => {
    const endpoint = podEndpoint({ address: "10.0.0.7", port: 1, isTls: true }, { allow: [] });
    expect(endpoint).toMatchObject({ url: "https://10.0.0.7:1", isTls: true });
  });
  test.each([
    ["a name", "vllm", 8000],
    ["metadata", "169.254.169.254", 80],
    ["loopback", "127.0.0.1", 8000],
    ["a port of 0", "10.0.0.7", 0],
    ["a port beyond the last", "10.0.0.7", 65_536],
  ])("refuses %s", (_what, address, port) => {
    expect(() => at(address, port)).toThrow("Cannot ask");
  });

  test("takes an address of this machine where the operator names that very one", () => {
    expect(at("127.0.0.9", 8000, "127.0.0.9").address).toBe("127.0.0.9");
    expect(at("127.0.0.9", 8000, "127.0.0.9:8000").port).toBe(8000);
    for (const other of ["127.0.0.8", "127.0.0.9:8001", "localhost", "*", "*.0.0.9"])
      expect(() => at("127.0.0.9", 8000, other)).toThrow("--allow-endpoint");
    expect(() => at("169.254.169.254", 80, "169.254.169.254")).toThrow("metadata");
  });
});

describe("addressKind()", () => {
  test.each([
    ["10.0.0.1", "other"],
    ["fd12:3456::1", "other"],
    ["2001:db8::1", "other"],
    ["127.255.0.1", "local"],
    ["169.254.1.1", "local"],
    ["::", "local"],
    ["::1", "local"],
    ["0:0:0:0:0:0:0:1", "local"],
    ["febf::1", "local"],
    ["ff02::1", "group"],
    ["255.255.255.255", "group"],
    ["169.254.170.23", "metadata"],
    ["fd00:0ec2:0:0:0:0:0:254", "metadata"],
    ["64:ff9b::a9fe:a9fe", "metadata"],
    ["2002:a9fe:a9fe::", "metadata"],
    ["::ffff:0:a9fe:a9fe", "metadata"],
    ["::169.254.169.254", "metadata"],
    ["::ffff:7f00:1", "local"],
    ["fd20:ce::254", "metadata"],
    ["fd20:ce:0:0:0:0:0:254", "metadata"],
    ["fd20:ce::253", "other"],
    ["fd00:c1::a9fe:a9fe", "metadata"],
    ["fd00:c1::169.254.169.254", "metadata"],
    ["fd00:42::42", "metadata"],
    ["fd00:a9fe:a9fe::1", "metadata"],
    ["fe80::a9fe:a9fe%eth0", "metadata"],
    ["64:ff9b:1::a9fe:a9fe", "metadata"],
    ["64:ff9b::168.63.129.16", "metadata"],
    ["2002:6464:64c8::1", "metadata"],
    ["::ffff:192.0.0.192", "metadata"],
    ["169.254.0.23", "metadata"],
  ] as const)("%s is %s", (address, kind) => {
    expect(addressKind(address)).toBe(kind);
  });

  test("an IPv4 address is the same inside IPv6", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        fc.pre(isIPv4(address));
        expect(addressKind(`::ffff:${address}`)).toBe(addressKind(address));
        expect(addressKind(`64:ff9b::${address}`)).toBe(addressKind(address));
      }),
    );
  });
});
