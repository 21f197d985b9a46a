/** Interval of the questions. */
const INTERVAL_MS = 100;
/** `/healthz` answers within a second … */
const LIMIT_MS = 1000;
/** … of processor time: on a machine that is busy or slow, the control tells how much longer that takes. */
const CONTROL_WORK_MS = 25;
/** The slowest of so many last answers of the control counts, since load comes and goes. */
const CONTROL_MEMORY = 20;

/** How quickly a port answered, in milliseconds. */
export interface Answers {
  slowestMs: number;
  count: number;
}

/**
 * Asks ports for `/healthz` all the time, and beside them a program that works for a moment before it answers: a slow machine
 * is not the port's fault.
 */
export class Watch {
  readonly answers = new Map<string, Answers>();
  readonly violations: string[] = [];
  readonly #control: Bun.Subprocess;
  readonly #ports: Map<string, string>;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  private constructor(ports: Map<string, string>, control: Bun.Subprocess, controlUrl: string) {
    this.#control = control;
    this.#ports = new Map([...ports, ["control", controlUrl]]);
  }

  /** `ports` are base addresses by name. */
  static async start(ports: Map<string, string>): Promise<Watch> {
    const child = Bun.spawn([process.execPath, import.meta.path], { stdout: "pipe", stderr: "inherit" });
    const { value } = await child.stdout.getReader().read();
    const watch = new Watch(ports, child, new TextDecoder().decode(value).trim());
    watch.#loop = watch.#ask();
    return watch;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    this.#control.kill();
    await this.#control.exited;
  }

  async #ask(): Promise<void> {
    const recent: number[] = [];
    while (!this.#stopping.signal.aborted) {
      const startedMs = performance.now();
      const times = await Promise.all([...this.#ports].map(([name, url]) => this.#time(name, url, startedMs)));
      const control = times.at(-1) ?? 0;
      recent.push(control);
      if (recent.length > CONTROL_MEMORY) recent.shift();
      const limitMs = LIMIT_MS * Math.max(1, Math.max(...recent) / CONTROL_WORK_MS);
      for (const [index, name] of [...this.#ports.keys()].entries()) {
        const ms = times[index] ?? 0;
        if (name !== "control" && ms > limitMs)
          this.violations.push(
            `/healthz of the ${name} took ${Math.round(ms)} ms, the control ${Math.round(control)} ms`,
          );
      }
      await Bun.sleep(INTERVAL_MS);
    }
  }

  async #time(name: string, url: string, startedMs: number): Promise<number> {
    try {
      const response = await fetch(new URL("/healthz", url));
      await response.text();
      if (!response.ok) this.violations.push(`/healthz of the ${name} says ${response.status}`);
    } catch (error) {
      this.violations.push(`/healthz of the ${name} does not answer: ${String(error)}`);
    }
    const ms = performance.now() - startedMs;
    const { slowestMs, count } = this.answers.get(name) ?? { slowestMs: 0, count: 0 };
    this.answers.set(name, { slowestMs: Math.max(slowestMs, ms), count: count + 1 });
    return ms;
  }
}

/** Works for so much time of the processor, however long that takes. */
function work(ms: number): void {
  const started = process.cpuUsage();
  for (let usage = process.cpuUsage(started); usage.user + usage.system < ms * 1000; usage = process.cpuUsage(started));
}

if (import.meta.main) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch() {
      work(CONTROL_WORK_MS);
      return Response.json({ status: "ok" });
    },
  });
  console.log(String(server.url));
}
