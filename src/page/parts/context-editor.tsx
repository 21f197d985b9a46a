import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon.tsx";

interface ContextEditorProps {
  name: string;
  /** The text as it is stored; empty for one that is not written yet. */
  stored: string;
  isWritten: boolean;
  isActive: boolean;
  onSave(text: string, isActive: boolean): void;
  /** Resolves to whether it is deleted. */
  onDelete(): Promise<boolean>;
}

/** What a person has written and not saved, by the context's name: leaving the view, or being signed out, does not lose it. */
const drafts = new Map<string, string>();

/** Asks a person who closes the page with something unsaved in it. */
function useUnsaved(isUnsaved: boolean): void {
  useEffect(() => {
    if (!isUnsaved) return;
    const leaving = (event: Event) => event.preventDefault();
    addEventListener("beforeunload", leaving);
    return () => removeEventListener("beforeunload", leaving);
  }, [isUnsaved]);
}

/** The text of a context, and what can be done to it. */
export function ContextEditor({ name, stored, isWritten, isActive, onSave, onDelete }: ContextEditorProps) {
  const [draft, setDraft] = useState(drafts.get(name));
  const text = draft ?? stored;
  const write = (words: string) => {
    if (words === stored) drafts.delete(name);
    else drafts.set(name, words);
    setDraft(drafts.get(name));
  };
  // What somebody else wrote meanwhile replaces the text, unless a person has begun to change it: also since it was drawn.
  useEffect(() => write(drafts.get(name) ?? stored), [stored]);
  const isChanged = text !== stored;
  useUnsaved(isChanged);
  const remove = async () => {
    if (await onDelete()) drafts.delete(name);
  };
  const saved = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !isChanged) return;
    event.preventDefault();
    onSave(text, isActive);
  };
  return (
    <section aria-label="Text">
      <textarea
        class="field context-text"
        aria-label="What a session should know when it begins"
        placeholder="What a session should know when it begins"
        dir="auto"
        rows={10}
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={saved}
      />
      <div class="context-actions">
        <button
          type="button"
          class="button primary"
          disabled={!isChanged || text.trim() === ""}
          title="Ctrl Enter"
          onClick={() => onSave(text, isActive)}
        >
          Save
        </button>
        {!isActive && (
          <button type="button" class="button" disabled={text.trim() === ""} onClick={() => onSave(text, true)}>
            {isChanged ? "Save and activate" : "Activate"}
          </button>
        )}
        {isChanged && isWritten && (
          <button type="button" class="button" onClick={() => write(stored)}>
            Take back
          </button>
        )}
        {isWritten && (
          <button
            type="button"
            class="icon-button head-end"
            aria-label="Delete the context"
            title="Delete"
            onClick={() => void remove()}
          >
            <Icon name="trash" />
          </button>
        )}
      </div>
    </section>
  );
}
