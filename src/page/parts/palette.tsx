import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { visible } from "../../visible.ts";
import { Dialog } from "./dialog.tsx";

/** One line of the palette. */
export interface PaletteItem {
  title: string;
  /** Beside the title: a key, a place. */
  hint?: string | undefined;
  run(): void;
}

interface PaletteProps {
  /** What can be chosen for what was typed so far. */
  itemsFor(text: string): PaletteItem[];
  /** Takes what is to be done once the palette is closed. */
  onChoose(run: () => void): void;
  onClose(): void;
}

/** Lines that are shown at once. */
const MOST_ITEMS = 12;

/** Everything that can be done and everywhere one can go, by a few letters. */
export function Palette({ itemsFor, onChoose, onClose }: PaletteProps) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const items = itemsFor(text).slice(0, MOST_ITEMS);
  const choose = (item: PaletteItem | undefined) => {
    if (item !== undefined) onChoose(() => item.run());
    onClose();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) setChosen((chosen + step + items.length) % Math.max(1, items.length));
    else if (event.key === "Enter") choose(items[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog label="Commands" class="palette" onClose={onClose}>
      <input
        class="field"
        ref={field}
        value={text}
        placeholder="Go to, or do …"
        aria-label="Go to, or do"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-items"
        aria-activedescendant={items.length > 0 ? `palette-${chosen}` : undefined}
        autoComplete="off"
        onInput={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={pressed}
      />
      <div id="palette-items" role="listbox" aria-label="Choices">
        {items.map((item, index) => (
          <div
            key={index}
            id={`palette-${index}`}
            class="palette-item"
            role="option"
            aria-selected={index === chosen}
            onClick={() => choose(item)}
            onPointerMove={() => setChosen(index)}
          >
            <bdi class="one-line">{visible(item.title)}</bdi>
            {item.hint !== undefined && <kbd>{item.hint}</kbd>}
          </div>
        ))}
      </div>
    </Dialog>
  );
}
