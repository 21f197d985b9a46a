import { Notice } from "./states.tsx";

/** In an empty store: how something comes into it. */
export function NothingKept() {
  return (
    <Notice title="Nothing is kept yet">
      <code>dewey import</code> brings the sessions of your agents, and <code>dewey connect</code> keeps the next ones.
    </Notice>
  );
}
