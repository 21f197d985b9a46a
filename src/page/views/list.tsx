import { useReply } from "../client/reply.ts";
import type { ConversationSummary } from "../client/replies.ts";
import { Frame } from "../parts/frame.tsx";
import { Failure, Loading, Notice } from "../parts/states.tsx";
import { Time, counted } from "../parts/time.tsx";
import { address } from "../route.ts";
import type { Route } from "../route.ts";
import type { View } from "../view.ts";

/** Conversations that a page of the list shows. */
const PAGE_ROWS = 100;

export const listView: View = {
  name: "conversations",
  entry: { title: "Conversations", icon: "list", key: "l" },
  Show: List,
};

function List({ route }: { route: Route }) {
  const { query } = route;
  const { value, error, again } = useReply("dewey_list_conversations", {
    client: query.get("client") ?? undefined,
    folder: query.get("folder") ?? undefined,
    starred: query.has("starred") || undefined,
    in_trash: query.has("trash") || undefined,
    limit: PAGE_ROWS,
  });
  return (
    <Frame title="Conversations">
      <div class="scroller">
        {error !== undefined ? (
          <Failure error={error} again={again} />
        ) : value === undefined ? (
          <Loading />
        ) : value.conversations.length === 0 ? (
          <Notice title="Nothing is kept yet">
            <code>dewey import</code> brings the sessions of your agents, and <code>dewey connect</code> keeps the next
            ones.
          </Notice>
        ) : (
          <ul class="rows">
            {value.conversations.map((each) => (
              <Row key={each.id} conversation={each} />
            ))}
          </ul>
        )}
      </div>
    </Frame>
  );
}

function Row({ conversation }: { conversation: ConversationSummary }) {
  const { id, title, client, folder, message_count, updated_at } = conversation;
  return (
    <li class="list-row">
      <a class="list-title" href={address(`conversation/${id}`)}>
        <bdi class="one-line">{title ?? "Without a title"}</bdi>
      </a>
      <span class="list-facts quiet">
        {folder !== null && <bdi class="one-line">{folder.split("/").at(-1)}</bdi>}
        {client !== null && <span>{client}</span>}
        <span class="numeric">{counted(message_count, "message")}</span>
        <Time at={updated_at} />
      </span>
    </li>
  );
}
