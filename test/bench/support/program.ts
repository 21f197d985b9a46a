import { join } from "node:path";

export interface Program extends AsyncDisposable {
  url: string;
  pid: number;
}

/** Starts a program of this folder, which prints its address; stopped when the block ends. */
export async function startProgram(name: string, ...args: string[]): Promise<Program> {
  return startCommand([process.execPath, programPath(name), ...args], /(ws:\/\/\S+)/);
}

export function programPath(name: string): string {
  return join(import.meta.dir, "..", `${name}.ts`);
}

/** Starts a command that prints a line when ready; the first group of the pattern is its address. */
export async function startCommand(command: string[], ready: RegExp): Promise<Program> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!ready.test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  void drain(reader);
  const url = ready.exec(text)?.[1];
  if (url === undefined) throw new Error(`${command.join(" ")} did not start: ${text}`);
  return {
    url,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Unread output would fill the pipe and block the program. */
async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}
