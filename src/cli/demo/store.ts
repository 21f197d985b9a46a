import { ToolClient } from "../../tool-client.ts";
import { MS_PER_DAY } from "../../units.ts";
import { messagesOf } from "./talk.ts";
import type { DemoTalk } from "./talk.ts";
import { contexts, earlier, sessions, talks } from "./talks.ts";

/** Stores the invented talks at the server. Times count back from `nowMs`. */
export async function storeDemo(url: string, nowMs: number): Promise<void> {
  const client = new ToolClient({ url });
  try {
    const ids = new Map<string, string>();
    for (const [index, talk] of [...talks, ...sessions, ...earlier].entries()) {
      const id = await storeTalk(client, talk, nowMs - talk.daysAgo * MS_PER_DAY - index * 97_000, ids);
      ids.set(talk.title, id);
    }
    for (const { name, versions, folder } of contexts) {
      const isTied = folder !== undefined;
      for (const content of versions)
        await client.call("dewey_set_startup_context", { name, content, set_active: !isTied });
      if (isTied) await client.call("dewey_tie_startup_context", { folder, name });
    }
  } finally {
    await client.close();
  }
}

async function storeTalk(client: ToolClient, talk: DemoTalk, endMs: number, ids: Map<string, string>): Promise<string> {
  const { title, folder, branch, upstream, parent, starred } = talk;
  const origin = parent === undefined ? {} : { parent_conversation_id: ids.get(parent) };
  const metadata = {
    cwd: folder,
    ...(branch === undefined ? {} : { branch }),
    ...(upstream === undefined
      ? { source: talk.client, title, title_source: "client" }
      : { source: "proxy", upstream, client_name: talk.client }),
    ...origin,
  };
  const messages = messagesOf(talk, endMs);
  const { conversation_id } = await client.call("dewey_begin_conversation", {
    metadata,
    created_at: messages[0]?.created_at,
  });
  await client.call("dewey_store_messages_bulk", { conversation_id, messages });
  if (starred) await client.call("dewey_update_conversation", { conversation_id, starred });
  return String(conversation_id);
}
