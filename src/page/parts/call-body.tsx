import { useLayoutEffect, useRef } from "preact/hooks";
import { visible } from "../../visible.ts";
import type { Message } from "../client/replies.ts";
import { callArguments } from "./call-arguments.ts";
import { highlight } from "./code.ts";
import { CopyButton } from "./copy-button.tsx";
import { EditDiff } from "./edit-diff.tsx";
import { JsonTree } from "./json-tree.tsx";
import { TextOutput } from "./output.tsx";

/** What a tool was called with: an edit as a diff, a command or a file as code, and any other argument by its name. */
export function CallBody({ message }: { message: Message }) {
  const given = callArguments(message);
  if (given === undefined) return <TextOutput text={message.content} />;
  const rest = new Map(given);
  const take = (...names: string[]): string | undefined => {
    const name = names.find((each) => typeof rest.get(each) === "string");
    const value = name === undefined ? undefined : rest.get(name);
    if (name === undefined || typeof value !== "string") return undefined;
    rest.delete(name);
    return value;
  };
  const path = take("file_path", "path", "filePath", "notebook_path");
  const edits = takeEdits(rest, take);
  const command = take("command", "cmd");
  const text = path === undefined ? undefined : take("content", "contents", "file_text");
  return (
    <>
      {path !== undefined && <p class="call-path">{visible(path)}</p>}
      {edits.map(({ before, after }, index) => (
        <EditDiff key={index} before={before} after={after} />
      ))}
      {command !== undefined && <Code text={command} language="bash" />}
      {text !== undefined && <Code text={text} language={languageOf(path ?? "")} />}
      {rest.size > 0 && <Arguments given={rest} />}
    </>
  );
}

interface Edit {
  before: string;
  after: string;
}

/** The edits among the arguments: one, or the list of them that some tools take. */
function takeEdits(rest: Map<string, unknown>, take: (...names: string[]) => string | undefined): Edit[] {
  const [before, after] = [take("old_string", "old_str"), take("new_string", "new_str")];
  if (before !== undefined || after !== undefined) return [{ before: before ?? "", after: after ?? "" }];
  const list = rest.get("edits");
  if (!Array.isArray(list)) return [];
  const edits = list.flatMap((each: unknown): Edit[] => {
    if (typeof each !== "object" || each === null) return [];
    const { old_string: old, new_string: made } = each as Record<string, unknown>;
    return typeof old === "string" && typeof made === "string" ? [{ before: old, after: made }] : [];
  });
  if (edits.length === list.length) rest.delete("edits");
  return edits.length === list.length ? edits : [];
}

function Arguments({ given }: { given: Map<string, unknown> }) {
  return (
    <dl class="arguments">
      {[...given].map(([name, value]) => (
        <div key={name}>
          <dt>{visible(name)}</dt>
          <dd dir="auto">
            {typeof value === "object" && value !== null ? <JsonTree value={value} /> : visible(String(value))}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Longer code is shown as output, in steps. */
const LONGEST_CODE = 30_000;

/** Code with its highlighting, once that is loaded. */
function Code({ text, language }: { text: string; language: string | undefined }) {
  const code = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    if (code.current === null) return;
    code.current.textContent = visible(text);
    if (language !== undefined) void highlight(code.current, language);
  }, [text, language]);
  if (text.length > LONGEST_CODE) return <TextOutput text={text} />;
  return (
    <div class="code-box">
      <pre class="code" dir="ltr" tabIndex={0}>
        <code ref={code} />
      </pre>
      <CopyButton text={() => text} />
    </div>
  );
}

const EXTENSIONS: Record<string, string> = {
  py: "python",
  rs: "rust",
  sh: "bash",
  yml: "yaml",
  html: "xml",
  svg: "xml",
  cs: "csharp",
  h: "c",
  hpp: "cpp",
  cc: "cpp",
};

function languageOf(path: string): string | undefined {
  const extension = /\.(\w{1,10})$/.exec(path)?.[1]?.toLowerCase();
  return extension === undefined ? undefined : (EXTENSIONS[extension] ?? extension);
}
