import { useLayoutEffect, useRef } from "preact/hooks";
import { visible } from "../../visible.ts";
import { Icon } from "./icon.tsx";

interface FindBarProps {
  words: string;
  /** The hit that is shown, from 0; -1 for none of them. */
  place: number;
  count: number;
  isBusy: boolean;
  /** Why nothing could be looked for. */
  error: Error | undefined;
  onWords(words: string): void;
  onStep(by: 1 | -1): void;
  onClose(): void;
}

/** Finds words within what is shown, and steps through the hits. */
export function FindBar({ words, place, count, isBusy, error, onWords, onStep, onClose }: FindBarProps) {
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (words === "") field.current?.focus();
  }, []);
  const pressed = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter") onStep(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
  };
  const told =
    words.trim() === "" || isBusy
      ? ""
      : error !== undefined
        ? visible(error.message)
        : count === 0
          ? "No hit"
          : `${place === -1 ? "–" : place + 1} of ${count}`;
  return (
    <div class="find-bar" role="search" aria-label="Find in the conversation">
      <input
        ref={field}
        class="field"
        type="search"
        dir="auto"
        value={words}
        aria-label="Find in the conversation"
        placeholder="Find in the conversation"
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => onWords(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <span class="quiet numeric" role="status">
        {told}
      </span>
      <button type="button" class="icon-button" aria-label="Previous hit" onClick={() => onStep(-1)}>
        <Icon name="up" />
      </button>
      <button type="button" class="icon-button" aria-label="Next hit" onClick={() => onStep(1)}>
        <Icon name="down" />
      </button>
      <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}
