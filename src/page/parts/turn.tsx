import type { Message } from "../client/replies.ts";
import { Icon } from "./icon.tsx";
import { Markdown } from "./markdown.tsx";
import { Time, duration } from "./time.tsx";
import { about, summary } from "./turn-facts.ts";

interface TurnProps {
  message: Message;
  /** The address of this turn. */
  href: string;
  isCurrent: boolean;
  isOpen: boolean;
  onToggle(): void;
}

/** One turn: what a person and a model say whole, and what machines say folded to a line. */
export function Turn({ message, href, isCurrent, isOpen, onToggle }: TurnProps) {
  const facts = about(message);
  return (
    <article
      class={`turn turn-${facts.form}`}
      data-turn={message.turn}
      data-current={isCurrent || undefined}
      data-failed={facts.isFailed || undefined}
      aria-label={`${facts.who}, turn ${message.turn}`}
    >
      <a class="turn-number numeric" href={href} aria-label={`Link to turn ${message.turn}`}>
        {message.turn}
      </a>
      {facts.isFolded ? (
        <button type="button" class="turn-fold" aria-expanded={isOpen} onClick={onToggle}>
          <Icon name="right" />
          <span class="turn-who">{facts.who}</span>
          {!isOpen && <bdi class="one-line turn-summary">{summary(message)}</bdi>}
          <span class="turn-facts">
            {facts.isFailed && <span class="turn-failed">failed</span>}
            {facts.durationMs !== undefined && <span class="numeric">{duration(facts.durationMs)}</span>}
          </span>
        </button>
      ) : (
        <div class="turn-head">
          <span class="turn-who">{facts.who}</span>
          {facts.marks.map((mark) => (
            <span class="badge" key={mark}>
              {mark}
            </span>
          ))}
          <span class="turn-time">
            <Time at={message.created_at} form="clock" />
          </span>
        </div>
      )}
      {(isOpen || !facts.isFolded) && (
        <div class="turn-body">
          {facts.form === "tool" || facts.form === "result" ? (
            <pre class="code wrapped">{message.content}</pre>
          ) : (
            <Markdown text={message.content} />
          )}
        </div>
      )}
    </article>
  );
}
