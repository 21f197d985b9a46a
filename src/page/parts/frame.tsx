import { createContext } from "preact";
import type { ComponentChildren } from "preact";
import { visible } from "../../visible.ts";
import { useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { route } from "../route.ts";
import { Icon } from "./icon.tsx";

/** The navigation, which the shell knows and every view shows. */
export const Navigation = createContext<ComponentChildren>(null);

interface FrameProps {
  /** The title of the document and of the view. */
  title: string;
  /** Beside or in place of the title, at the top of the view. */
  head?: ComponentChildren;
  /** Filters or an outline: beside the view, and on a narrow screen in the menu. */
  aside?: ComponentChildren;
  children: ComponentChildren;
}

/** What every view stands in: the navigation with the view's own aside, the head, and the view. */
export function Frame({ title, head, aside, children }: FrameProps) {
  const navigation = useContext(Navigation);
  const [isOpen, setIsOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = title === "Dewey" ? title : `${visible(title)} · Dewey`;
  }, [title]);
  const at = route.value;
  // On a narrow screen the menu covers the view that a person has just chosen in it.
  useLayoutEffect(() => setIsOpen(false), [at]);
  return (
    <div class={isOpen ? "frame menu-open" : "frame"}>
      <a class="skip" href="#main" onClick={(event) => skip(event, main.current)}>
        Skip to the content
      </a>
      <div class="side" id="side">
        {navigation}
        {aside !== undefined && (
          <aside class="aside" aria-label="Beside the view">
            {aside}
          </aside>
        )}
      </div>
      <button
        type="button"
        class="menu-shade"
        tabIndex={-1}
        aria-label="Close the menu"
        onClick={() => setIsOpen(false)}
      />
      <main class="main" id="main" ref={main} tabIndex={-1}>
        <header class="head">
          <button
            type="button"
            class="icon-button menu-button"
            aria-label="Menu"
            aria-expanded={isOpen}
            aria-controls="side"
            onClick={() => setIsOpen(!isOpen)}
          >
            <Icon name="menu" />
          </button>
          {head ?? <h1>{visible(title)}</h1>}
        </header>
        {children}
      </main>
    </div>
  );
}

function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.focus();
}
