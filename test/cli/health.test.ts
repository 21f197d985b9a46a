import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askProbe, proxyAt } from "../../src/cli/health.ts";
import { freePort } from "../support/ports.ts";

const health = { status: "ok", recorder: { recording: true } };

/** A self-signed certificate for another name than localhost. */
function certificate(): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), "dewey-health-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=dewey.example", "-addext", "subjectAltName=DNS:dewey.example"];
  Bun.spawnSync(["openssl", "req", "-x509", ...curve, ...subject, "-keyout", key, "-out", cert]);
  const pem = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  rmSync(folder, { recursive: true });
  return pem;
}

describe("the proxy at a port", () => {
  test("is found without TLS", async () => {
    using proxy = Bun.serve({ port: 0, fetch: () => Response.json(health) });
    expect(await proxyAt(Number(proxy.port), undefined)).toEqual({ url: `ws://localhost:${proxy.port}`, health });
  });

  test.skipIf(Bun.which("openssl") === null)("is found with TLS, whatever name its certificate is for", async () => {
    using proxy = Bun.serve({ port: 0, tls: certificate(), fetch: () => Response.json(health) });
    expect(await proxyAt(Number(proxy.port), "secret")).toEqual({ url: `wss://localhost:${proxy.port}`, health });
  });

  test("is not found where nothing or another program answers", async () => {
    expect(await proxyAt(freePort(), undefined)).toBeUndefined();
    using other = Bun.serve({ port: 0, fetch: () => Response.json({ database: "ok" }) });
    expect(await proxyAt(Number(other.port), undefined)).toBeUndefined();
  });
});

describe("a probe", () => {
  const answer = (request: Request) => new Response(new URL(request.url).pathname);

  test("asks the route that is meant", async () => {
    using server = Bun.serve({ port: 0, fetch: answer });
    for (const probe of ["/healthz", "/livez", "/readyz"] as const)
      expect(await (await askProbe({ url: `ws://localhost:${server.port}`, token: undefined }, probe))?.text()).toBe(
        probe,
      );
    expect(await askProbe({ url: `ws://localhost:${freePort()}`, token: undefined }, "/livez")).toBeUndefined();
  });

  test.skipIf(Bun.which("openssl") === null)("finds a server of this machine with TLS, by either address", async () => {
    using server = Bun.serve({ port: 0, tls: certificate(), fetch: answer });
    for (const scheme of ["ws", "wss"])
      expect(
        await (await askProbe({ url: `${scheme}://localhost:${server.port}`, token: undefined }, "/readyz"))?.text(),
      ).toBe("/readyz");
  });

  test.skipIf(Bun.which("openssl") === null)(
    "shows the token only to a server that has the right certificate",
    async () => {
      const shown: (string | null)[] = [];
      const fetch = (request: Request) => {
        shown.push(request.headers.get("authorization"));
        return Response.json(health);
      };
      using plain = Bun.serve({ port: 0, fetch });
      using strange = Bun.serve({ port: 0, tls: certificate(), fetch });
      await askProbe({ url: `ws://localhost:${plain.port}`, token: "secret" }, "/healthz");
      await proxyAt(Number(plain.port), "secret");
      await askProbe({ url: `wss://localhost:${strange.port}`, token: "secret" }, "/healthz");
      await proxyAt(Number(strange.port), "secret");
      expect(shown).toEqual(["Bearer secret", "Bearer secret", null, null]);
    },
  );
});
