import type { Action } from "../action.ts";
import { Icon } from "./icon.tsx";
import { counted } from "./time.tsx";

interface ChoiceBarProps {
  count: number;
  inTrash: boolean;
  act(what: Action): void;
  none(): void;
}

/** What can be done to the chosen conversations. */
export function ChoiceBar({ count, inTrash, act, none }: ChoiceBarProps) {
  return (
    <div class="actions" role="toolbar" aria-label="For the chosen conversations">
      <span class="numeric">{counted(count, "conversation")} chosen</span>
      {inTrash ? (
        <button type="button" class="button" onClick={() => act("restore")}>
          <Icon name="restore" /> Restore
        </button>
      ) : (
        <>
          <button type="button" class="button" onClick={() => act("star")}>
            <Icon name="star" /> Star
          </button>
          <button type="button" class="button" onClick={() => act("trash")}>
            <Icon name="trash" /> Move to the trash
          </button>
        </>
      )}
      <button type="button" class="icon-button" aria-label="Choose none" onClick={none}>
        <Icon name="close" />
      </button>
    </div>
  );
}
