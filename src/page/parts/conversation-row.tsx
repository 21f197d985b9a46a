import { visible } from "../../visible.ts";
import type { Action } from "../action.ts";
import type { ConversationSummary } from "../client/replies.ts";
import { address } from "../route.ts";
import { Icon } from "./icon.tsx";
import { folderName, titleOf } from "./place.ts";
import { Time, counted, grouped } from "./time.tsx";

interface ConversationRowProps {
  conversation: ConversationSummary;
  inTrash: boolean;
  isChosen: boolean;
  choose(): void;
  act(what: Action): void;
  rename(): void;
}

/** A conversation in a list, with what can be done to it. */
export function ConversationRow({ conversation, inTrash, isChosen, choose, act, rename }: ConversationRowProps) {
  const { id, title, client, folder, message_count, updated_at, starred, parent_id } = conversation;
  const name = titleOf(conversation);
  return (
    <li class="list-row" data-id={id} data-chosen={isChosen || undefined}>
      <input type="checkbox" class="choose" checked={isChosen} aria-label={`Choose ${name}`} onChange={choose} />
      {!inTrash && (
        <button
          type="button"
          class="icon-button star"
          aria-pressed={starred}
          aria-label={`Star ${name}`}
          onClick={() => act("star")}
        >
          <Icon name="star" isFilled={starred} />
        </button>
      )}
      {inTrash ? (
        <span class="list-title">
          <bdi class="one-line">{name}</bdi>
        </span>
      ) : (
        <a class="list-title" href={address(`conversation/${id}`)}>
          <bdi class={title === null ? "one-line quiet" : "one-line"}>{name}</bdi>
        </a>
      )}
      {parent_id !== null && <span class="badge">sub-agent</span>}
      <span class="list-facts quiet">
        <bdi class="one-line list-folder" title={folder === null ? undefined : visible(folder)}>
          {folder === null ? "" : folderName(folder)}
        </bdi>
        <span class="one-line list-client">{client === null ? "" : visible(client)}</span>
        <span class="numeric list-count" title={counted(message_count, "message")}>
          {grouped(message_count)}
        </span>
        <span class="list-time numeric">
          <Time at={updated_at} />
        </span>
      </span>
      <span class="list-actions">
        {inTrash ? (
          <button
            type="button"
            class="icon-button"
            aria-label={`Restore ${name}`}
            title="Restore"
            onClick={() => act("restore")}
          >
            <Icon name="restore" />
          </button>
        ) : (
          <>
            <button type="button" class="icon-button" aria-label={`Rename ${name}`} title="Rename" onClick={rename}>
              <Icon name="pencil" />
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label={`Move ${name} to the trash`}
              title="Move to the trash"
              onClick={() => act("trash")}
            >
              <Icon name="trash" />
            </button>
          </>
        )}
      </span>
    </li>
  );
}
