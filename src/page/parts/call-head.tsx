import { visible } from "../../visible.ts";
import { address, route, withQuery } from "../route.ts";
import { Icon } from "./icon.tsx";

interface CallHeadProps {
  /** The call's result. */
  chosen: { conversation_id: string; turn: number };
  /** Undefined while the list does not hold the call. */
  tool: string | undefined;
  isCompared: boolean;
  /** Whether the other call is being chosen. */
  isComparing: boolean;
}

/** Above an open call: its tool, and where one can go from it. */
export function CallHead({ chosen, tool, isCompared, isComparing }: CallHeadProps) {
  return (
    <header class="call-head">
      <h2 class="one-line">
        <bdi>{visible(tool ?? "Call")}</bdi>
        {isCompared && " compared"}
      </h2>
      {!route.value.query.has("session") && (
        <a class="button" href={withQuery({ session: chosen.conversation_id })}>
          Waterfall
        </a>
      )}
      {!isCompared && (
        <a class="button" href={withQuery({ compare: !isComparing })} aria-current={isComparing ? "true" : undefined}>
          {isComparing ? "Choose the other call" : "Compare"}
        </a>
      )}
      <a
        class="icon-button"
        href={address(`conversation/${chosen.conversation_id}`, { turn: chosen.turn })}
        aria-label="Open in its conversation"
        title="Open in its conversation"
      >
        <Icon name="link" />
      </a>
      <a
        class="icon-button"
        href={withQuery({ call: undefined, with: undefined, compare: undefined })}
        aria-label="Close"
        title="Close (Esc)"
      >
        <Icon name="close" />
      </a>
    </header>
  );
}
