import { appendFileSync } from "node:fs";

// Stands between a client and a server, passes everything on, and notes which revision of MCP they settled on.

type Json = Record<string, unknown>;

/** What a client and a server have said about revisions. */
export class Witness {
  readonly #asked = new Map<unknown, string>();
  #settled: string | undefined;
  /** The first methods that the client sent. */
  readonly methods: string[] = [];

  up(text: string): void {
    const message = parsed(text);
    const { method, id } = message;
    if (typeof method !== "string") return;
    this.methods.push(method);
    this.#asked.set(id, method);
    const meta = ((message["params"] ?? {}) as Json)["_meta"] as Json | undefined;
    const version = meta?.["io.modelcontextprotocol/protocolVersion"];
    if (method === "tools/list" && typeof version === "string") this.#settled = version;
  }

  down(text: string): void {
    const message = parsed(text);
    if (this.#asked.get(message["id"]) !== "initialize") return;
    const { protocolVersion } = (message["result"] ?? {}) as Json;
    if (typeof protocolVersion === "string") this.#settled ??= protocolVersion;
  }

  /** The revision, and how the client came to it. */
  get words(): string {
    if (this.#settled === undefined) return `none (${this.methods.slice(0, 3).join(", ") || "nothing was sent"})`;
    const listed = this.methods.includes("tools/list") ? "" : ", no list of tools";
    return `${this.#settled}${this.methods[0] === "initialize" ? "" : ` after ${this.methods[0]}`}${listed}`;
  }
}

/** A witness in front of an address. */
export function startHttpWitness(target: string): { url: string; witness: Witness; stop: () => Promise<void> } {
  const witness = new Witness();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = request.method === "POST" ? await request.text() : undefined;
      if (body !== undefined) witness.up(body);
      const headers = new Headers(request.headers);
      headers.delete("host");
      const address = pathname === "/mcp" ? target : new URL(`${pathname}${search}`, target).href;
      const response = await fetch(address, {
        method: request.method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const [theirs, own] = response.body?.tee() ?? [];
      void noteAnswers(witness, own);
      return new Response(theirs, { status: response.status, headers: plainHeaders(response.headers) });
    },
  });
  return { url: `http://127.0.0.1:${server.port}/mcp`, witness, stop: () => server.stop(true) };
}

function plainHeaders(headers: Headers): Headers {
  const plain = new Headers(headers);
  for (const name of ["content-encoding", "content-length", "transfer-encoding"]) plain.delete(name);
  return plain;
}

async function noteAnswers(witness: Witness, body: ReadableStream<Uint8Array> | undefined): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of body ?? []) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) witness.down(line.replace(/^data: ?/, ""));
    }
    witness.down(rest);
  } catch {
    // The client has left.
  }
}

/** The command line of a witness in front of a command, which writes what it hears to a file. */
export const witnessed = (file: string, command: string[]) => [process.execPath, import.meta.path, file, ...command];

/** What a witness in front of a command has heard. */
export async function readWitness(file: string): Promise<Witness> {
  const witness = new Witness();
  const text = await Bun.file(file)
    .text()
    .catch(() => "");
  for (const line of text.split("\n")) {
    if (line.startsWith(">")) witness.up(line.slice(1));
    else witness.down(line.slice(1));
  }
  return witness;
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return {};
  }
}

async function passOn(file: string, command: string[]): Promise<number> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const output = Bun.stdout.writer();
  const note = async (mark: string, stream: ReadableStream<Uint8Array>, sink: Bun.FileSink) => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      appendFileSync(file, lines.map((line) => `${mark}${line}\n`).join(""));
      void sink.write(chunk);
      await sink.flush();
    }
    await sink.end();
  };
  process.on("SIGTERM", () => child.kill());
  void note(">", Bun.stdin.stream(), child.stdin);
  await note("<", child.stdout, output);
  return child.exited;
}

if (import.meta.main) {
  const [file = "", ...command] = process.argv.slice(2);
  process.exit(await passOn(file, command));
}
