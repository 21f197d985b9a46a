import { useState } from "preact/hooks";
import { visible } from "../../visible.ts";
import { Ask } from "./dialog.tsx";
import { Icon } from "./icon.tsx";

interface ContextFoldersProps {
  folders: readonly string[];
  onTie(folder: string): void;
  onUntie(folder: string): void;
}

/** The folders that a context is tied to. */
export function ContextFolders({ folders, onTie, onUntie }: ContextFoldersProps) {
  const [isAsking, setIsAsking] = useState(false);
  return (
    <section class="context-part" aria-label="Folders">
      <h2>Folders</h2>
      <p class="quiet">Sessions that begin in these folders, or below, read this context instead of the active one.</p>
      <ul class="ties">
        {folders.map((folder) => (
          <li key={folder}>
            <bdi>{visible(folder)}</bdi>
            <button
              type="button"
              class="icon-button"
              aria-label={`Untie ${visible(folder)}`}
              title="Untie"
              onClick={() => onUntie(folder)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <button type="button" class="button" onClick={() => setIsAsking(true)}>
        Tie to a folder
      </button>
      {isAsking && (
        <Ask
          label="The folder, as an absolute path"
          action="Tie"
          value=""
          onClose={() => setIsAsking(false)}
          onAnswer={onTie}
        />
      )}
    </section>
  );
}
