/** A wait in a test fails after this time, which only a hang reaches: a second here is a minute on a machine under load. */
export const PATIENCE_MS = 120_000;

/** The same for a whole test or hook; longer, so that the wait that hangs is named first. */
export const TEST_TIMEOUT_MS = 300_000;
