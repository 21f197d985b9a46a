type Json = Record<string, unknown>;

/** One step of a scripted model: a text, or a call of a tool. */
interface Step {
  text?: string;
  call?: { id: string; namespace?: string; name: string; args: Json };
}

/** The step that follows what a client said last: a prompt's text, or the result of a call. */
export type AgentScript = (told: { prompt?: string; result?: string }) => Step;

interface StandIn {
  url: string;
  requests: string[];
  stop(): Promise<void>;
}

function standIn(answer: (request: Request, body: Json) => Response): StandIn {
  const requests: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const text = await request.text();
      requests.push(text);
      return answer(request, (text === "" ? {} : JSON.parse(text)) as Json);
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, requests, stop: () => server.stop(true) };
}

const eventStream = (text: string) => new Response(text, { headers: { "content-type": "text/event-stream" } });

/** A local stand-in for OpenAI's Responses API, as Codex uses it. */
export function startResponsesModel(script: AgentScript): StandIn {
  let answers = 0;
  return standIn((request, body) => {
    if (!new URL(request.url).pathname.endsWith("/responses")) return Response.json({ models: [] });
    const last = (body["input"] as Json[]).at(-1) ?? {};
    const isResult = last["type"] === "function_call_output";
    const blocks = Array.isArray(last["content"]) ? (last["content"] as Json[]) : [];
    const { text, call } = script(
      isResult ? { result: String(last["call_id"]) } : { prompt: String(blocks.at(-1)?.["text"]) },
    );
    answers += 1;
    const item = call
      ? {
          type: "function_call",
          id: `fc_${answers}`,
          call_id: call.id,
          name: call.name,
          namespace: call.namespace,
          arguments: JSON.stringify(call.args),
        }
      : { type: "message", role: "assistant", id: `msg_${answers}`, content: [{ type: "output_text", text }] };
    const event = (type: string, data: Json) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    return eventStream(
      event("response.created", { response: { id: `resp_${answers}` } }) +
        event("response.output_item.done", { output_index: 0, item }) +
        event("response.completed", { response: { id: `resp_${answers}`, usage } }),
    );
  });
}

/** A local stand-in for Gemini's API. */
export function startGeminiModel(script: AgentScript): StandIn {
  return standIn((request, body) => {
    const { pathname } = new URL(request.url);
    if (pathname.includes("countTokens")) return Response.json({ totalTokens: 1 });
    const contents = (body["contents"] ?? []) as { parts: Json[] }[];
    const last = contents.at(-1)?.parts.at(-1) ?? {};
    const result = last["functionResponse"] as Json | undefined;
    const { text, call } = script(
      result ? { result: String(result["name"]) } : { prompt: personsPart(String(last["text"])) },
    );
    const part = call ? { functionCall: { name: call.name, args: call.args } } : { text };
    const reply = {
      candidates: [{ content: { role: "model", parts: [part] }, finishReason: "STOP", index: 0 }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    };
    return pathname.includes("stream") ? eventStream(`data: ${JSON.stringify(reply)}\n\n`) : Response.json(reply);
  });
}

/** Gemini puts what hooks have said before the person's prompt. */
function personsPart(prompt: string): string {
  return prompt.split("</hook_context>").at(-1) ?? "";
}
