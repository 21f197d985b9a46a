import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { receive } from "../../src/wire/body.ts";

let server: ReturnType<typeof Bun.serve>;
const failed: Error[] = [];
const received: (string | number)[] = [];
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request, server) {
      const body = await receive(request, server, (arriving) => arriving.text(), 300);
      received.push(typeof body === "string" ? body : body.status);
      return typeof body === "string" ? new Response(body) : body;
    },
    error(error) {
      failed.push(error);
      return new Response(null, { status: 500 });
    },
  });
});
afterAll(() => server.stop(true));

/** Sends the beginning of a request, and resolves with what was answered when the connection is closed. */
async function begin(text: string, leaves = false): Promise<string> {
  const over = Promise.withResolvers<string>();
  let heard = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port ?? 0,
    socket: {
      open(socket) {
        socket.write(text);
        if (leaves) socket.flush();
        if (leaves) setTimeout(() => socket.terminate(), 50);
      },
      data: (_, bytes) => void (heard += bytes.toString("latin1")),
      close: () => over.resolve(heard),
    },
  });
  return over.promise;
}

describe("a body", () => {
  test("that arrives is read", async () => {
    const response = await fetch(server.url, { method: "POST", body: "all of it" });
    expect(await response.text()).toBe("all of it");
  });

  test("that does not arrive is cut off with a plain answer, and its connection is closed", async () => {
    for (const length of ["content-length: 10", "transfer-encoding: chunked"]) {
      const heard = await begin(`POST / HTTP/1.1\r\nhost: localhost\r\n${length}\r\n\r\n`);
      expect(heard).toStartWith("HTTP/1.1 408 ");
      expect(heard).toContain("the body did not arrive in time");
    }
    expect(failed).toEqual([]);
  });

  test("whose client leaves is no error", async () => {
    received.splice(0);
    await begin("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc", true);
    while (received.length === 0) await Bun.sleep(5);
    expect([received, failed]).toEqual([[408], []]);
  });
});
