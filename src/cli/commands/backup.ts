import { clientConfig, obeyed } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import { Replacement } from "../../safe-file.ts";
import { MANIFEST, parseManifest } from "../../store/backup/backup.ts";
import type { Manifest } from "../../store/backup/backup.ts";
import { unpacked } from "../../store/backup/archive.ts";
import { jsonText } from "../client-command.ts";
import type { Command } from "../command.ts";
import { usageError } from "../command.ts";
import { ProgressBar } from "../progress.ts";
import { startServerIfAway } from "../local-server.ts";
import { requestServer } from "../requests.ts";
import { bytesText, counted } from "../terminal.ts";

export const backup: Command = {
  name: "backup",
  summary: "backs up everything that a server keeps into one file, while the server runs",
  usage: ["dewey backup FILE [--json]"],
  examples: ["dewey backup dewey.backup"],
  about: [
    "Writes one consistent snapshot of everything, which dewey recover restores into any PostgreSQL that Dewey supports. The",
    "file is a tar compressed with zstd: tar --zstd -xf FILE && sha256sum -c SHA256SUMS. It is written beside FILE, read",
    "back, and renamed to FILE when it is complete.",
  ].join(" "),
  settings: obeyed.client,
  flags: { json: { summary: "print JSON, for programs" } },
  operands: 1,
  async run(invocation) {
    const [file] = invocation.operands;
    if (file === undefined) throw usageError(backup, "needs the name of the file to write");
    const address = clientConfig(invocation);
    await startServerIfAway(address, invocation.env);
    // For its owner only, because it contains every conversation.
    const place = new Replacement(file, 0o600);
    try {
      const response = await requestServer(address, "/backup");
      if (response.body === null) throw new DeweyError("internal", "the server's answer has no content");
      const written = await keep(response.body, place, invocation.stopping);
      place.commit();
      const { manifest, bytes } = written;
      const rows = (name: string) => manifest.tables.find((table) => table.name === name)?.rows ?? 0;
      const holds = `${counted(rows("conversations"), "conversation")}, ${counted(rows("messages"), "message")}`;
      const text = `${file} holds ${holds} (${bytesText(bytes)})\n`;
      invocation.print(invocation.flags["json"] === true ? jsonText({ file, bytes, ...manifest }) : text);
      return 0;
    } finally {
      place.discard();
    }
  },
};

/** Writes the archive and parses it at the same time, so that every completed file can be recovered. */
async function keep(
  body: AsyncIterable<Uint8Array>,
  place: Replacement,
  stopping: AbortSignal,
): Promise<{ manifest: Manifest; bytes: number }> {
  let bytes = 0;
  async function* written(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      if (stopping.aborted) throw new DeweyError("unavailable", "stopped; no backup was written");
      place.write(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  let manifest: Manifest | undefined;
  let rows = 0;
  let bar = new ProgressBar(0);
  try {
    for await (const piece of unpacked(written())) {
      if (piece.name === MANIFEST) {
        manifest = parseManifest(piece);
        bar = new ProgressBar(manifest.tables.reduce((sum, table) => sum + table.rows, 0));
      }
      rows += lineEnds(piece.bytes);
      bar.show(rows, () => `${counted(rows, "row")}, ${bytesText(bytes)}`);
    }
  } catch (cause) {
    if (cause instanceof DeweyError && cause.code === "unavailable") throw cause;
    const reason = "the backup was interrupted; see the server's log";
    throw new DeweyError("unavailable", `${reason}, and no file was written`, { cause });
  } finally {
    bar.clear();
  }
  if (manifest === undefined) throw new DeweyError("internal", "the server's backup has no manifest");
  return { manifest, bytes };
}

/** Counts line ends: COPY writes one row per line. */
function lineEnds(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count += 1;
  return count;
}
