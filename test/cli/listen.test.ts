import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listenOptions } from "../../src/cli/listen.ts";

test("certificates are read from files, and one that cannot be read is named, a pipe at once", () => {
  const folder = mkdtempSync(join(tmpdir(), "dewey-listen-"));
  const [pem, pipe] = [join(folder, "a.pem"), join(folder, "pipe")];
  writeFileSync(pem, "PEM");
  Bun.spawnSync(["mkfifo", pipe]);
  const config = { host: "127.0.0.1", port: 0, token: undefined, allowedOrigins: [], allowedHosts: [] };
  const withTls = (certFile: string, keyFile: string) => () => listenOptions({ ...config, tls: { certFile, keyFile } });
  expect(withTls(pem, pem)()).toMatchObject({ tls: { cert: "PEM", key: "PEM" } });
  expect(withTls(pipe, pem)).toThrow(`DEWEY_TLS_CERT should be a readable regular file, not "${pipe}"`);
  expect(withTls(pem, join(folder, "absent"))).toThrow("DEWEY_TLS_KEY should be a readable regular file");
  rmSync(folder, { recursive: true });
});
