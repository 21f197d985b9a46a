import { isObject } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";
import type { Direction } from "../relay/tap.ts";
import type { OpenCall, Speech } from "../spool/entry.ts";
import { UNKNOWN_METHOD } from "../spool/noted.ts";
import {
  abridged,
  describeInputRequests,
  describeInputs,
  describeIntroduction,
  describeRequest,
  describeResult,
  describeValue,
  plain,
} from "./describe.ts";
import type { Described } from "./describe.ts";

/** Something that was said, in readable form, by the side whose role it has. */
export interface Said extends Described {
  role: "user" | "assistant" | "tool" | "system";
  method: string;
  /** The id of its request; undefined when it has none. */
  id?: unknown;
}

/** A message in its course. */
export interface Heard {
  direction: Direction;
  /** Milliseconds since 1970. */
  time: number;
  view: FrameView;
  /** The request that it is, answers or is about. */
  call: OpenCall | undefined;
}

/** Describes an answer, with the role of the side that gave it. Throws when it is nested too deeply to be written. */
export function answerSaid({ direction, time, view, call }: Heard & { call: OpenCall }): Said {
  const { content, metadata, outcome } = describeResult(responseIn(view));
  const answered = direction === "down" ? "assistant" : "user";
  return {
    role: outcome === "success" ? answered : "tool",
    method: call.method,
    ...(view.kind === "response" ? { id: view.id } : {}),
    content,
    metadata: {
      // A cancelled call has its outcome already.
      ...(call.cancelled ? { after_cancellation: true } : { outcome, duration_ms: since(call, time) }),
      ...metadata,
      ...(call.method === "completion/complete" ? { bookkeeping: true } : {}),
    },
  };
}

/** Describes anything but an answer, with the role of the side that said it. Throws like `answerSaid`. */
export function said(heard: Heard, as: Exclude<Speech, "answer">, frame: string): Said {
  const { view } = heard;
  if (view.kind === "request") return requestSaid(heard, view, as);
  if (view.kind === "response") return interimSaid(heard, view, as);
  if (view.kind === "notification") return notificationSaid(heard, view, as);
  return { role: "system", method: view.kind, ...describeValue(frame || "(empty frame)") };
}

/** A call that was never answered. */
export function unansweredSaid(call: OpenCall, time: number, reason: string): Said {
  return {
    role: "tool",
    method: call.method,
    content: `(no answer: ${reason})`,
    metadata: { outcome: "unanswered", duration_ms: since(call, time) },
  };
}

function requestSaid({ direction, call }: Heard, view: FrameView & { kind: "request" }, as: Speech): Said {
  const { method, id } = view;
  const params = objectAt(view.message, "params");
  const tool = method === "tools/call" ? call?.tool : undefined;
  const { content, metadata } =
    as === "continuation" || method === "tasks/update"
      ? describeInputs(params["inputResponses"])
      : describeRequest(method, tool, params);
  return {
    role: direction === "up" ? "user" : "system",
    method,
    id,
    content,
    metadata: { ...metadata, ...(method === "completion/complete" ? { bookkeeping: true } : {}) },
  };
}

/** A response that is not the answer yet, or not one to a call. */
function interimSaid({ call }: Heard, view: FrameView & { kind: "response" }, as: Speech): Said {
  const result = objectAt(view.message, "result");
  const method = call?.method ?? UNKNOWN_METHOD;
  if (as === "introduction") return { role: "system", method, ...describeIntroduction(result) };
  const described =
    as === "input_request"
      ? describeInputRequests(result["inputRequests"])
      : describeTask(isObject(result["task"]) ? result["task"] : result);
  return { role: "system", method, id: view.id, ...described };
}

function notificationSaid(heard: Heard, view: FrameView & { kind: "notification" }, as: Speech): Said {
  const { method } = view;
  const params = objectAt(view.message, "params");
  if (as === "task") return { role: "system", method, ...describeTask(params) };
  if (as !== "cancellation") return { role: "system", method, ...describeNote(method, params) };
  const { direction, time, call } = heard;
  const { content, metadata } = describeValue(
    isText(params["reason"]) ? `cancelled: ${params["reason"]}` : "cancelled",
  );
  return {
    role: direction === "up" ? "user" : "system",
    method,
    content,
    metadata: { outcome: "cancelled", ...(call ? { duration_ms: since(call, time) } : {}), ...metadata },
  };
}

/** A task's status, with what the server says about it or asks for. */
function describeTask({ status, statusMessage, inputRequests }: Json): Described {
  const asked = isObject(inputRequests) ? describeInputRequests(inputRequests) : undefined;
  const { content, metadata } = describeValue(
    isText(statusMessage) ? `task ${plain(status)}: ${statusMessage}` : `task ${plain(status)}`,
  );
  return {
    content: asked ? `${content}\n\n${asked.content}` : content,
    metadata: { ...metadata, ...asked?.metadata, ...(isText(status) ? { status: abridged(status) } : {}) },
  };
}

/** A notification: of logs and progress the text, of others the parameters. */
function describeNote(method: string, params: Json): Described {
  const { level, logger, data, message: text, progress, total } = params;
  if (method === "notifications/message") {
    const { content, metadata } = describeValue(data);
    return {
      content: content || "(no content)",
      metadata: {
        ...metadata,
        ...given({ level, logger }),
        ...(level === "debug" ? { bookkeeping: true } : {}),
      },
    };
  }
  if (method === "notifications/progress" && isText(text)) {
    const { content, metadata } = describeValue(text);
    return { content, metadata: { ...metadata, ...given({ progress, total }) } };
  }
  const { content, metadata } = describeRequest(method, undefined, params);
  return {
    content,
    metadata: { ...metadata, ...(method === "notifications/resources/updated" ? { bookkeeping: true } : {}) },
  };
}

/** The response in a message: in an answer about a task, the one of its call. */
function responseIn(view: FrameView): Json {
  if (view.kind !== "response" && view.kind !== "notification") return {};
  const facts = objectAt(view.message, view.kind === "response" ? "result" : "params");
  const isTask = typeof facts["taskId"] === "string" && ("result" in facts || "error" in facts);
  return isTask || view.kind === "notification" ? facts : view.message;
}

function given(facts: Json): Json {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [[name, abridged(value)]])),
  );
}

function since(call: OpenCall, time: number): number {
  return Math.max(0, time - call.time);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function objectAt(message: Json, name: string): Json {
  const value = message[name];
  return isObject(value) ? value : {};
}
