import type { ComponentChildren } from "preact";

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

/** A call that failed, and the way to try again. */
export function Failure({ error, again }: { error: Error; again?: (() => void) | undefined }) {
  return (
    <div class="notice" role="alert">
      <p class="notice-title">This could not be read</p>
      <p class="notice-text" dir="auto">
        {error.message}
      </p>
      {again !== undefined && (
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}
