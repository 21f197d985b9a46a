import { visible } from "../../visible.ts";
import type { Conversation } from "../client/replies.ts";
import { Icon } from "./icon.tsx";
import type { IconName } from "./icon.tsx";
import { folderName, titleOf } from "./place.ts";
import { Time, counted } from "./time.tsx";

interface TalkHeadProps {
  facts: Conversation;
  /** How many turns are shown; undefined until that is known. */
  count: number | undefined;
  onStar(): void;
  onRename(): void;
  onShare(): void;
  onTrash(): void;
}

/** Above a conversation: its title and facts, and what can be done to it. */
export function TalkHead({ facts, count, onStar, onRename, onShare, onTrash }: TalkHeadProps) {
  const title = titleOf(facts);
  return (
    <>
      <div class="talk-head">
        <h1 class="one-line" dir="auto" title={title}>
          {title}
        </h1>
        <TalkFacts facts={facts} count={count} />
      </div>
      <div class="head-actions">
        <button
          type="button"
          class="icon-button star"
          aria-pressed={facts.starred}
          aria-label="Star"
          title="Star (s)"
          onClick={onStar}
        >
          <Icon name="star" isFilled={facts.starred} />
        </button>
        <HeadButton icon="pencil" label="Rename" keys="e" onPress={onRename} />
        <HeadButton icon="share" label="Share" keys="S" onPress={onShare} />
        <HeadButton icon="trash" label="Move to the trash" keys="#" onPress={onTrash} />
      </div>
    </>
  );
}

interface HeadButtonProps {
  icon: IconName;
  label: string;
  keys: string;
  onPress(): void;
}

function HeadButton({ icon, label, keys, onPress }: HeadButtonProps) {
  return (
    <button type="button" class="icon-button" aria-label={label} title={`${label} (${keys})`} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}

function TalkFacts({ facts, count }: Pick<TalkHeadProps, "facts" | "count">) {
  const { folder, client, branch, created_at } = facts;
  return (
    <p class="talk-facts quiet">
      {folder !== null && (
        <bdi title={visible(folder)} class="one-line">
          {folderName(folder)}
        </bdi>
      )}
      {client !== null && <span>{visible(client)}</span>}
      {branch !== null && (
        <span class="one-line talk-branch">
          <Icon name="fork" /> <bdi>{visible(branch)}</bdi>
        </span>
      )}
      <Time at={created_at} />
      {count !== undefined && <span class="numeric">{counted(count, "turn")}</span>}
    </p>
  );
}
