import { DeweyError } from "../../src/errors.ts";

/** Returns the `DeweyError` that a call rejects with. */
export async function failure(call: Promise<unknown>): Promise<DeweyError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DeweyError)) throw new Error(`expected a DeweyError, got ${String(error)}`);
  return error;
}
