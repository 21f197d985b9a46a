import { useState } from "preact/hooks";
import { visible } from "../../visible.ts";
import { CopyButton } from "./copy-button.tsx";

/** Entries of a list or an object that are shown at once. */
const STEP_ENTRIES = 100;
/** Deeper levels begin folded. */
const OPEN_LEVELS = 2;
/** An object with more entries begins folded, except at the top. */
const OPEN_ENTRIES = 20;
/** Characters of a string that are shown before a person asks for the rest. */
const SHOWN_CHARACTERS = 2000;

/** JSON as a tree that folds. `text` is what the button copies. */
export function JsonTree({ value, text }: { value: unknown; text?: string }) {
  return (
    <div class="code-box">
      <div class="code wrapped json" role="group" aria-label="JSON" tabIndex={0} dir="ltr">
        <Node value={value} level={0} />
      </div>
      <CopyButton text={() => text ?? JSON.stringify(value, null, 2)} />
    </div>
  );
}

function Node({ name, value, level }: { name?: string; value: unknown; level: number }) {
  if (typeof value !== "object" || value === null) {
    return (
      <div class="json-leaf">
        <Name name={name} />
        <Leaf value={value} />
      </div>
    );
  }
  return <Branch name={name} value={value} level={level} />;
}

function Branch({ name, value, level }: { name: string | undefined; value: object; level: number }) {
  const entries: [string, unknown][] = Object.entries(value);
  const [isOpen, setIsOpen] = useState(level === 0 || (level < OPEN_LEVELS && entries.length <= OPEN_ENTRIES));
  const [most, setMost] = useState(STEP_ENTRIES);
  const [begin, end] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) {
    return (
      <div class="json-leaf">
        <Name name={name} />
        {begin + end}
      </div>
    );
  }
  return (
    <div class="json-branch">
      <button type="button" class="json-fold" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
        <Name name={name} />
        {begin}
        {!isOpen && (
          <span class="quiet">
            {" "}
            {entries.length} {end}
          </span>
        )}
      </button>
      {isOpen && (
        <div class="json-entries">
          {entries.slice(0, most).map(([key, each]) => (
            <Node key={key} name={key} value={each} level={level + 1} />
          ))}
          {entries.length > most && (
            <button type="button" class="more" onClick={() => setMost(most + STEP_ENTRIES)}>
              {entries.length - most} more
            </button>
          )}
        </div>
      )}
      {isOpen && <div>{end}</div>}
    </div>
  );
}

function Name({ name }: { name: string | undefined }) {
  return name === undefined ? null : <span class="json-name">{visible(name.slice(0, SHOWN_CHARACTERS))}: </span>;
}

function Leaf({ value }: { value: unknown }) {
  const [isWhole, setIsWhole] = useState(false);
  if (typeof value !== "string") return <span class="json-value">{String(value)}</span>;
  const isCut = !isWhole && value.length > SHOWN_CHARACTERS;
  return (
    <>
      <span class="json-string">{visible(isCut ? value.slice(0, SHOWN_CHARACTERS) : value)}</span>
      {isCut && (
        <button type="button" class="more" onClick={() => setIsWhole(true)}>
          {value.length - SHOWN_CHARACTERS} more characters
        </button>
      )}
    </>
  );
}
