import { expect, test } from "bun:test";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { FrameView } from "../../src/wire/frame.ts";
import type { Link, LinkHandlers } from "../../src/wire/link.ts";
import { linkTransport } from "../../src/wire/transport.ts";

/** A transport over a link whose other side is the test. */
async function connect(take?: (view: FrameView) => boolean) {
  let handlers: LinkHandlers | undefined;
  const sent: string[] = [];
  const link: Link = {
    wire: "websocket",
    open: (given) => void (handlers = given),
    send: (frame) => sent.push(frame) > 0,
    pause: () => {},
    resume: () => {},
    close: () => handlers?.closed("closed by Dewey"),
  };
  const transport = linkTransport(link, take);
  const heard: JSONRPCMessage[] = [];
  let closed = 0;
  transport.onmessage = (message) => void heard.push(message);
  transport.onclose = () => void (closed += 1);
  await transport.start();
  return { transport, heard, sent, receive: (text: string) => handlers?.frame(text), closed: () => closed };
}

const error = (id: unknown, code: number, message: string) => ({ jsonrpc: "2.0", id, error: { code, message } });

test("messages pass both ways, a batch message by message; answers to nothing pass nowhere", async () => {
  const { transport, heard, sent, receive } = await connect();
  const request = { jsonrpc: "2.0", id: 1, method: "ping" } as const;
  const notification = { jsonrpc: "2.0", method: "notifications/initialized" } as const;
  receive(JSON.stringify(request));
  receive(JSON.stringify([notification, { jsonrpc: "2.0", id: "x", result: {} }]));
  receive(`{"jsonrpc":"2.0","id":7,"result":${"[".repeat(50_000)}${"]".repeat(50_000)}}`);
  expect(heard).toEqual([request, notification]);
  await transport.send(request);
  expect(sent).toEqual([JSON.stringify(request)]);
  const answer = { jsonrpc: "2.0", id: 1, result: {} } as const;
  receive(JSON.stringify(answer));
  receive(JSON.stringify(answer));
  expect(heard).toEqual([request, notification, answer]);
});

test("what the SDK does not know does not reach it, since it would write out all of it", async () => {
  const { transport, heard, sent, receive } = await connect();
  await transport.send({ jsonrpc: "2.0", id: 1, method: "ping" });
  const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
  receive(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"_meta":{"progressToken":${deep}}}}`);
  receive(`{"jsonrpc":"2.0","method":"notifications/initialized","more":${deep}}`);
  receive(`{"jsonrpc":"2.0","id":1,"result":{},"more":${deep}}`);
  expect([heard, sent.length]).toEqual([[], 1]);
});

test("a message that is taken does not reach the SDK, alone or in a batch", async () => {
  const { heard, sent, receive } = await connect((view) => view.kind === "request" && view.method === "mine");
  const mine = { jsonrpc: "2.0", id: null, method: "mine" };
  const other = { jsonrpc: "2.0", id: 2, method: "ping" } as const;
  receive(JSON.stringify(mine));
  receive(JSON.stringify([mine, other]));
  expect([heard, sent]).toEqual([[other], []]);
});

test("invalid frames are answered as JSON-RPC demands, and the transport stays open", async () => {
  const { heard, sent, receive, closed } = await connect();
  receive("{");
  receive("[]");
  receive('[1,{"jsonrpc":"1.0","id":7,"method":"ping"},{"jsonrpc":"2.0","id":{},"method":"ping"}]');
  expect(sent.map((text) => JSON.parse(text) as object)).toEqual([
    error(null, -32_700, "the frame is not JSON"),
    error(null, -32_600, "the frame is not a JSON-RPC message"),
    error(null, -32_600, "the frame is not a JSON-RPC message"),
    error(7, -32_600, "the frame is not a JSON-RPC 2.0 request"),
    error(null, -32_600, "the frame is not a JSON-RPC 2.0 request"),
  ]);
  expect([heard, closed()]).toEqual([[], 0]);
  receive('{"jsonrpc":"2.0","id":"8","method":"ping","params":1}');
  expect(JSON.parse(sent.at(-1) ?? "")).toMatchObject({ id: "8", error: { code: -32_600 } });
});

test("closing the transport closes the link", async () => {
  const { transport, closed } = await connect();
  await transport.close();
  expect(closed()).toBe(1);
});
