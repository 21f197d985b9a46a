import { useState } from "preact/hooks";
import { Dialog } from "./dialog.tsx";

const FORMATS = [
  { value: "html", name: "Web page", hint: "one file that needs nothing else" },
  { value: "markdown", name: "Markdown", hint: "for issues, wikis and models" },
  { value: "json", name: "JSON lines", hint: "for programs, and for dewey import" },
] as const;
type Format = (typeof FORMATS)[number]["value"];

interface ShareDialogProps {
  /** The number of the last turn. */
  last: number;
  hrefOf(format: Format, from: number | undefined, to: number | undefined): string;
  onClose(): void;
}

/** Asks how a conversation, or a range of its turns, leaves as a file. */
export function ShareDialog({ last, hrefOf, onClose }: ShareDialogProps) {
  const [format, setFormat] = useState<Format>("html");
  const [from, setFrom] = useState<number>();
  const [to, setTo] = useState<number>();
  return (
    <Dialog label="Share the conversation" class="share" onClose={onClose}>
      <fieldset class="share-formats">
        <legend>Share as</legend>
        {FORMATS.map(({ value, name, hint }) => (
          <label key={value} class="share-format">
            <input
              type="radio"
              name="format"
              value={value}
              checked={value === format}
              onChange={() => setFormat(value)}
            />
            <span>{name}</span>
            <span class="quiet">{hint}</span>
          </label>
        ))}
      </fieldset>
      <div class="share-range">
        <Turn label="From turn" value={from} most={last} placeholder="1" onTurn={setFrom} />
        <Turn label="to turn" value={to} most={last} placeholder={`${last}`} onTurn={setTo} />
      </div>
      <p class="quiet">Secrets that Dewey recognises are cut again. Read the file before you pass it on.</p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <a class="button primary" download href={hrefOf(format, from, to)} onClick={onClose}>
          Save the file
        </a>
      </div>
    </Dialog>
  );
}

interface TurnProps {
  label: string;
  value: number | undefined;
  most: number;
  placeholder: string;
  onTurn(turn: number | undefined): void;
}

function Turn({ label, value, most, placeholder, onTurn }: TurnProps) {
  return (
    <label>
      {label}
      <input
        class="field numeric"
        type="number"
        inputMode="numeric"
        min={1}
        max={most}
        placeholder={placeholder}
        value={value ?? ""}
        onInput={({ currentTarget: { valueAsNumber } }) =>
          onTurn(Number.isNaN(valueAsNumber) ? undefined : valueAsNumber)
        }
      />
    </label>
  );
}
