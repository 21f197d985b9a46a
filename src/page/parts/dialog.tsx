import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface DialogProps {
  label: string;
  class?: string;
  onClose(): void;
  children: ComponentChildren;
}

// Focus moves before the next key can arrive: a person types on at once.

/** A dialog over the page; the browser keeps the focus in it and closes it by Escape. */
export function Dialog({ label, class: name = "", onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const latest = useRef(onClose);
  latest.current = onClose;
  useLayoutEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    const closed = () => latest.current();
    // `close` comes some time after the dialog has closed, and until then the focus is in what nobody sees; `cancel` comes
    // with the key.
    element?.addEventListener("cancel", closed);
    element?.addEventListener("close", closed);
    element?.showModal();
    return () => {
      // This `close` would arrive when another dialog may have opened in its place, and close that one.
      element?.removeEventListener("close", closed);
      element?.close();
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  // A click on what lies around it closes it, too.
  const clicked = (event: MouseEvent) => {
    if (event.target === dialog.current) onClose();
  };
  return (
    <dialog class={`dialog ${name}`} ref={dialog} aria-label={label} onClick={clicked}>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}

/** Asks for one text, such as a title. */
export function Ask({
  label,
  value,
  action,
  onAnswer,
  onClose,
}: {
  label: string;
  value: string;
  action: string;
  onAnswer(text: string): void;
  onClose(): void;
}) {
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.select(), []);
  const submitted = (event: Event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? "";
    if (text !== "") onAnswer(text);
    onClose();
  };
  return (
    <Dialog label={label} onClose={onClose}>
      <form class="ask" onSubmit={submitted}>
        <label>
          {label}
          <input class="field" ref={field} defaultValue={value} dir="auto" maxLength={500} />
        </label>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary">
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
