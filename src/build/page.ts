import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { writeWhole } from "./whole-file.ts";

// Bundles the web page into files whose names are hashes of their contents, and compresses them. Bun's own HTML imports are
// served without cache, encoding or security headers and answer any Host, so the page is bundled here and served by our port.

const root = join(import.meta.dir, "../..");
const PAGE = join(root, "src/page");
/** What runs first, and the views. */
const START = "start.ts";
const VIEWS = "main.tsx";
/** The path that the source imports. */
const SOURCE_BUNDLE = join(root, "dist/page/bundle.page");
/** Where the port serves the bundled files. */
const PUBLIC_PATH = "/page/";

/** Puts the bundled page where the source imports it, unless it is there and newer than everything that it is made of. */
export async function layPage(): Promise<void> {
  if (isFresh()) return;
  writeWhole(SOURCE_BUNDLE, await pageBundle());
}

/** The files of the page as JSON text: by name, the media type and the compressed contents in base64. */
async function pageBundle(): Promise<string> {
  const { outputs, metafile } = await bundle();
  const files = await Promise.all(
    outputs.map(async (output) => [PUBLIC_PATH + basename(output.path), await compressed(output)] as const),
  );
  const icon = await hashed("icon.svg", "image/svg+xml");
  files.push([icon.path, await compressed(icon.file)]);
  const parts = Object.entries(metafile?.outputs ?? {});
  const style = parts.find(([path]) => path.endsWith(".css"));
  const script = (source: string) =>
    parts.find(([path, { entryPoint }]) => path.endsWith(".js") && entryPoint?.endsWith(source));
  const names: Record<string, string> = { icon: icon.path };
  for (const [placeholder, part] of Object.entries({ start: script(START), main: script(VIEWS), style })) {
    if (part === undefined) throw new Error(`the bundle of the page has no ${placeholder}`);
    names[placeholder] = PUBLIC_PATH + basename(part[0]);
  }
  // What both scripts share is fetched with them, and not once they are read.
  const shared = new Set([script(START), script(VIEWS)].flatMap((part) => (part ? importsOf(part[1]) : [])));
  names["shared"] = [...shared].map((path) => `<link rel="modulepreload" href="${path}" />`).join("\n    ");
  const template = await Bun.file(join(PAGE, "index.html")).text();
  const html = template.replaceAll(/%(\w+)%/g, (whole, name: string) => names[name] ?? whole);
  const index = await compressed(new Blob([html], { type: "text/html;charset=utf-8" }));
  return JSON.stringify(Object.fromEntries([["index.html", index], ...files]));
}

type Part = NonNullable<Bun.BuildOutput["metafile"]>["outputs"][string];

/** Where the modules are served that a script imports at its beginning. */
function importsOf({ imports }: Part): string[] {
  return imports.flatMap(({ path, kind }) => (kind === "import-statement" ? [PUBLIC_PATH + basename(path)] : []));
}

/** Bundles the page. The metafile tells which packages it holds code of. */
export async function bundle(): Promise<Bun.BuildOutput> {
  return Bun.build({
    entrypoints: [join(PAGE, START), join(PAGE, VIEWS)],
    root,
    target: "browser",
    format: "esm",
    minify: true,
    splitting: true,
    metafile: true,
    publicPath: PUBLIC_PATH,
    naming: { entry: "[name]-[hash].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
    // Preact's development helpers stay out.
    define: { "process.env.NODE_ENV": '"production"' },
  });
}

/** A file that is no part of the bundle, under a name with its hash. */
async function hashed(name: string, type: string): Promise<{ path: string; file: Blob }> {
  const bytes = await Bun.file(join(PAGE, name)).bytes();
  const [stem, extension] = name.split(".");
  return {
    path: `${PUBLIC_PATH}${stem}-${Bun.hash(bytes).toString(36)}.${extension}`,
    file: new Blob([bytes], { type }),
  };
}

async function compressed(file: Blob): Promise<{ type: string; gzip: string; brotli: string }> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  const gzip = Bun.gzipSync(bytes, { level: 9 });
  return { type: file.type, gzip: Buffer.from(gzip).toString("base64"), brotli: brotli.toString("base64") };
}

function isFresh(): boolean {
  if (!existsSync(SOURCE_BUNDLE)) return false;
  const made = statSync(SOURCE_BUNDLE).mtimeMs;
  const sources = readdirSync(PAGE, { recursive: true, encoding: "utf8" }).map((name) => join(PAGE, name));
  return [...sources, import.meta.path, join(root, "bun.lock")].every((path) => statSync(path).mtimeMs < made);
}

if (import.meta.main) await layPage();
