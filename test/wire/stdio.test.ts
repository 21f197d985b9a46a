import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createLog } from "../../src/log.ts";
import { spawnStdio } from "../../src/wire/stdio.ts";
import { listen } from "../support/links.ts";
import { quiet } from "../support/quiet.ts";
import { isRunning } from "../support/processes.ts";
import { until } from "../support/rpc.ts";

const env = { PATH: process.env["PATH"] ?? "" };
const shell = (script: string, log = quiet) => spawnStdio({ command: "sh", args: ["-c", script], env, log });
const frame = (text: string) => JSON.stringify({ jsonrpc: "2.0", method: text });

describe("a child on stdio", () => {
  test("receives and sends frames as lines, of any size and with any characters", async () => {
    const link = shell("cat");
    const heard = listen(link);
    const sent = [frame("a"), frame("é漢🙂".repeat(10_000)), frame("z".repeat(50_000_000)), frame("b")];
    for (const text of sent) link.send(text);
    const got = await heard.count(4);
    expect(got.map((text) => text.length)).toEqual(sent.map((text) => text.length));
    expect(got.every((text, index) => text === sent[index])).toBe(true);
    link.close();
    await heard.end();
  });

  test("receives a frame with raw line breaks between its tokens as one line with the same meaning", async () => {
    const link = shell("cat");
    const heard = listen(link);
    link.send('{"jsonrpc":"2.0",\r\n"method":"a"}\n{"jsonrpc":"2.0","method":"smuggled"}');
    expect(await heard.count(1)).toEqual(['{"jsonrpc":"2.0",  "method":"a"} {"jsonrpc":"2.0","method":"smuggled"}']);
    link.close();
  });

  test("is understood when it splits characters, joins lines, uses CRLF and prints other text", async () => {
    const lines: string[] = [];
    const mask = (text: string) => text.replace("secret=x", "[redacted]");
    const log = createLog({ level: "debug", format: "json", write: (line) => lines.push(line), mask });
    const [first, second] = [frame("漢"), frame("second")];
    const bytes = Buffer.from(first);
    const cut = bytes.indexOf(0xbc);
    const octal = (part: Uint8Array) => [...part].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
    const script = [
      "echo 'Server starting, secret=x'",
      `echo '{"level":"info","id":1,"method":"GET","request":{"jsonrpc":"2.0","id":2,"method":"a"}}'`,
      "echo '[1,2]'",
      "echo '{}'",
      `printf '${octal(bytes.subarray(0, cut))}'`,
      "sleep 0.05",
      `printf '${octal(bytes.subarray(cut))}\\r\\n'`,
      `printf '%s\\n%s\\n\\n{oops\\n' '${second}' '${second}'`,
      "echo 'to stderr' >&2",
      "cat >/dev/null",
    ].join("\n");
    const link = shell(script, log);
    const heard = listen(link);
    expect(await heard.count(3)).toEqual([first, second, second]);
    await until(
      "the log",
      () =>
        lines.filter((line) => line.includes("is not a frame")).length === 5 &&
        lines.some((line) => line.includes("to stderr")),
    );
    expect(lines.join("")).not.toContain("secret=x");
    // The log quotes what was not relayed.
    for (const quoted of ['"line":"Server starting, [redacted]"', '"line":"[1,2]"', '"line":"{oops"'])
      expect(lines.join("")).toContain(quoted);
    link.close();
  });

  test("has its noise quoted up to a limit, and without private keys", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "debug", format: "json", write: (line) => lines.push(line) });
    const key = ["-----BEGIN RSA PRIVATE KEY-----", "a".repeat(64), "b".repeat(64), "-----END RSA PRIVATE KEY-----"];
    const link = shell(
      `printf '%s\\n' ${key.map((line) => `'${line}'`).join(" ")} '${"z".repeat(5000)} end'; cat`,
      log,
    );
    listen(link);
    await until("the log", () => lines.filter((line) => line.includes("is not a frame")).length === 5);
    expect(lines.join("")).not.toMatch(/a{64}|b{64}|z{2001}| end"/);
    link.close();
  });

  test("slows its sender down by reading slowly, and loses nothing", async () => {
    const link = shell("sleep 0.3; cat");
    const heard = listen(link);
    let goOn = true;
    const big = frame("x".repeat(100_000));
    let sent = 0;
    while (goOn) {
      goOn = link.send(big);
      sent += 1;
    }
    expect(sent).toBeLessThan(100);
    await until("room again", () => heard.drained > 0);
    expect((await heard.count(sent)).every((text) => text === big)).toBe(true);
    link.close();
  });

  test("is not read while the link is paused, however much it sends", async () => {
    const link = shell(`yes '${frame("flood")}'`);
    const heard = listen(link);
    await heard.count(1000);
    link.pause();
    const settled = await until("quiet", async () => {
      const before = heard.frames.length;
      await Bun.sleep(50);
      return heard.frames.length === before && before;
    });
    expect(heard.frames.length).toBe(settled);
    link.resume();
    await heard.count(settled + 1000);
    link.close();
    await heard.end();
  });

  test("that exits while the link is paused is reported closed, after its last frame", async () => {
    const link = shell(`read -r _; echo '${frame("the last")}'; exit 3`);
    const heard = listen(link);
    link.pause();
    link.send(frame("go on"));
    expect(await heard.end()).toContain("exit code 3");
    expect(heard.frames).toEqual([frame("the last")]);
  });

  test("that stops reading before it exits is read to its last frame, and reported with its exit code", async () => {
    const link = shell(`exec <&-; echo '${frame("deaf")}'; sleep 0.3; echo '${frame("the last")}'; exit 7`);
    const heard = listen(link);
    await heard.count(1);
    link.send(frame("go on"));
    expect(await heard.end()).toContain("exit code 7");
    expect(heard.frames).toEqual([frame("deaf"), frame("the last")]);
  });

  test.concurrent("that stops reading but does not exit is ended, and the cause is logged", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", format: "json", write: (line) => lines.push(line) });
    const link = shell(`exec <&-; printf '{"jsonrpc":"2.0","method":"%s"}\\n' $$; exec sleep 1000`, log);
    const heard = listen(link);
    const [said = ""] = await heard.count(1);
    // The shell that guards the child may hold the other end for a moment longer.
    const ended = await until("the end of the link", () => {
      link.send(frame("go on"));
      return heard.closed;
    });
    expect(ended).toBe("it stopped reading");
    expect(lines.join("")).toMatch(/a pipe of the command failed.*EPIPE/);
    const { method } = JSON.parse(said) as { method: string };
    await until("its end", () => !isRunning(Number(method)));
  });

  test.concurrent("that sends a line without end is ended, with the reason", async () => {
    const link = shell("exec tr '\\0' z </dev/zero");
    expect(await listen(link).end()).toContain("more than 134217728 bytes");
  });

  test.concurrent("is reported with its exit code or signal, and a missing command by its name", async () => {
    expect(await listen(shell("exit 3")).end()).toContain("exit code 3");
    expect(() => spawnStdio({ command: "no-such-command-here", args: [], env, log: quiet })).toThrow(
      "no-such-command-here",
    );
  });

  test.concurrent("that ignores the end of its stdin and SIGTERM is killed with its descendants", async () => {
    const link = shell(
      `trap '' TERM; sleep 1000 & printf '{"jsonrpc":"2.0","method":"%s %s"}\\n' $$ $!; while :; do sleep 1000; done`,
    );
    const heard = listen(link);
    const [text = ""] = await heard.count(1);
    const pids = (JSON.parse(text) as { method: string }).method.split(" ").map(Number);
    expect(pids.every(isRunning)).toBe(true);
    link.close();
    await until("the end of both", () => !pids.some(isRunning));
  });

  test.concurrent("that exits takes along the processes that it has left behind", async () => {
    const link = shell(`sleep 1000 & printf '{"jsonrpc":"2.0","method":"%s"}\\n' $!; exit 0`);
    const heard = listen(link);
    const [text = ""] = await heard.count(1);
    const { method } = JSON.parse(text) as { method: string };
    expect(await heard.end()).toContain("exit code 0");
    await until("the end of the process left behind", () => !isRunning(Number(method)));
  });

  test.concurrent("that has stopped reading is ended even with data in flight to it", async () => {
    const link = shell(`printf '{"jsonrpc":"2.0","method":"%s"}\\n' $$; exec sleep 1000`);
    const heard = listen(link);
    const [text = ""] = await heard.count(1);
    const pid = Number((JSON.parse(text) as { method: string }).method);
    expect(link.send(frame("x".repeat(1_000_000)))).toBe(false);
    expect(isRunning(pid)).toBe(true);
    link.close();
    await until("its end", () => !isRunning(pid));
  });

  test.concurrent("ends with its descendants when the process that started it is killed", async () => {
    const script = `trap '' TERM; sleep 1000 & printf '{"jsonrpc":"2.0","method":"%s %s"}\\n' $$ $!; while :; do sleep 1000; done`;
    const host = Bun.spawn([process.execPath, join(import.meta.dir, "../support/stdio-host.ts"), "sh", "-c", script], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await host.stdout.getReader().read();
    const pids = (JSON.parse(new TextDecoder().decode(value)) as { method: string }).method.split(" ").map(Number);
    expect(pids.every(isRunning)).toBe(true);
    host.kill("SIGKILL");
    await until("the end of both", () => !pids.some(isRunning));
  });
});
