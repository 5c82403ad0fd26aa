import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** Makes certificates, so that no private key lies in a repository. All texts are PEM. */
export interface TestAuthority {
  readonly caPem: string;
  readonly issue: (names: CertificateNames) => TestCertificate;
}

interface CertificateNames {
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  /** As ASN.1 writes a time; default 2020 and the end of the century. */
  readonly notBefore?: string;
  readonly notAfter?: string;
}

export interface TestCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

const firstDay = "20200101000000Z";
const lastDay = "20991231235959Z";

/** Every certificate of an authority is also one of 127.0.0.1. */
export function testAuthority(name = "test-ca"): TestAuthority {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = nameOf(name);
  const basicConstraints = extension("551d13", true, sequence(der(0x01, Buffer.from([0xff]))));
  const signed = (one: Omit<Request, "issuer" | "signer">) =>
    certificate({ ...one, issuer, signer: authority.privateKey });
  return {
    caPem: signed({
      subject: issuer,
      key: authority.publicKey,
      extensions: basicConstraints,
      notBefore: firstDay,
      notAfter: lastDay,
    }),
    issue: ({ commonName, dnsNames = [commonName], notBefore = firstDay, notAfter = lastDay }) => {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const names = dnsNames.map((dnsName) => der(0x82, Buffer.from(dnsName)));
      const loopback = der(0x87, Buffer.from([127, 0, 0, 1]));
      const alternativeNames = extension("551d11", false, sequence(...names, loopback));
      return {
        certPem: signed({
          subject: nameOf(commonName),
          key: publicKey,
          extensions: alternativeNames,
          notBefore,
          notAfter,
        }),
        keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

interface Request {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: Buffer;
  readonly notBefore: string;
  readonly notAfter: string;
}

/** RFC 5280, section 4.1, signed with ECDSA and SHA-256. */
function certificate(request: Request): string {
  const { subject, issuer, key, signer, extensions, notBefore, notAfter } = request;
  const algorithm = sequence(oid("2a8648ce3d040302"));
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(8)]);
  const validity = sequence(time(notBefore), time(notAfter));
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
