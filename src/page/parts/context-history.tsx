import type { ComponentChildren } from "preact";
import { visible } from "../../visible.ts";
import type { ContextVersion } from "../client/replies.ts";
import { withQuery } from "../route.ts";
import { Time, counted } from "./time.tsx";

interface ContextHistoryProps {
  versions: readonly ContextVersion[];
  /** The version that is chosen. */
  shown: number | undefined;
  /** What the chosen version changed. */
  children: ComponentChildren;
}

/** The versions of a context, and what the chosen one changed. */
export function ContextHistory({ versions, shown, children }: ContextHistoryProps) {
  return (
    <section class="context-part versions" aria-label="History">
      <h2>History</h2>
      <p class="quiet">{counted(versions.length, "change")}, the latest first</p>
      <ol class="version-list">
        {versions.map((each) => (
          <li key={each.version}>
            <a
              class="version"
              href={withQuery({ version: each.version })}
              aria-current={each.version === shown ? "true" : undefined}
            >
              <span class="numeric quiet">{each.version}</span>
              <span>{visible(saidOf(each))}</span>
              <span class="quiet one-line">
                {each.client_name !== null && <bdi>{visible(each.client_name)}</bdi>} <Time at={each.changed_at} />
              </span>
            </a>
            {each.version === shown && children}
          </li>
        ))}
      </ol>
    </section>
  );
}

function saidOf({ change: what, folder, is_active }: ContextVersion): string {
  if (folder !== null) return `${what} ${folder}`;
  return is_active ? `${what}, active` : what;
}
