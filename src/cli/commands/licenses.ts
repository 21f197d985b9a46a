import notices from "../../../dist/notices/third-party-notices.txt" with { type: "text" };
import type { Command } from "../command.ts";
import { OutputClosed, standardOutput } from "../output.ts";

export const licenses: Command = {
  name: "licenses",
  summary: "prints the licences of the works of others that this program carries",
  usage: ["dewey licenses"],
  examples: ["dewey licenses"],
  settings: [],
  flags: {},
  operands: 0,
  async run() {
    try {
      await standardOutput().write(notices);
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error;
    }
    return 0;
  },
};
