import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** A registry of npm that knows the packages of some files only, and answers 404 for any other. */
export interface NpmRegistry {
  url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Serves packed packages (`.tgz`) as the registry would that they were published to. */
export async function startNpmRegistry(files: string[]): Promise<NpmRegistry> {
  const packages = await Promise.all(files.map(packed));
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch({ url }) {
      const path = decodeURIComponent(new URL(url).pathname.slice(1));
      const found = packages.find(({ name, file }) => path === name || path === basename(file));
      if (found === undefined) return Response.json({ error: "not found" }, { status: 404 });
      if (path === basename(found.file)) return new Response(found.bytes);
      const { name, version, manifest, bytes, file } = found;
      const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
      const dist = { tarball: new URL(`/${basename(file)}`, url).href, integrity };
      return Response.json({ name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } });
    },
  });
  return { url: `http://127.0.0.1:${server.port}/`, [Symbol.asyncDispose]: () => server.stop(true) };
}

async function packed(file: string) {
  const bytes = readFileSync(file);
  const inside = await new Bun.Archive(bytes).files();
  const manifest = JSON.parse((await inside.get("package/package.json")?.text()) ?? "{}") as {
    name: string;
    version: string;
  };
  return { file, bytes, manifest, name: manifest.name, version: manifest.version };
}
