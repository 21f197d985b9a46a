const LATE = Symbol("late");

/**
 * Resolves with the promise's value, or with the result of `onLate` once the limit has passed, which may throw instead.
 * The timer ends with the call, and a promise that is rejected after the limit is ignored. The limit is in milliseconds,
 * at most 2^31 - 1; one below 0 has passed.
 */
export async function within<Value, Instead>(
  limitMs: number,
  promise: Promise<Value>,
  onLate: () => Instead,
): Promise<Value | Instead> {
  const late = Promise.withResolvers<typeof LATE>();
  const timer = setTimeout(() => late.resolve(LATE), Math.max(0, limitMs));
  try {
    const first = await Promise.race([promise, late.promise]);
    return first === LATE ? onLate() : first;
  } finally {
    clearTimeout(timer);
  }
}
