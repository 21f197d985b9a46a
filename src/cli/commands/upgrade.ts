import { jsonText } from "../client-command.ts";
import type { Command } from "../command.ts";
import { installationOf } from "../installation.ts";
import { newestRelease } from "../newest-release.ts";
import { prose } from "../prose.ts";

/** The address of the repository whose release this is; the release's build defines it. */
declare const RELEASED_BY: string;

const repository = typeof RELEASED_BY === "string" ? RELEASED_BY : undefined;

export const upgrade: Command = {
  name: "upgrade",
  summary: "tells whether there is a newer version, and how to install it",
  usage: ["dewey upgrade [--check] [--json]"],
  examples: ["dewey upgrade", "dewey upgrade --check || echo there is a newer one"],
  about:
    "Asks the page of releases for the newest version, and prints the command that installs it, by how this one was " +
    "installed. It changes nothing, and no other command asks: Dewey never looks for new versions by itself.",
  settings: [],
  flags: {
    check: { summary: "exit 1 when there is a newer version, for scripts" },
    json: { summary: "print JSON, for programs" },
  },
  operands: 0,
  async run({ flags, version, print }) {
    const releases = repository === undefined ? undefined : `${repository}/releases`;
    const { kind, upgrade: remedy } = installationOf(process.execPath, releases);
    const newest = repository === undefined ? undefined : await newestRelease(repository);
    const isNewer = newest !== undefined && Bun.semver.order(newest, version) > 0;
    if (flags["json"] === true)
      print(jsonText({ version, newest: newest ?? null, newer: isNewer, installed: kind, remedy }));
    else print(prose(`${said(version, newest, isNewer, remedy)}\n`));
    return flags["check"] === true && isNewer ? 1 : 0;
  },
};

function said(version: string, newest: string | undefined, isNewer: boolean, remedy: string): string {
  if (newest === undefined)
    return `Dewey ${version} was built from source, so there is no release to compare it with. For the newest source:\n  ${remedy}`;
  if (!isNewer) return `Dewey ${version} is the newest version.`;
  return `Dewey ${newest} is there; this is ${version}. To install it:\n  ${remedy}`;
}
