import { DeweyError } from "../../src/errors.ts";

/** The error that a call is expected to fail with. */
export async function failure(call: Promise<unknown>): Promise<DeweyError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DeweyError)) throw new Error(`no DeweyError, but ${String(error)}`);
  return error;
}
