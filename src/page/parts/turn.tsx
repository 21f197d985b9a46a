import { Component } from "preact";
import { useState } from "preact/hooks";
import { visible } from "../../visible.ts";
import type { Message } from "../client/replies.ts";
import { CallBody } from "./call-body.tsx";
import { CopyButton } from "./copy-button.tsx";
import { Icon } from "./icon.tsx";
import { JsonTree } from "./json-tree.tsx";
import { Markdown } from "./markdown.tsx";
import { Output, TextOutput } from "./output.tsx";
import { Time, counted, duration } from "./time.tsx";
import { about, summary } from "./turn-facts.ts";
import type { TurnFacts } from "./turn-facts.ts";

interface TurnProps {
  message: Message;
  /** The address of this turn. */
  href: string;
  /** Its place among all turns, for those who hear the page. */
  position: number;
  count: number;
  isCurrent: boolean;
  isOpen: boolean;
  onToggle(turn: number, isOpen: boolean): void;
  /** Reads the rest of a content that is cut. */
  onWhole(turn: number): void;
}

/** One turn: what a person and a model say whole, and what machines say folded to a line. Drawn again only when it changes. */
export class Turn extends Component<TurnProps> {
  override shouldComponentUpdate(next: TurnProps): boolean {
    return (Object.keys(next) as (keyof TurnProps)[]).some((name) => next[name] !== this.props[name]);
  }

  override render() {
    const { message, href, position, count, isCurrent, isOpen, onToggle, onWhole } = this.props;
    const facts = about(message);
    const isShown = isOpen || !facts.isFolded;
    return (
      <article
        class={`turn turn-${facts.form}`}
        data-turn={message.turn}
        data-current={isCurrent || undefined}
        data-abandoned={message.abandoned}
        aria-label={`${facts.who}, turn ${message.turn}`}
        aria-posinset={position}
        aria-setsize={count}
      >
        <a class="turn-number numeric" href={href} aria-label={`Link to turn ${message.turn}`}>
          {message.turn}
        </a>
        <div class="turn-box">
          {facts.isFolded ? (
            <Fold message={message} facts={facts} isOpen={isOpen} onToggle={() => onToggle(message.turn, isOpen)} />
          ) : (
            <Head message={message} facts={facts} />
          )}
          {isShown && (
            <div class="turn-body">
              <Body message={message} facts={facts} />
              {message.next_content_offset !== undefined && (
                <button type="button" class="more" onClick={() => onWhole(message.turn)}>
                  Read all of it: {counted(message.content_length ?? 0, "character")}
                </button>
              )}
              <Others message={message} />
              <Tools message={message} />
            </div>
          )}
        </div>
      </article>
    );
  }
}

function Head({ message, facts }: { message: Message; facts: TurnFacts }) {
  return (
    <div class="turn-head">
      <span class="turn-who">{facts.who}</span>
      <Marks facts={facts} />
      <span class="turn-time">
        <Time at={message.created_at} form="clock" />
      </span>
    </div>
  );
}

interface FoldProps {
  message: Message;
  facts: TurnFacts;
  isOpen: boolean;
  onToggle(): void;
}

function Fold({ message, facts, isOpen, onToggle }: FoldProps) {
  return (
    <button type="button" class="turn-fold" aria-expanded={isOpen} onClick={onToggle}>
      <Icon name="right" />
      <span class="turn-who">{facts.who}</span>
      <Marks facts={facts} />
      {!isOpen && <bdi class="one-line turn-summary">{summary(message)}</bdi>}
      <span class="turn-facts">
        {facts.isFailed && <span class="turn-failed">failed</span>}
        {facts.durationMs !== undefined && <span class="numeric">{duration(facts.durationMs)}</span>}
      </span>
    </button>
  );
}

function Marks({ facts }: { facts: TurnFacts }) {
  return (
    <>
      {facts.marks.map((mark) => (
        <span class="badge" key={mark}>
          {mark}
        </span>
      ))}
    </>
  );
}

function Body({ message, facts }: { message: Message; facts: TurnFacts }) {
  if (facts.form === "tool") return <CallBody message={message} />;
  if (facts.form === "result") return <Output text={message.content} />;
  if (facts.form === "note") return <TextOutput text={message.content} />;
  return <Markdown text={message.content} />;
}

/** Parts that are no text, such as pictures: the store keeps their type, size and hash. */
function Others({ message }: { message: Message }) {
  const blocks = message.metadata?.["blocks"];
  if (!Array.isArray(blocks)) return null;
  const lines = blocks.flatMap((block: unknown) => {
    const { type, mimeType, mediaType, name, uri, bytes } = (block ?? {}) as Record<string, unknown>;
    const size = typeof bytes === "number" ? counted(bytes, "byte") : undefined;
    const facts = [type, mimeType ?? mediaType, name, uri, size].filter((each) => typeof each === "string");
    return facts.length === 0 ? [] : [facts.join(" · ")];
  });
  return lines.length === 0 ? null : (
    <ul class="others">
      {lines.map((line, index) => (
        <li key={index}>
          <bdi>{visible(line)}</bdi>
        </li>
      ))}
    </ul>
  );
}

/** What one can do with a turn: copy its text, and see the record as the store has it. */
function Tools({ message }: { message: Message }) {
  const [isOpen, setIsOpen] = useState(false);
  const label = isOpen ? "Hide the record" : "Show the record";
  return (
    <>
      <div class="turn-tools">
        <CopyButton text={() => message.content} label="Copy all" />
        <button
          type="button"
          class="copy"
          aria-expanded={isOpen}
          aria-label={`${label} of turn ${message.turn}`}
          title={label}
          onClick={() => setIsOpen(!isOpen)}
        >
          {"{ }"}
        </button>
      </div>
      {isOpen && <JsonTree value={message} />}
    </>
  );
}
