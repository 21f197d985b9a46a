import type { Store } from "../../src/store/store.ts";

/** A message as the store takes it, with its kind. */
interface Said {
  role: "user" | "assistant" | "system" | "tool";
  content: string;
  kind?: string;
  metadata?: Record<string, unknown>;
}

export const prompt = (content: string): Said => ({ role: "user", content, kind: "prompt" });
export const answer = (content: string): Said => ({ role: "assistant", content, kind: "answer" });
export const thinking = (content: string): Said => ({ role: "assistant", content, kind: "thinking" });

/** A tool's call as importers describe it. */
export function called(tool: string, given: Record<string, unknown>): Said {
  const lines = Object.entries(given).map(
    ([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return {
    role: "assistant",
    kind: "tool_use",
    content: [tool, ...lines].join("\n"),
    metadata: { tool, arguments: given },
  };
}

export function result(tool: string, content: string, outcome = "success"): Said {
  return { role: "tool", kind: "tool_result", content, metadata: { tool, outcome, duration_ms: 1200 } };
}

interface Talk {
  title?: string;
  client?: string;
  folder?: string;
  said: Said[];
}

/** Stores a conversation. Returns its id. */
export async function storeTalk(store: Store, { title, client = "claude-code", folder, said }: Talk): Promise<string> {
  const { conversation_id } = await store.conversations.begin({ metadata: { source: client, title, cwd: folder } });
  await store.messages.storeBulk({
    conversation_id,
    messages: said.map(({ role, content, kind, metadata }) => ({ role, content, metadata: { ...metadata, kind } })),
    skip_known: false,
  });
  return conversation_id;
}
