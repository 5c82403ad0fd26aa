/**
 * Unary calls of the plain kind: one uncompressed protobuf message in, one out.
 *
 * KEDA sends eighteen a minute for each ScaledObject. Connect's pipeline of asynchronous iterators,
 * which a stream needs, costs several times what the rest of such a call does, so these are answered
 * here. Whatever else a client may send (a compressed message, JSON, none, two) is Connect's, which
 * knows what to say to it.
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http2";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";

/** What answers a service's calls; a unary one at once, from memory, because nothing may wait. */
export type Implementation<S extends DescService> = {
  [Name in keyof S["method"]]: S["method"][Name] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>) => MessageInitShape<O>
    : ServiceImpl<S>[Name];
};

/**
 * Answers the whole body of a request with the whole body of its response.
 *
 * @returns `undefined` where the body is not exactly one uncompressed message that can be parsed.
 * @throws What the implementation throws.
 */
export type UnaryAnswer = (body: Buffer) => Uint8Array | undefined;

/** The unary methods of a service by their path. */
export function unaryAnswers<S extends DescService>(
  service: S,
  implementation: Implementation<S>,
): readonly (readonly [path: string, UnaryAnswer])[] {
  const functions = implementation as Readonly<Record<string, AnyUnary>>;
  return service.methods.flatMap((method) => {
    const run = functions[method.localName];
    if (method.methodKind !== "unary" || run === undefined) return [];
    const path = `/${service.typeName}/${method.name}`;
    return [[path, unaryAnswer(method.input, method.output, run)] as const];
  });
}
type AnyUnary = (request: MessageShape<DescMessage>) => MessageInitShape<DescMessage>;

function unaryAnswer(input: DescMessage, output: DescMessage, run: AnyUnary): UnaryAnswer {
  return (body) => {
    const request = onlyMessage(body, input);
    return request && framed(toBinary(output, create(output, run(request))));
  };
}

/** A message travels behind a flag, 0 for uncompressed, and its length in four bytes. */
export const frameHeaderBytes = 5;

function onlyMessage(body: Buffer, schema: DescMessage) {
  if (body[0] !== 0 || body.length < frameHeaderBytes) return undefined;
  if (body.readUInt32BE(1) !== body.length - frameHeaderBytes) return undefined;
  try {
    return fromBinary(schema, body.subarray(frameHeaderBytes));
  } catch {
    // It is no protobuf. Connect finds the same and has the words for it.
    return undefined;
  }
}

function framed(message: Uint8Array): Uint8Array {
  const body = Buffer.alloc(frameHeaderBytes + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, frameHeaderBytes);
  return body;
}

const contentTypes: ReadonlySet<unknown> = new Set(["application/grpc", "application/grpc+proto"]);
const encodings: ReadonlySet<unknown> = new Set([undefined, "identity"]);

/**
 * Whether headers announce a plain call. A deadline that can be read changes nothing: an answer does
 * not wait, and what is waited for, the message, has a limit of its own.
 */
export function isPlain(headers: IncomingHttpHeaders): boolean {
  const { "grpc-timeout": timeout = "1S" } = headers;
  return (
    headers[":method"] === "POST" &&
    contentTypes.has(headers["content-type"]) &&
    encodings.has(headers["grpc-encoding"]) &&
    /^\d{1,8}[HMSmun]$/.test(String(timeout))
  );
}
