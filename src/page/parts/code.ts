import { copied } from "./copied.ts";

/** Gives each block of code of a fragment its button to copy and its highlighting, as soon as that is loaded. */
export function dressCode(fragment: DocumentFragment): void {
  for (const block of fragment.querySelectorAll("pre")) {
    block.tabIndex = 0;
    block.dir = "ltr";
    const code = block.querySelector("code");
    if (code === null) continue;
    block.append(copyButton(() => code.textContent ?? ""));
    const language = /(?:^|\s)language-([\w+#.-]+)/.exec(code.className)?.[1];
    if (language !== undefined) void highlight(code, language);
  }
}

/** Longer code is left plain. */
const LONGEST_HIGHLIGHTED = 30_000;

/** Highlights an element's text in place. */
export async function highlight(code: Element, language: string): Promise<void> {
  const text = code.textContent ?? "";
  if (text.length > LONGEST_HIGHLIGHTED) return;
  const { highlighted } = await import("./highlighting.ts");
  const fragment = highlighted(text, language);
  if (fragment !== undefined && code.textContent === text) code.replaceChildren(fragment);
}

/** A button that copies a text and says so. */
function copyButton(text: () => string): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", () => {
    void copied(text()).then((word) => say(button, word));
  });
  return button;
}

/** How long a button says what it did. */
const SAID_MS = 1500;

function say(button: HTMLButtonElement, word: string): void {
  button.textContent = word;
  setTimeout(() => (button.textContent = "Copy"), SAID_MS);
}
