import { expect, test } from "bun:test";
import { shellWord } from "../../src/cli/shell-word.ts";

test("a shell reads a quoted word as it was", () => {
  const words = ["plain", "/a/b-c.d", "two words", "it's", "$HOME `id` \\", "*", "", "~", "a\nb", "wörter"];
  const shell = Bun.spawnSync(["sh", "-c", `printf '%s\\0' ${words.map(shellWord).join(" ")}`]);
  expect(shell.stdout.toString().split("\0").slice(0, -1)).toEqual(words);
});
