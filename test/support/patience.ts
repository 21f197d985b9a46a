/** Deadline of a wait in a test. Only a hang reaches it: under load, a second here becomes a minute. */
export const PATIENCE_MS = 120_000;

/** Deadline of a test or hook: longer, so that a wait that hangs is reported by its own name. */
export const TEST_TIMEOUT_MS = 300_000;
