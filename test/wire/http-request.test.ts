import { describe, expect, test } from "bun:test";
import { fetchUpstream, isRefusedConnection, reasonOf, unsuccessful } from "../../src/wire/http-request.ts";
import { freePort } from "../support/ports.ts";

type Answer = (url: URL, request: Request) => Response | Promise<Response>;

function startServer(answer: Answer) {
  return Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => answer(new URL(request.url), request) });
}

const redirect = (location: string, status = 307) => new Response("moved", { status, headers: { location } });

describe("a request to an upstream", () => {
  test("follows up to 3 redirects that keep method and body", async () => {
    using server = startServer(async ({ pathname }, request) => {
      const step = Number(pathname.slice(1));
      return step === 0 ? new Response(`${request.method} ${await request.text()}`) : redirect(`/${step - 1}`);
    });
    const post = (step: number) => fetchUpstream(`${server.url.href}${step}`, { method: "POST", body: "x" });
    expect(await (await post(3)).text()).toBe("POST x");
    expect((await post(4)).status).toBe(307);
  });

  test("follows no redirect that changes the method, leaves the origin or has no valid target", async () => {
    let foreign = 0;
    using other = startServer(() => new Response(`${(foreign += 1)}`));
    using server = startServer(({ pathname }) => {
      if (pathname === "/see-other") return redirect("/", 303);
      if (pathname === "/other") return redirect(other.url.href);
      if (pathname === "/invalid") return redirect("http://[");
      if (pathname === "/nowhere") return new Response("", { status: 308 });
      return new Response("followed");
    });
    const status = async (path: string) => (await fetchUpstream(new URL(path, server.url).href, {})).status;
    expect([await status("/see-other"), await status("/other"), await status("/invalid")]).toEqual([303, 307, 307]);
    expect(await status("/nowhere")).toBe(308);
    expect(foreign).toBe(0);
  });

  test("that is refused is told apart from one that broke", async () => {
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => socket.terminate() },
    });
    const thrown = (port: number) =>
      fetchUpstream(`http://127.0.0.1:${port}/`, {}).then(
        () => new Error("it succeeded"),
        (error: unknown) => error as Error,
      );
    const refused = await thrown(freePort());
    const broken = await thrown(server.port);
    expect([isRefusedConnection(refused), isRefusedConnection(broken), isRefusedConnection("x")]).toEqual([
      true,
      false,
      false,
    ]);
    expect([reasonOf(refused), reasonOf(broken), reasonOf("text")]).toEqual([
      "the connection was refused",
      broken.message,
      "text",
    ]);
  });
});

describe("an unsuccessful response", () => {
  const error = async (body: string, status = 400) => unsuccessful(new Response(body, { status }));

  test("is described by its status and the beginning of its body", async () => {
    expect((await error("", 502)).message).toBe("HTTP 502");
    expect((await error("a reason")).message).toBe("HTTP 400: a reason");
    expect((await error("x".repeat(1000))).message).toBe(`HTTP 400: ${"x".repeat(300)}`);
  });

  test("whose error has no text for a message is described by its body", async () => {
    const body = '{"jsonrpc":"2.0","id":1,"error":{"message":{"toString":1,"valueOf":1}}}';
    expect(await error(body, 404)).toMatchObject({ message: `HTTP 404: ${body}`, answers: "1" });
  });

  test("that is a JSON-RPC error is described by its message, and names the request", async () => {
    const body = '{"jsonrpc":"2.0","id":"7","error":{"code":-32000,"message":"no"}}';
    expect(await error(body)).toMatchObject({ message: "HTTP 400: no", answers: '"7"', body });
    expect((await error('{"jsonrpc":"2.0","id":7,"error":"odd"}')).message).toStartWith('HTTP 400: {"jsonrpc"');
    expect((await error("text")).answers).toBeUndefined();
  });
});
