import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { visible } from "../../visible.ts";

interface Toast {
  text: string;
  /** The way back. */
  undo?: (() => void) | undefined;
}

/** How long a toast stays: long enough to read it and to take a step back. */
const SHOWN_MS = 8000;
const shown = signal<Toast | undefined>(undefined);

/** Says what was done, in a corner, with the way back where there is one. */
export function say(text: string, undo?: () => void): void {
  shown.value = { text, undo };
}

export function Toasts() {
  const toast = shown.value;
  useEffect(() => {
    if (toast === undefined) return;
    const timer = setTimeout(() => {
      // Another one may be said and not be drawn yet.
      if (shown.value === toast) shown.value = undefined;
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast]);
  const undo = () => {
    toast?.undo?.();
    shown.value = undefined;
  };
  return (
    <div class="toasts" role="status">
      {toast !== undefined && (
        <div class="toast">
          <span dir="auto">{visible(toast.text)}</span>
          {toast.undo !== undefined && (
            <button type="button" class="button" onClick={undo}>
              Undo
            </button>
          )}
        </div>
      )}
    </div>
  );
}
