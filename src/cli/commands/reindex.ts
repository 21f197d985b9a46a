import { obeyed, reindexConfig } from "../../config.ts";
import type { ReindexConfig } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import type { Reindexing } from "../../store/search/language.ts";
import { jsonText } from "../client-command.ts";
import type { Command } from "../command.ts";
import { ProgressBar } from "../progress.ts";
import { startServerIfAway } from "../local-server.ts";
import { requestServer } from "../requests.ts";
import { counted } from "../terminal.ts";

/** Interval between requests for the server's progress. */
const INTERVAL_MS = 200;
/** Interval between progress lines when stderr is not a terminal that shows a bar. */
const LINE_INTERVAL_MS = 10_000;

export const reindex: Command = {
  name: "reindex",
  summary: "rebuilds the search index while the server runs, optionally in another language",
  usage: ["dewey reindex [--search-language LANGUAGE] [--json]"],
  examples: ["dewey reindex", "dewey reindex --search-language german"],
  about: [
    "Messages can be stored and found meanwhile; those not yet reindexed are found by the word forms of the earlier language.",
    "The server does the work and continues after this command ends or the server restarts; dewey reindex shows its progress.",
    "Without a language, the index is rebuilt in the language that the server is configured for, else in the current one.",
  ].join(" "),
  settings: obeyed.reindex,
  flags: { json: { summary: "print JSON, for programs" } },
  operands: 0,
  async run(invocation) {
    const config = reindexConfig(invocation);
    const json = invocation.flags["json"] === true;
    await startServerIfAway(config, invocation.env);
    const report = json || process.stderr.isTTY ? () => {} : lines(invocation.print);
    const state = await walked(config, await begin(config), report, invocation.stopping);
    const text = `All ${counted(state.total, "message")} can be searched in ${state.language}\n`;
    invocation.print(json ? jsonText(state) : text);
    return 0;
  },
};

async function begin(config: ReindexConfig): Promise<Reindexing> {
  const named = config.language === undefined ? "" : `?language=${encodeURIComponent(config.language)}`;
  const response = await requestServer(config, `/reindex${named}`);
  return (await response.json()) as Reindexing;
}

/** Follows the server's progress to the end. */
async function walked(
  config: ReindexConfig,
  begun: Reindexing,
  report: (text: string) => void,
  stopping: AbortSignal,
): Promise<Reindexing> {
  const bar = new ProgressBar(begun.total);
  const howFar = ({ walked, total }: Reindexing) =>
    `${walked.toLocaleString("en-US")} of ${counted(total, "message")} in ${begun.language}`;
  let state = begun;
  try {
    while (state.under_way) {
      const text = howFar(state);
      bar.show(state.walked, () => text);
      report(text);
      await Bun.sleep(INTERVAL_MS);
      if (stopping.aborted) throw new DeweyError("unavailable", `stopped watching; ${GOES_ON}`);
      const response = await requestServer(config, "/reindex/progress");
      state = (await response.json()) as Reindexing;
    }
    return state;
  } catch (error) {
    if (!(error instanceof DeweyError) || error.code !== "unavailable" || stopping.aborted) throw error;
    throw new DeweyError("unavailable", `${error.message}; what is done is kept, and ${GOES_ON}`);
  } finally {
    bar.clear();
  }
}

const GOES_ON = "the server continues: dewey reindex shows its progress";

/** Prints a line at most once per interval. */
function lines(print: (text: string) => void): (text: string) => void {
  let printedMs = -Infinity;
  return (text) => {
    if (performance.now() - printedMs < LINE_INTERVAL_MS) return;
    printedMs = performance.now();
    print(`${text}\n`);
  };
}
