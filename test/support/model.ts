type Json = Record<string, unknown>;
interface Block extends Json {
  type: "text" | "tool_use";
}
interface Request {
  model: string;
  stream?: boolean;
  tools?: unknown[];
  messages: { role: string; content: unknown }[];
}

/** A scripted reply to the last message: a prompt's text, or the ids of tool results. */
export type Script = (told: string) => Block[];

export const say = (text: string): Block => ({ type: "text", text });
export const use = (id: string, name: string, input: Json): Block => ({ type: "tool_use", id, name, input });

/** A local stand-in for the model API: replies from a script, streamed or not, and keeps every request. */
export function startModel(script: Script): { url: string; requests: string[]; stop(): Promise<void> } {
  const requests: string[] = [];
  let messages = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const text = await request.text();
      if (!new URL(request.url).pathname.endsWith("/messages")) return Response.json({ input_tokens: 1 });
      requests.push(text);
      const body = JSON.parse(text) as Request;
      // Requests without tools ask for titles and the like.
      const blocks = (body.tools ?? []).length === 0 ? [say("a title")] : script(lastTold(body));
      messages += 1;
      const message = {
        id: `msg_${messages}`,
        type: "message",
        role: "assistant",
        model: body.model,
        stop_sequence: null,
        usage: { input_tokens: 1, output_tokens: 1 },
      };
      const stop_reason = blocks.some((block) => block.type === "tool_use") ? "tool_use" : "end_turn";
      if (!body.stream) return Response.json({ ...message, content: blocks, stop_reason });
      return new Response(events(message, blocks, stop_reason), { headers: { "content-type": "text/event-stream" } });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, requests, stop: () => server.stop(true) };
}

/** The last message, leaving out the client's own reminders. */
function lastTold({ messages }: Request): string {
  const content = messages.findLast((message) => message.role === "user")?.content;
  const blocks = Array.isArray(content) ? (content as Json[]) : [{ type: "text", text: content }];
  const results = blocks.filter((block) => block["type"] === "tool_result");
  if (results.length > 0) return results.map((block) => String(block["tool_use_id"])).join(" ");
  return blocks
    .map((block) => (typeof block["text"] === "string" ? block["text"] : ""))
    .filter((text) => !text.startsWith("<system-reminder>"))
    .join("\n");
}

function events(message: Json, blocks: Block[], stop_reason: string): string {
  const event = (type: string, data: Json) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
  const pieces = blocks.flatMap((block, index) => {
    const { input, text, ...rest } = block;
    const isText = block.type === "text";
    return [
      event("content_block_start", {
        index,
        content_block: isText ? { type: "text", text: "" } : { ...rest, input: {} },
      }),
      event("content_block_delta", {
        index,
        delta: isText
          ? { type: "text_delta", text }
          : { type: "input_json_delta", partial_json: JSON.stringify(input) },
      }),
      event("content_block_stop", { index }),
    ];
  });
  return [
    event("message_start", { message: { ...message, content: [], stop_reason: null } }),
    ...pieces,
    event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 1 } }),
    event("message_stop", {}),
  ].join("");
}
