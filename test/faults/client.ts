import { openSync } from "node:fs";
import { join } from "node:path";
import { signal } from "./processes.ts";
import type { Report } from "./report.ts";

export interface ClientOptions {
  /** Prefix of its session names. */
  name: string;
  seed: number;
  wire: "websocket" | "http" | "stdio";
  /** The proxy's address, or the command of a stdio proxy. */
  address: string[];
  /** Path of its log. */
  home: string;
  env: Record<string, string>;
  onReport: (report: Report) => void;
}

/** A client process, as the harness sees it. */
export class Client {
  readonly name: string;
  readonly #child: Bun.Subprocess<"pipe", "pipe", number>;
  readonly #read: Promise<void>;
  #idle = Promise.withResolvers<void>();

  constructor(options: ClientOptions) {
    this.name = options.name;
    const { name, seed, wire, address, env, home } = options;
    this.#child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "client-host.ts"), name, `${seed}`, wire, ...address],
      { env, cwd: home, stdin: "pipe", stdout: "pipe", stderr: openSync(join(home, "clients.log"), "a") },
    );
    this.#read = this.#follow(options.onReport);
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when it waits for no response, or has exited. */
  async pause(): Promise<void> {
    this.#idle = Promise.withResolvers();
    this.#tell("pause");
    await Promise.race([this.#idle.promise, this.#child.exited]);
  }

  resume(): void {
    this.#tell("resume");
  }

  /** Closes its stdin and resolves once all of its reports are processed. */
  async leave(): Promise<void> {
    await Promise.resolve(this.#child.stdin.end()).catch(() => {});
    await this.#gone();
  }

  async kill(): Promise<void> {
    signal(this.#child.pid, "SIGKILL");
    await this.#gone();
  }

  async #gone(): Promise<void> {
    await this.#child.exited;
    await this.#read;
  }

  #tell(word: string): void {
    try {
      void this.#child.stdin.write(`${word}\n`);
      void this.#child.stdin.flush();
    } catch {
      // It was killed.
    }
  }

  async #follow(onReport: (report: Report) => void): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const report = JSON.parse(line) as Report;
        if (report.kind === "idle") this.#idle.resolve();
        else onReport(report);
      }
    }
  }
}
