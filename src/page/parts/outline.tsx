import { useEffect, useRef, useState } from "preact/hooks";
import { visible } from "../../visible.ts";
import type { OutlinePrompt } from "../client/replies.ts";

interface OutlineProps {
  prompts: readonly OutlinePrompt[];
  /** The turn at the top of the window. */
  top: number;
  hrefOf(turn: number): string;
}

/** Every line has this height, so that only those in the window are in the document. */
const LINE_PX = 28;
/** Lines beyond the window on each side. */
const BEYOND = 10;

/** The prompts of a conversation, of which there may be thousands; the one that is read is marked. */
export function Outline({ prompts, top, hrefOf }: OutlineProps) {
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const [height, setHeight] = useState(600);
  const current = Math.max(
    0,
    prompts.findLastIndex(({ turn }) => turn <= top),
  );
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const start = current * LINE_PX;
    const isSeen = start >= element.scrollTop && start + LINE_PX <= element.scrollTop + element.clientHeight;
    if (!isSeen) element.scrollTop = start - element.clientHeight / 3;
  }, [current, height]);
  const first = Math.max(0, Math.floor(scroll / LINE_PX) - BEYOND);
  const shown = prompts.slice(first, Math.ceil((scroll + height) / LINE_PX) + BEYOND);
  return (
    <nav class="outline" aria-label="Prompts">
      <h2>Prompts</h2>
      <div class="outline-box" ref={box} onScroll={(event) => setScroll(event.currentTarget.scrollTop)}>
        <ol style={{ height: `${prompts.length * LINE_PX}px`, paddingTop: `${first * LINE_PX}px` }}>
          {shown.map(({ turn, text }, index) => (
            <li key={turn}>
              <a
                class="outline-line"
                href={hrefOf(turn)}
                aria-current={first + index === current ? "true" : undefined}
                title={visible(text)}
              >
                <bdi class="one-line">{visible(text)}</bdi>
              </a>
            </li>
          ))}
        </ol>
      </div>
    </nav>
  );
}
