import { accessSync, constants, mkdirSync } from "node:fs";
import { DeweyError } from "./errors.ts";
import { systemReason } from "./system-error.ts";

/** Makes the data folder, or one in it. Throws `invalid`, naming the setting, when it cannot be made or written to. */
export function makeDataFolder(folder: string, mode = 0o700): void {
  try {
    mkdirSync(folder, { recursive: true, mode });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unwritableData(folder, cause);
  }
}

/** The error for a data folder that the system does not let Dewey write to. */
export function unwritableData(folder: string, cause: unknown): DeweyError {
  const remedy = "set DEWEY_DATA_DIR to a folder with space that this user may write to";
  const message = `Dewey cannot write to ${folder}: ${systemReason(cause)}; ${remedy}`;
  return new DeweyError("invalid", message, { field: "DEWEY_DATA_DIR", cause });
}
