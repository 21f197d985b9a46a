import { z } from "zod";
import { asDeweyError, DeweyError, httpStatus } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ConversationPage } from "../store/page.ts";
import { redactMetadata } from "../store/redact/redact.ts";
import type { Redactor } from "../store/redact/redact.ts";
import type { Store } from "../store/store.ts";
import type { Workshop } from "../store/workshop/workshop.ts";
import { Stretch } from "../stretch.ts";
import { UUID_PATTERN } from "../tools/fields.ts";

/** One way to write a conversation, piece by piece, so that it is never held whole. */
interface ShareFormat {
  begin(): string;
  conversation(conversation: ConversationPage): string;
  message(conversation: ConversationPage, message: ConversationPage["messages"][number]): string;
  endConversation(): string;
  end(): string;
}

/** The names under which formats are asked for, with their media types and endings. */
const FORMATS = {
  html: { type: "text/html;charset=utf-8", ending: "html", everything: false },
  markdown: { type: "text/markdown;charset=utf-8", ending: "md", everything: false },
  // For being imported again, everything.
  json: { type: "application/x-ndjson", ending: "jsonl", everything: true },
} as const;
type FormatName = keyof typeof FORMATS;

/** What leaves the store for other people's eyes, and how. */
export interface Sharing {
  formats: Record<FormatName, ShareFormat>;
  /** Cuts secrets again: what was stored earlier, or without redaction, may hold some. */
  workshop: Workshop;
}

/** Messages read at once. */
const PAGE_MESSAGES = 500;
const LONGEST_NAME = 60;

const turn = z.coerce.number().int().min(0).max(2_147_483_647).optional();
const asked = z.object({
  conversation_id: z.string().regex(UUID_PATTERN),
  format: z.enum(["html", "markdown", "json"]),
  from: turn,
  to: turn,
});
type Asked = z.output<typeof asked>;

export const SHARE_PATH = "/share";

/** `GET /share?conversation_id=…&format=html|markdown|json[&from=TURN][&to=TURN]`: a conversation, or some turns of it, as one file. */
export async function handleShare(request: Request, store: Store, log: Log, sharing: Sharing): Promise<Response> {
  try {
    if (request.method !== "GET") throw new DeweyError("invalid", `use GET ${SHARE_PATH}`);
    const { data } = asked.safeParse(Object.fromEntries(new URL(request.url).searchParams));
    if (data === undefined) {
      const shape = "conversation_id, format (html, markdown or json), and perhaps from and to (turns)";
      throw new DeweyError("invalid", `the address should have ${shape}`);
    }
    const pages = pagesOf(store, data);
    // Before the answer begins, so that a conversation that is not there is an error and no empty file.
    const { value: first } = await pages.next();
    if (first === undefined) throw new DeweyError("internal", "the conversation has no first page");
    const { type, ending } = FORMATS[data.format];
    const name = fileName(shared(first, sharing.workshop.redactor));
    return new Response(textOf(first, pages, data, sharing), {
      headers: {
        "content-type": type,
        "content-disposition": `attachment; filename="${name}.${ending}"`,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
      },
    });
  } catch (thrown) {
    const { code, message, field } = asDeweyError(thrown);
    if (code === "internal") log.error("sharing a conversation failed", { error: thrown });
    return Response.json({ error: message, code, field }, { status: httpStatus(code) });
  }
}

async function* pagesOf(
  store: Store,
  { conversation_id, format, from = 0, to }: Asked,
): AsyncGenerator<ConversationPage, undefined> {
  const everything = FORMATS[format].everything || undefined;
  const last = to ?? Infinity;
  for (let after = from === 0 ? undefined : from - 1; ;) {
    const request = { conversation_id, full: true, limit: PAGE_MESSAGES, everything };
    const page: ConversationPage = await store.messages.page({ ...request, after_turn: after });
    yield page;
    after = page.next_after_turn;
    if (after === undefined || after >= last) return undefined;
  }
}

/** The file, a page of messages at a time, as fast as it is taken. */
function textOf(
  first: ConversationPage,
  rest: AsyncGenerator<ConversationPage, undefined>,
  { format, to = Infinity }: Asked,
  { formats, workshop }: Sharing,
): ReadableStream<Uint8Array> {
  const written = formats[format];
  const encoder = new TextEncoder();
  const about = shared(first, workshop.redactor);
  const stretch = new Stretch();
  const messages = async (page: ConversationPage) => {
    const texts: string[] = [];
    for (const message of page.messages.filter(({ turn }) => turn <= to)) {
      const { content, metadata } = await workshop.make("redacted", message);
      texts.push(written.message(about, { ...message, content, metadata }));
      // A page may hold many megabytes, and others are served meanwhile.
      await stretch.rest();
    }
    return texts.join("");
  };
  let isFirst = true;
  return new ReadableStream({
    async pull(controller) {
      if (isFirst) {
        isFirst = false;
        controller.enqueue(encoder.encode(written.begin() + written.conversation(about) + (await messages(first))));
        return;
      }
      const { value: page, done } = await rest.next();
      const text = done ? written.endConversation() + written.end() : await messages(page);
      controller.enqueue(encoder.encode(text));
      if (done) controller.close();
    },
    async cancel() {
      await rest.return(undefined);
    },
  });
}

/** The conversation without the secrets that its facts may hold. */
function shared(page: ConversationPage, redactor: Redactor): ConversationPage {
  const { title, session_id } = page;
  return {
    ...page,
    title: title === null ? null : redactor.text(title, {}),
    session_id: session_id === null ? null : redactor.text(session_id, {}),
    metadata: redactMetadata(redactor, page.metadata) ?? null,
  };
}

/** A name for the file of letters that every system takes. */
function fileName({ title, conversation_id }: ConversationPage): string {
  const plain = (title ?? "")
    .slice(0, 2 * LONGEST_NAME)
    .normalize("NFKD")
    .toLowerCase();
  const words = plain.match(/[a-z0-9]+/g) ?? [];
  return words.join("-").slice(0, LONGEST_NAME) || `conversation-${conversation_id}`;
}
