import { closeSync, fstatSync, readSync } from "node:fs";
import { clientConfig, obeyed } from "../../config.ts";
import type { ClientConfig } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import { NotAFile, openPlainFile } from "../../plain-file.ts";
import { systemReason } from "../../system-error.ts";
import type { Recovered } from "../../store/backup/backup.ts";
import { jsonText } from "../client-command.ts";
import type { Command } from "../command.ts";
import { usageError } from "../command.ts";
import { ProgressBar } from "../progress.ts";
import { startServerIfAway } from "../local-server.ts";
import { requestServer } from "../requests.ts";
import { bytesText, counted, localTime } from "../terminal.ts";

/** Bytes of the file per request. */
const PART_BYTES = 4 * 1024 * 1024;

export const recover: Command = {
  name: "recover",
  summary: "restores a backup into an empty server",
  usage: ["dewey recover FILE [--force] [--json]"],
  examples: ["dewey recover dewey.backup"],
  about:
    "All or nothing: if anything is wrong with the file, the server keeps its data. Other callers wait until it is done.",
  settings: obeyed.client,
  flags: {
    force: { summary: "replace everything that the server keeps" },
    json: { summary: "print JSON, for programs" },
  },
  operands: 1,
  async run(invocation) {
    const [file] = invocation.operands;
    if (file === undefined) throw usageError(recover, "needs the file of a backup");
    const config = clientConfig(invocation);
    const descriptor = openFile(file);
    try {
      await startServerIfAway(config, invocation.env);
      const recovered = await send(descriptor, config, invocation.flags["force"] === true, invocation.stopping);
      const rows = (name: string) => recovered.tables.find((table) => table.name === name)?.rows ?? 0;
      const holds = `${counted(rows("conversations"), "conversation")}, ${counted(rows("messages"), "message")}`;
      const text = `Recovered the backup of ${localTime(recovered.made_at)}: ${holds}\n`;
      for (const warning of recovered.warnings) process.stderr.write(`dewey: ${warning}\n`);
      invocation.print(invocation.flags["json"] === true ? jsonText(recovered) : text);
      return 0;
    } catch (error) {
      throw error instanceof DeweyError ? told(error, file) : error;
    } finally {
      closeSync(descriptor);
    }
  },
};

/** Names the file in the server's error about the backup. */
function told(error: DeweyError, file: string): DeweyError {
  if (error.code !== "invalid") return error;
  return new DeweyError("invalid", `${file}: ${error.message}; nothing was changed`);
}

function openFile(file: string): number {
  try {
    return openPlainFile(file);
  } catch (cause) {
    const reason = cause instanceof NotAFile ? "it is no regular file" : systemReason(cause);
    throw new DeweyError("invalid", `${file} cannot be read: ${reason}`, { cause });
  }
}

async function send(
  descriptor: number,
  config: ClientConfig,
  force: boolean,
  stopping: AbortSignal,
): Promise<Recovered> {
  const total = fstatSync(descriptor).size;
  const bar = new ProgressBar(total);
  const begun = await requestServer(config, `/recover?force=${force}`);
  const { id } = (await begun.json()) as { id: string };
  const part = new Uint8Array(PART_BYTES);
  try {
    for (let offset = 0; ;) {
      const length = readSync(descriptor, part, 0, PART_BYTES, offset);
      if (length === 0) break;
      if (stopping.aborted) throw new DeweyError("unavailable", "stopped; the server rolls the recovery back");
      const body = part.slice(0, length);
      await requestServer(config, `/recover/part?id=${id}&offset=${offset}`, body);
      offset += length;
      bar.show(offset, () => `${bytesText(offset)} of ${bytesText(total)}`);
    }
    bar.say(total, () => "building indexes …");
    const ended = await requestServer(config, `/recover/finish?id=${id}`);
    return (await ended.json()) as Recovered;
  } catch (error) {
    // The server may have rolled it back already.
    await requestServer(config, `/recover/undo?id=${id}`).catch(() => {});
    throw error;
  } finally {
    bar.clear();
  }
}
