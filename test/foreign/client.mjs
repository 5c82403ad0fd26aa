/**
 * A gRPC client that shares no code with the server: grpc-js on Node.js, driven by lines.
 *
 * Each line on stdin is a command, `{"id", "do", ...}`; each line on stdout is `{"id", ...}` with its
 * result, or an event of a stream, `{"stream", "event", ...}`. It loads our .proto files itself, so it
 * also proves that they say what the server does.
 */
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const loaded = protoLoader.loadSync(
  [
    "externalscaler/externalscaler.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
  ],
  {
    includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
    longs: String,
    enums: String,
    bytes: String,
    oneofs: true,
    // Every field is printed, so that a test sees 0 where the wire has nothing.
    defaults: true,
  },
);
const packages = grpc.loadPackageDefinition(loaded);
const channels = new Map();
const streams = new Map();

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const service = (name) => name.split(".").reduce((at, part) => at[part], packages);

/**
 * grpc-js leaves `%3A` and its like undecoded, which the specification has every client decode. Only
 * these: a `%` that stands in the text has been decoded already.
 */
const ended = ({ code, details }) => ({
  code: grpc.status[code],
  details: details.replace(/%(?:2[34679BCF]|3[ABDF]|40)/g, decodeURIComponent),
});

/** One client per service and channel; grpc-js shares the connection through the channel. */
function clientOf({ channel, service: name }) {
  const { address, credentials, channelOverride } = channels.get(channel);
  const Client = service(name);
  return new Client(address, credentials, { channelOverride });
}

const deadlineOf = ({ deadlineMs }) =>
  deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };

const buffer = (text) => (text === undefined ? undefined : Buffer.from(text));
const credentialsOf = (tls) =>
  tls === undefined
    ? grpc.credentials.createInsecure()
    : grpc.credentials.createSsl(buffer(tls.ca), buffer(tls.key), buffer(tls.cert));

/** Calls once; a failure is a result, not an error of the command. */
function unary(command) {
  return new Promise((resolve) => {
    const { method, message = {}, metadata = {} } = command;
    const headers = new grpc.Metadata();
    for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
    clientOf(command)[method](message, headers, deadlineOf(command), (error, answer) => {
      if (error === null) resolve({ code: "OK", answer });
      else resolve(ended(error));
    });
  });
}

const commands = {
  connect({ channel, address, tls, options = {} }) {
    const credentials = credentialsOf(tls);
    const channelOverride = new grpc.Channel(address, credentials, {
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
    channels.set(channel, { address, credentials, channelOverride });
    return {};
  },
  state: ({ channel }) => ({
    state:
      grpc.connectivityState[channels.get(channel).channelOverride.getConnectivityState(false)],
  }),
  close({ channel }) {
    channels.get(channel).channelOverride.close();
    channels.delete(channel);
    return {};
  },
  unary,
  /** Makes `count` calls at once and says how many ended how. */
  async burst(command) {
    const results = await Promise.all(Array.from({ length: command.count }, () => unary(command)));
    const codes = {};
    for (const { code } of results) codes[code] = (codes[code] ?? 0) + 1;
    return { codes };
  },
  /** Opens a stream; a message given is sent, and ends what a server stream expects. */
  open(command) {
    const { stream, method, message } = command;
    const client = clientOf(command);
    const bidi = client[method].requestStream;
    const call = bidi
      ? client[method](deadlineOf(command))
      : client[method](message ?? {}, deadlineOf(command));
    if (bidi && message !== undefined) call.write(message);
    streams.set(stream, call);
    call.on("data", (answer) => print({ stream, event: "data", answer }));
    call.on("error", () => undefined); // The status says the same and always comes.
    call.on("status", (status) => {
      streams.delete(stream);
      print({ stream, event: "end", ...ended(status) });
    });
    return {};
  },
  send({ stream, message }) {
    streams.get(stream).write(message);
    return {};
  },
  /** Says that the client sends no more; the server may still answer. */
  finish({ stream }) {
    streams.get(stream).end();
    return {};
  },
  cancel({ stream }) {
    streams.get(stream)?.cancel();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...command } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command.do](command))
    .then(
      (result) => print({ id, ...result }),
      (error) => print({ id, failed: String(error?.stack ?? error) }),
    );
}
process.exit(0);
