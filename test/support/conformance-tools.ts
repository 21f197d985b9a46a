import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CallToolRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  ErrorCode,
  ListToolsRequestSchema,
  LoggingLevelSchema,
  McpError,
  SetLevelRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type {
  CallToolResult,
  ElicitRequestFormParams,
  LoggingLevel,
  ServerNotification,
  ServerRequest,
  Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { contactForm, defaultsForm, enumsForm } from "./conformance-forms.ts";
import { PNG, WAV } from "./conformance-media.ts";

/** The suite requires pauses between the notifications of a tool, so that they arrive separately. */
const PAUSE_MS = 50;
const MAX_SAMPLED_TOKENS = 100;

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;
type Arguments = Record<string, unknown>;

interface Call {
  args: Arguments;
  extra: Extra;
  server: Server;
  log: (data: string) => Promise<void>;
}

interface ConformanceTool {
  description: string;
  inputSchema?: Tool["inputSchema"];
  run(call: Call): Promise<CallToolResult> | CallToolResult;
}

const image = { type: "image", data: PNG, mimeType: "image/png" } as const;
const oneText = (name: string): Tool["inputSchema"] => ({
  type: "object",
  properties: { [name]: { type: "string" } },
  required: [name],
});

const tools: Record<string, ConformanceTool> = {
  test_simple_text: {
    description: "Answers with a text.",
    run: () => says("This is a simple text response for testing."),
  },
  test_image_content: { description: "Answers with an image.", run: () => ({ content: [image] }) },
  test_audio_content: {
    description: "Answers with a sound.",
    run: () => ({ content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }] }),
  },
  test_embedded_resource: {
    description: "Answers with a resource.",
    run: () => ({
      content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
    }),
  },
  test_multiple_content_types: {
    description: "Answers with a text, an image and a resource.",
    run: () => ({
      content: [
        { type: "text", text: "Multiple content types test:" },
        image,
        resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
      ],
    }),
  },
  test_tool_with_logging: { description: "Logs three times while it runs.", run: logThrice },
  test_error_handling: {
    description: "Always fails.",
    run() {
      throw new Error("This tool intentionally returns an error for testing");
    },
  },
  test_tool_with_progress: { description: "Reports its progress three times.", run: reportProgress },
  test_sampling: {
    description: "Has the client's model answer a prompt.",
    inputSchema: oneText("prompt"),
    run: sample,
  },
  test_elicitation: {
    description: "Has the client's user fill in a form.",
    inputSchema: oneText("message"),
    run: async (call) => says(`User response: ${await elicit(call, String(call.args["message"]), contactForm)}`),
  },
  test_elicitation_sep1034_defaults: {
    description: "Has the user fill in a form with a default for each primitive type.",
    run: async (call) =>
      says(`Elicitation completed: ${await elicit(call, "Review the defaults of this form.", defaultsForm)}`),
  },
  test_elicitation_sep1330_enums: {
    description: "Has the user choose, in each of the five forms of an enumeration.",
    run: async (call) => says(`Elicitation completed: ${await elicit(call, "Choose from each list.", enumsForm)}`),
  },
  test_reconnection: {
    description: "Closes the stream of its own call, whose answer is fetched by coming back.",
    async run({ extra }) {
      extra.closeSSEStream?.();
      await Bun.sleep(PAUSE_MS);
      return says("Reconnection test completed successfully.");
    },
  },
  json_schema_2020_12_tool: {
    description: "Takes input by a schema that uses much of JSON Schema 2020-12.",
    inputSchema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      // oxlint-disable-next-line unicorn/no-thenable -- It is a JSON Schema keyword, and the schema is never awaited.
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    },
    run: ({ args }) => says(JSON.stringify(args)),
  },
};

/** Registers the tools that the conformance suite calls, and the log level that one of them obeys. */
export function serveTools(server: Server): void {
  let threshold: LoggingLevel = "debug";
  const levels = LoggingLevelSchema.options;
  server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    threshold = params.level;
    return {};
  });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.entries(tools).map(([name, { description, inputSchema = { type: "object" } }]) => ({
      name,
      description,
      inputSchema,
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = Object.hasOwn(tools, params.name) ? tools[params.name] : undefined;
    if (!tool) throw new McpError(ErrorCode.InvalidParams, `there is no tool ${params.name}`);
    const log = async (data: string) => {
      if (levels.indexOf("info") < levels.indexOf(threshold)) return;
      await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
    };
    try {
      return await tool.run({ args: params.arguments ?? {}, extra, server, log });
    } catch (error) {
      return { isError: true, ...says((error as Error).message) };
    }
  });
}

function says(text: string): CallToolResult {
  return { content: [{ type: "text", text }] };
}

function resource(uri: string, mimeType: string, text: string) {
  return { type: "resource" as const, resource: { uri, mimeType, text } };
}

async function logThrice({ log }: Call): Promise<CallToolResult> {
  await log("Tool execution started");
  await Bun.sleep(PAUSE_MS);
  await log("Tool processing data");
  await Bun.sleep(PAUSE_MS);
  await log("Tool execution completed");
  return says("Logged three times.");
}

async function reportProgress({ extra }: Call): Promise<CallToolResult> {
  const progressToken = extra._meta?.progressToken;
  for (const progress of [0, 50, 100]) {
    if (progress > 0) await Bun.sleep(PAUSE_MS);
    if (progressToken === undefined) continue;
    await extra.sendNotification({
      method: "notifications/progress",
      params: { progressToken, progress, total: 100, message: `${progress} of 100` },
    });
  }
  return says("Done in three steps.");
}

async function sample({ args, extra, server }: Call): Promise<CallToolResult> {
  if (!server.getClientCapabilities()?.sampling) throw new Error("the client does not offer sampling");
  const { content } = await extra.sendRequest(
    {
      method: "sampling/createMessage",
      params: {
        messages: [{ role: "user", content: { type: "text", text: String(args["prompt"]) } }],
        maxTokens: MAX_SAMPLED_TOKENS,
      },
    },
    CreateMessageResultSchema,
  );
  return says(`LLM response: ${content.type === "text" ? content.text : content.type}`);
}

async function elicit(
  { extra, server }: Call,
  message: string,
  requestedSchema: ElicitRequestFormParams["requestedSchema"],
): Promise<string> {
  if (!server.getClientCapabilities()?.elicitation) throw new Error("the client does not offer elicitation");
  const { action, content } = await extra.sendRequest(
    { method: "elicitation/create", params: { message, requestedSchema } },
    ElicitResultSchema,
  );
  return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}
