import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createLog } from "../../src/log.ts";
import type { Link } from "../../src/wire/link.ts";
import { spawnStdio } from "../../src/wire/stdio.ts";
import { until } from "../support/rpc.ts";
import { trueCases } from "../support/secrets.ts";

const links: Link[] = [];
afterEach(() => {
  for (const link of links.splice(0)) link.close();
});

/** Lines logged from a child's stderr until the child has printed "the last". */
async function logged(script: string, text = ""): Promise<string[]> {
  const lines: string[] = [];
  const write = (line: string) => {
    const said = JSON.parse(line) as { event: string; line: string };
    if (said.event === "stderr") lines.push(said.line);
  };
  const log = createLog({ level: "debug", format: "json", write });
  const env = { PATH: process.env["PATH"] ?? "", TEXT: text };
  links.push(spawnStdio({ command: "sh", args: ["-c", `${script}; echo 'the last' >&2; cat`], env, log }));
  await until("the last line", () => lines.at(-1)?.endsWith("the last"));
  return lines;
}
const print = (lines: string[]) => logged(`printf '%s\\n' "$TEXT" >&2`, lines.join("\n"));

const key = trueCases.find(({ kind }) => kind === "private key")?.secret.split("\n") ?? [];
const [first = "", ...rest] = key;

describe("a command's stderr", () => {
  test("is logged without a private key over several lines, in any notation, and with all lines around it", async () => {
    const pgp = [first.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"), "", ...rest.slice(0, -1), "=aB3d"];
    const forms = [
      key,
      key.map((line) => `npm ERR! ${line}`),
      key.map((line) => `    '${line}\\n' +`),
      [first, "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,1234", "", ...rest],
      [...pgp, (rest.at(-1) ?? "").replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")],
    ];
    for (const lines of forms)
      expect(await print(["before", ...lines, "after"])).toEqual([
        "before",
        lines[0] ?? "",
        "[redacted: private key]",
        "after",
        "the last",
      ]);
  });

  test("is logged where it only mentions keys, and a key without end hides no more lines than a key has", async () => {
    const prose = [`a key begins with ${first}`, "at once", first, "in a line of its own"];
    expect(await print(prose)).toEqual([...prose, "the last"]);
    const endless = await print([first, ...Array.from({ length: 400 }, () => rest[0] ?? "")]);
    expect(endless.length).toBeGreaterThan(100);
    expect(endless.length).toBeLessThan(200);
  });

  test("is logged up to a word from a line without end, once and in bounded memory", async () => {
    const line = `a token=${"s".repeat(1980)}`;
    const script = `printf %s '${line} cut' >&2; head -c 500000000 /dev/zero | tr '\\0' z >&2; echo >&2; echo 'the last' >&2; cat`;
    const host = join(import.meta.dir, "../support/stderr-host.ts");
    const { stdout } = Bun.spawn([process.execPath, host, "sh", "-c", script], { stdout: "pipe", stderr: "inherit" });
    const { lines, grownBytes } = (await new Response(stdout).json()) as { lines: string[]; grownBytes: number };
    expect(lines).toEqual([`${line} …`, "the last"]);
    expect(grownBytes).toBeLessThan(200_000_000);
  });

  test("is logged to its end, with or without a last line end", async () => {
    expect(await logged("printf 'and ' >&2; printf 'the last' >&2; exit 1")).toEqual(["and the last"]);
  });
});
