import { describe, expect, test } from "bun:test";
import { fileListener } from "../support/listener.ts";

// What the port says of the page's files; test/page looks at the page itself.

const OPENED = { accept: "text/html,application/xhtml+xml" };

describe("the page", () => {
  const served = fileListener();
  const at = (path: string) => new URL(path, served.listener.url.replace("ws:", "http:"));
  /** A request as it is on the wire: fetch would decode the body, and send what it accepts itself. */
  const ask = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(at(path), { method, headers: { "accept-encoding": "identity", ...headers }, decompress: false });
  const fileNames = async () => {
    const html = await (await ask("/", OPENED)).text();
    return [...html.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, name = ""]) => name);
  };

  test("is at every address that a person opens, never kept without asking", async () => {
    for (const path of ["/", "/conversations?starred=1", "/conversation/3f2a?turn=4"]) {
      const response = await ask(path, OPENED);
      expect([path, response.status, response.headers.get("content-type")]).toEqual([
        path,
        200,
        "text/html;charset=utf-8",
      ]);
      expect(response.headers.get("cache-control")).toBe("no-cache");
      const again = await ask(path, { ...OPENED, "if-none-match": response.headers.get("etag") ?? "" });
      expect([path, again.status]).toEqual([path, 304]);
    }
  });

  test("is nothing that programs get by mistake", async () => {
    expect((await ask("/")).status).toBe(404);
    expect((await ask("/", OPENED, "POST")).status).toBe(404);
    expect((await ask("/mcp", OPENED)).headers.get("content-type")).not.toContain("text/html");
    expect((await ask("/healthz", OPENED)).headers.get("content-type")).toContain("json");
  });

  test("has files that a browser keeps for good, and none of another name", async () => {
    const names = await fileNames();
    expect(new Set(names.map((name) => name.split(".").at(-1)))).toEqual(new Set(["css", "js", "svg"]));
    for (const name of names) {
      const response = await ask(name);
      expect([name, response.status]).toEqual([name, 200]);
      expect(name).toMatch(/-[a-z0-9]{8,}\.\w+$/);
      expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    }
    expect((await ask("/page/main-00000000.js")).status).toBe(404);
    expect((await ask("/page/../../package.json")).status).toBe(404);
    expect((await ask(names[0] ?? "", {}, "DELETE")).status).toBe(405);
  });

  test("comes compressed as the client takes it", async () => {
    const name = (await fileNames()).find((each) => each.endsWith(".js")) ?? "";
    const plain = await (await ask(name)).text();
    const gzip = await ask(name, { "accept-encoding": "gzip, br;q=0" });
    expect(gzip.headers.get("content-encoding")).toBe("gzip");
    expect(new TextDecoder().decode(Bun.gunzipSync(await gzip.arrayBuffer()))).toBe(plain);
    const brotli = await ask(name, { "accept-encoding": "gzip, deflate, br, zstd" });
    expect(brotli.headers.get("content-encoding")).toBe("br");
    expect((await brotli.bytes()).length).toBeLessThan(plain.length / 2);
    expect(brotli.headers.get("vary")).toContain("Accept-Encoding");
  });

  test("runs nothing but its own files, stands in no frame and tells no other site", async () => {
    for (const path of ["/", ...(await fileNames())]) {
      const { headers } = await ask(path, OPENED);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
    }
    const html = await (await ask("/", OPENED)).text();
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style| on\w+=| style=/);
  });

  test("is refused to other sites' pages and under names that are not known", async () => {
    const [name = ""] = await fileNames();
    for (const headers of [
      { host: "evil.example" },
      { origin: "https://evil.example" },
      { "sec-fetch-site": "cross-site" },
    ])
      for (const path of ["/", name]) expect((await ask(path, { ...OPENED, ...headers })).status).toBe(403);
    expect((await ask("/", { ...OPENED, "sec-fetch-site": "none" })).status).toBe(200);
  });
});
