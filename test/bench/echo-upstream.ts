// The fastest possible MCP server: it answers every request with a text of the given size, and reads only the id of a
// request. `bun echo-upstream.ts CHARACTERS [--stdio]`; with WebSocket it prints its address.

const characters = Number(process.argv[2]);
const content = JSON.stringify({ content: [{ type: "text", text: "x".repeat(characters) }] });
const introduction = JSON.stringify({
  protocolVersion: "2025-11-25",
  capabilities: { tools: {} },
  serverInfo: { name: "echo", version: "1" },
});

/** The response to a frame, or undefined for a notification. */
function answer(frame: string): string | undefined {
  const start = frame.indexOf('"id":');
  if (start === -1) return undefined;
  const id = frame.slice(start + 5, frame.slice(start).search(/[,}]/) + start);
  return `{"jsonrpc":"2.0","id":${id},"result":${frame.includes('"initialize"') ? introduction : content}}`;
}

if (process.argv[3] === "--stdio") {
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    const answers = lines.map(answer).filter((each) => each !== undefined);
    if (answers.length > 0) process.stdout.write(`${answers.join("\n")}\n`);
  });
} else {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) =>
      server.upgrade(request, { headers: { "sec-websocket-protocol": "mcp" } }) ? undefined : new Response(),
    websocket: {
      perMessageDeflate: false,
      message(socket, frame) {
        const text = answer(String(frame));
        if (text !== undefined) socket.send(text);
      },
    },
  });
  console.log(`ws://127.0.0.1:${server.port}/`);
}
