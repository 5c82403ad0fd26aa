import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** A certificate authority of one test, and the server certificate that it signed. */
export interface TestCertificates {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** Makes certificates for `localhost` and 127.0.0.1, so that no private key lies in a repository. */
export function testCertificates(): TestCertificates {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const caName = nameOf("fake-kubernetes-ca");
  const basicConstraints = extension("551d13", true, sequence(der(0x01, Buffer.from([0xff]))));
  const localhost = der(0x82, Buffer.from("localhost"));
  const loopback = der(0x87, Buffer.from([127, 0, 0, 1]));
  const alternativeNames = extension("551d11", false, sequence(localhost, loopback));
  const signed = (subject: Buffer, key: KeyObject, extensions: Buffer) =>
    certificate({ subject, issuer: caName, key, signer: authority.privateKey, extensions });
  return {
    caPem: signed(caName, authority.publicKey, basicConstraints),
    certPem: signed(nameOf("localhost"), server.publicKey, alternativeNames),
    keyPem: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

interface Request {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: Buffer;
}

/** RFC 5280, section 4.1, signed with ECDSA and SHA-256. */
function certificate({ subject, issuer, key, signer, extensions }: Request): string {
  const algorithm = sequence(oid("2a8648ce3d040302"));
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(8)]);
  const validity = sequence(time("20200101000000Z"), time("20991231235959Z"));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    issuer,
    validity,
    subject,
    key.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(extensions)),
  );
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign("sha256", body, signer)]));
  const lines =
    sequence(body, algorithm, signature)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size =
    length < 0x80
      ? Buffer.from([length])
      : length < 0x100
        ? Buffer.from([0x81, length])
        : Buffer.from([0x82, length >> 8, length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), size, content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function time(text: string): Buffer {
  return der(0x18, Buffer.from(text));
}

function nameOf(commonName: string): Buffer {
  const attribute = sequence(oid("550403"), der(0x0c, Buffer.from(commonName)));
  return sequence(der(0x31, attribute));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der(0x01, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, der(0x04, value));
}
