import { DeweyError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { selfCommand } from "../self.ts";
import { units } from "../units.ts";

export const unit: Command = {
  name: "unit",
  summary: "prints a systemd unit for the server, the proxy or the watch over sessions",
  usage: [
    "dewey unit serve > /etc/systemd/system/dewey.service",
    "dewey unit proxy > ~/.config/systemd/user/dewey-proxy.service",
    "dewey unit watch > ~/.config/systemd/user/dewey-watch.service",
  ],
  examples: ["dewey unit serve | sudo tee /etc/systemd/system/dewey.service"],
  about: [
    "The server's unit is a system unit; it reads /etc/dewey/serve.env, and the secrets /etc/dewey/token and",
    "/etc/dewey/db-password if they exist. The proxy's unit is a user unit, because the servers that it starts need the",
    "user's own environment; it reads ~/.config/dewey/proxy.env. The watch's unit is one, too, because the sessions lie in the",
    "user's home; it reads ~/.config/dewey/watch.env. The server runs as a user of its own, so all of them need the same",
    "token: in /etc/dewey/token, and as DEWEY_TOKEN in proxy.env and watch.env.",
  ].join(" "),
  settings: [],
  flags: {},
  operands: 1,
  run({ operands, print }) {
    const [kind] = operands;
    const unitOf = Object.entries(units).find(([name]) => name === kind)?.[1];
    if (unitOf === undefined)
      throw new DeweyError("invalid", "dewey unit needs the name of a service: dewey unit serve, proxy or watch");
    print(unitOf(selfCommand().map(quoted).join(" ")));
    return Promise.resolve(0);
  },
};

/** Quotes a word for systemd, which splits at spaces and expands `%` and `$`. */
function quoted(word: string): string {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /[\s"'\\]/.test(escaped) ? JSON.stringify(escaped) : escaped;
}
