import type { ComponentChildren } from "preact";
import { visible } from "../../visible.ts";

/** Grey lines where a list will stand. */
export function Loading({ rows = 8 }: { rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <div class="loading-row" key={index} />
      ))}
    </div>
  );
}

/** In place of what is not there: what is missing, and what a person can do. */
export function Notice({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="notice">
      <p class="notice-title">{title}</p>
      {children !== undefined && <div class="notice-text">{children}</div>}
    </div>
  );
}

interface FailureProps {
  error: Error;
  /** Tries again. */
  again(): void;
}

/** In place of what could not be read: why, and the way to try again. */
export function Failure({ error, again }: FailureProps) {
  return (
    <div class="notice" role="alert">
      <p class="notice-title">This could not be read</p>
      <p class="notice-text" dir="auto">
        {visible(error.message)}
      </p>
      <button type="button" class="button" onClick={again}>
        Try again
      </button>
    </div>
  );
}

/** Above what was read before, when not all of it could be read again. */
export function Outdated({ error, again }: FailureProps) {
  return (
    <div class="outdated" role="alert">
      <p dir="auto">This may be out of date: {visible(error.message)}</p>
      <button type="button" class="button" onClick={again}>
        Try again
      </button>
    </div>
  );
}
