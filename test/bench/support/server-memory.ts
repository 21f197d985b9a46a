import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { temporaryHome } from "../../support/home.ts";
import { toolFrame } from "./dewey.ts";

const program = import.meta.resolve("@modelcontextprotocol/server-memory/dist/index.js").replace("file://", "");

export interface MemoryOptions {
  /** Entities in its file at the start. */
  known: number;
  warmUpMs: number;
  durationMs: number;
  /** Text of an entity. */
  text(number: number): string;
}

/** Calls per second of MCP's server-memory for one client over stdio, each storing one entity in a file. */
export async function storeInServerMemory(options: MemoryOptions): Promise<number> {
  using home = temporaryHome();
  const file = join(home.path, "memory.jsonl");
  const thing = (number: number) => ({
    name: `thing ${number}`,
    entityType: "message",
    observations: [options.text(number)],
  });
  const known = Array.from({ length: options.known }, (_, number) => ({ type: "entity", ...thing(number) }));
  writeFileSync(file, known.map((each) => JSON.stringify(each)).join("\n"));
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env["PATH"], MEMORY_FILE_PATH: file },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const exited = once(child, "exit");
  try {
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const call = async (frame: string) => {
      child.stdin.write(`${frame}\n`);
      const { value } = await answers.next();
      if (typeof value !== "string" || value.includes('"isError":true') || value.includes('"error":'))
        throw new Error(`server-memory failed: ${value}`);
    };
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
    await call(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params }));
    child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
    let number = options.known;
    const storeFor = async (ms: number) => {
      const startedMs = performance.now();
      const first = number;
      for (; performance.now() - startedMs < ms; number++)
        await call(toolFrame(number + 1, "create_entities", { entities: [thing(number)] }));
      return ((number - first) * 1000) / (performance.now() - startedMs);
    };
    await storeFor(options.warmUpMs);
    return await storeFor(options.durationMs);
  } finally {
    child.kill();
    await exited;
  }
}
