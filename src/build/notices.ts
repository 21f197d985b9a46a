import { existsSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { componentsOf } from "./components.ts";
import type { Component } from "./components.ts";
import { hostTarget } from "./engine.ts";
import { writeWhole } from "./whole-file.ts";

/** The path that the source imports: the notices of this machine's binary. */
export const SOURCE_NOTICES = join(import.meta.dir, "../../dist/notices/third-party-notices.txt");

/** Writes the notices where the source imports them, unless they are there. A build writes them again. */
export async function layNotices(): Promise<void> {
  if (hostTarget === undefined || existsSync(SOURCE_NOTICES)) return;
  writeWhole(SOURCE_NOTICES, noticesText(await componentsOf(hostTarget)));
}

const RULE = "=".repeat(80);

/** What `dewey licenses` prints: a list of all parts, then each text once with the parts that it is for. */
export function noticesText(components: Component[]): string {
  const byText = Map.groupBy(components, ({ text }) => plain(text));
  const list = components.map((each) => `  ${titleOf(each)}: ${each.license}`);
  const sections = [...byText].map(([text, parts]) => [RULE, ...parts.map(titleOf), RULE, "", text, "", ""].join("\n"));
  const head = `Dewey ${packageJson.version} (${packageJson.license}) carries these works of others:`;
  return `${[head, "", ...list, "", ...sections].join("\n").trimEnd()}\n`;
}

function titleOf({ name, version }: Component): string {
  return version === undefined ? name : `${name} ${version}`;
}

/** Without the form feeds and carriage returns of printers. */
function plain(text: string): string {
  return text.replaceAll(/\r\n?/g, "\n").replaceAll("\f", "").trim();
}

/** A bill of materials in CycloneDX JSON (https://cyclonedx.org). It holds no time, so that equal builds have equal ones. */
export function billOfMaterials(components: Component[]): string {
  const own = { type: "application", "bom-ref": "dewey", name: "dewey", version: packageJson.version };
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...own, licenses: [licenseOf(packageJson.license)] } },
    components: components.map(({ name, version, license, purl }) => ({
      type: "library",
      "bom-ref": purl,
      name,
      ...(version === undefined ? {} : { version }),
      licenses: [licenseOf(license)],
      purl,
    })),
    dependencies: [{ ref: "dewey", dependsOn: components.map(({ purl }) => purl) }],
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

function licenseOf(license: string): object {
  if (license.includes(" ")) return { expression: license };
  return { license: license.startsWith("LicenseRef-") ? { name: license } : { id: license } };
}
