import highlighter from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { safeFragment } from "./safe-html.ts";

// Loaded when the first code is shown, since the list and the search need none of it.

const languages = { bash, c, cpp, csharp, css, diff, go, java, json, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) highlighter.registerLanguage(name, language);
highlighter.registerAliases(["js", "javascript", "jsx", "tsx", "ts", "mjs", "cjs"], { languageName: "typescript" });
highlighter.registerAliases(["console", "shell", "shellsession", "zsh", "fish"], { languageName: "bash" });

/** The text with its parts in elements of their own; undefined for a language that is not known. */
export function highlighted(text: string, language: string): DocumentFragment | undefined {
  if (highlighter.getLanguage(language) === undefined) return undefined;
  return safeFragment(highlighter.highlight(text, { language, ignoreIllegals: true }).value);
}
