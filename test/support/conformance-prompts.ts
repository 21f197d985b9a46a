import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  McpError,
} from "@modelcontextprotocol/sdk/types.js";
import type { PromptArgument, PromptMessage } from "@modelcontextprotocol/sdk/types.js";
import { PNG } from "./conformance-media.ts";

interface ConformancePrompt {
  description: string;
  arguments?: PromptArgument[];
  contents(args: Record<string, string>): PromptMessage["content"][];
}

const text = (text: string) => ({ type: "text", text }) as const;
const required = (name: string) => ({ name, description: `The prompt's ${name}.`, required: true });

const prompts: Record<string, ConformancePrompt> = {
  test_simple_prompt: {
    description: "Takes no arguments.",
    contents: () => [text("This is a simple prompt for testing.")],
  },
  test_prompt_with_arguments: {
    description: "Repeats its two arguments.",
    arguments: [required("arg1"), required("arg2")],
    contents: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  test_prompt_with_embedded_resource: {
    description: "Embeds the resource that it is given.",
    arguments: [required("resourceUri")],
    contents: ({ resourceUri = "" }) => [
      {
        type: "resource",
        resource: { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content for testing." },
      },
      text("Please process the embedded resource above."),
    ],
  },
  test_prompt_with_image: {
    description: "Shows an image.",
    contents: () => [{ type: "image", data: PNG, mimeType: "image/png" }, text("Please analyze the image above.")],
  },
};

const completions = ["paris", "park", "party", "test", "tested"];

/** Registers the prompts that the conformance suite requests, and completion of their arguments. */
export function servePrompts(server: Server): void {
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: Object.entries(prompts).map(([name, { description, arguments: args = [] }]) => ({
      name,
      description,
      arguments: args,
    })),
  }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    const prompt = Object.hasOwn(prompts, params.name) ? prompts[params.name] : undefined;
    if (!prompt) throw new McpError(ErrorCode.InvalidParams, `there is no prompt ${params.name}`);
    const contents = prompt.contents(params.arguments ?? {});
    return { messages: contents.map((content) => ({ role: "user", content })) };
  });
  server.setRequestHandler(CompleteRequestSchema, ({ params }) => {
    const values = completions.filter((word) => word.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
}
