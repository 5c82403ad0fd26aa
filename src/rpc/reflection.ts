/**
 * Server reflection: grpcurl and its like learn the contract from the running server.
 *
 * v1 and v1alpha differ in their package's name alone, so one implementation serves both. Of a file's
 * symbols, those are known that a client asks for: services, methods, messages and enums.
 *
 * @module
 */
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { Allowance } from "#core/allowance.ts";
import type { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import type { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { caughtUp, connectionKey, untilDrained } from "./streams.ts";

/** The parts of a request that both versions share. */
interface Request {
  readonly host: string;
  readonly messageRequest:
    | { case: "fileByFilename"; value: string }
    | { case: "fileContainingSymbol"; value: string }
    | {
        case: "fileContainingExtension";
        value: { readonly containingType: string; readonly extensionNumber: number };
      }
    | { case: "allExtensionNumbersOfType"; value: string }
    | { case: "listServices"; value: string }
    | { case: undefined; value?: undefined };
}

/**
 * Describes `services`, which are those registered, and everything that they refer to.
 *
 * @param mayAnswer How often a peer gets an answer.
 */
export function reflectionService(
  services: readonly DescService[],
  mayAnswer: Allowance = () => true,
): ServiceImpl<typeof ServerReflection> & ServiceImpl<typeof ServerReflectionAlpha> {
  const files = withDependencies(services.map(({ file }) => file));
  const byName = new Map(files.map((file) => [file.proto.name, file]));
  const symbols = new Map(files.flatMap((file) => symbolsOf(file).map((name) => [name, file])));
  const messages = new Set(
    files.flatMap((file) =>
      [...nestedTypes(file)]
        .filter(({ kind }) => kind === "message")
        .map(({ typeName }) => typeName),
    ),
  );

  const answer = ({ messageRequest: request }: Request) => {
    switch (request.case) {
      case "listServices": {
        const service = services.map(({ typeName: name }) => ({ name }));
        return { case: "listServicesResponse" as const, value: { service } };
      }
      case "fileByFilename":
        return fileAnswer(byName.get(request.value), `file "${request.value}"`);
      case "fileContainingSymbol":
        return fileAnswer(symbols.get(request.value), `symbol "${request.value}"`);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = request.value;
        return notFound(`extension ${extensionNumber} of "${containingType}"`);
      }
      case "allExtensionNumbersOfType": {
        if (!messages.has(request.value)) return notFound(`message "${request.value}"`);
        const value = { baseTypeName: request.value, extensionNumber: [] };
        return { case: "allExtensionNumbersResponse" as const, value };
      }
      case undefined:
        throw new ConnectError(
          "Cannot reflect: the request is empty; ask for services, a file or a symbol",
          Code.InvalidArgument,
        );
    }
  };
  async function* responses<R extends Request>(
    requests: AsyncIterable<R>,
    context: HandlerContext,
  ) {
    const { peer } = context.values.get(connectionKey);
    for await (const request of untilDrained(context, requests)) {
      // An answer is many times as long as its request.
      if (!mayAnswer(peer)) throw tooManyRequests();
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request),
      };
      await caughtUp(context);
    }
  }
  return { serverReflectionInfo: responses };
}

function tooManyRequests(): ConnectError {
  const text =
    "Cannot reflect: too many requests; ask again in a minute, or read proto/ of the source";
  return new ConnectError(text, Code.ResourceExhausted);
}

function fileAnswer(file: DescFile | undefined, what: string) {
  if (file === undefined) return notFound(what);
  const fileDescriptorProto = withDependencies([file]).map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse" as const, value: { fileDescriptorProto } };
}

/** Reflection answers what it does not know inside the stream, so that the next request can follow. */
function notFound(what: string) {
  const value = {
    errorCode: Code.NotFound,
    errorMessage: `Cannot find ${what}: no registered service refers to it`,
  };
  return { case: "errorResponse" as const, value };
}

/** Each file before those it imports, none twice. */
function withDependencies(roots: readonly DescFile[]): readonly DescFile[] {
  const files = new Set<DescFile>();
  const add = (file: DescFile) => {
    if (files.has(file)) return;
    files.add(file);
    file.dependencies.forEach(add);
  };
  roots.forEach(add);
  return [...files];
}

function symbolsOf(file: DescFile): readonly string[] {
  const types = [...nestedTypes(file)];
  const methods = file.services.flatMap(({ typeName, methods: own }) =>
    own.map(({ name }) => `${typeName}.${name}`),
  );
  return [...types.map(({ typeName }) => typeName), ...methods];
}
