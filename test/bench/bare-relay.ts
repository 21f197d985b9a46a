// The upper bound for a relay on Bun: it only passes text on, without even backpressure.
// `bun bare-relay.ts UPSTREAM` prints its address.

interface Relayed {
  upstream: WebSocket;
  early: string[];
}

const [address = ""] = process.argv.slice(2);
const server = Bun.serve<Relayed>({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, server) {
    const upstream = new WebSocket(address, { protocols: ["mcp"], perMessageDeflate: false });
    return server.upgrade(request, { data: { upstream, early: [] }, headers: { "sec-websocket-protocol": "mcp" } })
      ? undefined
      : new Response();
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      const { upstream, early } = socket.data;
      upstream.onopen = () => {
        for (const frame of early) upstream.send(frame);
      };
      upstream.onmessage = ({ data }: MessageEvent<string>) => void socket.send(data);
    },
    message({ data: { upstream, early } }, frame) {
      if (upstream.readyState === WebSocket.OPEN) upstream.send(frame);
      else early.push(String(frame));
    },
    close: ({ data }) => data.upstream.close(),
  },
});
console.log(`ws://127.0.0.1:${server.port}/`);
