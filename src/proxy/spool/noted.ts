import { cancelledKey, isObject, viewFrame } from "../../wire/frame.ts";
import type { FrameView, Json } from "../../wire/frame.ts";
import type { FrameEntry, OpenCall, OpenTask, Speech } from "./entry.ts";
import type { OpenSession } from "./ledger.ts";
import { callKey, idKey } from "./open-calls.ts";

/** The method of an answer whose request is missing. */
export const UNKNOWN_METHOD = "unknown";
/** Its results are stored in a table of their own, even if the call itself is recorded by hooks. */
export const ORCHESTRATOR_TOOL = "fiedler_send";

/** Requests in which something is said or done, and which expect an answer. */
const calling = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
  "sampling/createMessage",
  "elicitation/create",
]);
/** Requests that only prepare for something: without a call they are no conversation. */
const preparing = new Set(["roots/list", "completion/complete"]);
/** Requests about tasks that say something; the others only ask how a task is doing. */
const steering = new Set(["tasks/cancel", "tasks/update"]);
/** Requests whose answer tells who the server is. */
const introducing = new Set(["initialize", "server/discover"]);
/** Notifications that say something by themselves. */
const telling = new Set([
  "notifications/message",
  "notifications/resources/updated",
  "notifications/elicitation/complete",
]);
/** What every request of the revision without sessions says of its client. */
const IDENTITY = "io.modelcontextprotocol/";

export interface NotedMessage {
  view: FrameView;
  /** Index in a batch, else 0. */
  index: number;
  /** The request that this message is, answers or is about, if known. */
  call: OpenCall | undefined;
  /** What it is recorded as; undefined when it is not. */
  as: Speech | undefined;
  /** Whether it is no reason to begin a conversation. */
  isQuiet: boolean;
}

type Request = FrameView & { kind: "request" };
type Response = FrameView & { kind: "response" };
type Notification = FrameView & { kind: "notification" };
/** A judgement on a message. */
type Judged = Pick<NotedMessage, "as"> & Partial<Pick<NotedMessage, "call" | "isQuiet">>;

const unrecorded: Judged = { as: undefined };

/** Notes a message in its session, and tells what it is. Throws when it is nested too deeply to look through. */
export function noted(session: OpenSession, entry: FrameEntry, view: FrameView, index: number): NotedMessage {
  const judged = judge(session, entry, view, index);
  const isAll = session.open.record === "all";
  const as = judged.as ?? (isAll && !judged.call?.claimed ? plain(view) : undefined);
  return { view, index, call: judged.call, isQuiet: judged.isQuiet ?? false, as };
}

/** What a message is that is recorded only because everything is. */
function plain({ kind }: FrameView): Speech {
  return kind === "request" ? "request" : kind === "response" ? "answer" : "note";
}

function judge(session: OpenSession, entry: FrameEntry, view: FrameView, index: number): Judged {
  if (view.kind === "request") return request(session, entry, view, index);
  if (view.kind === "response") return response(session, entry, view, index);
  if (view.kind === "notification") return notification(session, entry, view);
  return unrecorded;
}

function request(session: OpenSession, entry: FrameEntry, view: Request, index: number): Judged {
  const { method } = view;
  const params = paramsOf(view);
  if (entry.direction === "up") noteClient(session, method, params);
  const call = callOf(session, entry, view, index);
  const waiting = entry.direction === "up" ? continued(session, entry, { view, index, call }) : undefined;
  const sent = waiting === undefined ? call : { ...waiting, ...progressOf(params), id: idKey(view.key) };
  const key = callKey(entry.direction, view.key, entry.exchange);
  if (session.calls.asked(key, sent, entry.sequence)) session.hasGap = true;
  if (entry.claimed) return { as: undefined, call: sent };
  if (waiting !== undefined) return { as: "continuation", call: sent };
  const isSaid = calling.has(method) || steering.has(method);
  return { as: isSaid || preparing.has(method) ? "request" : undefined, call: sent, isQuiet: !isSaid };
}

function callOf(session: OpenSession, entry: FrameEntry, view: Request, index: number): OpenCall {
  const params = paramsOf(view);
  const call: OpenCall = { method: view.method, time: entry.time, id: idKey(view.key) };
  const task = view.method.startsWith("tasks/") ? session.calls.task(params["taskId"]) : undefined;
  const tool = view.method === "tools/call" ? params["name"] : task?.call.tool;
  if (typeof tool === "string") call.tool = tool;
  if (task?.call.task !== undefined) call.task = task.call.task;
  const place = calling.has(view.method)
    ? ([entry.sequence, index, entry.time] as [number, number, number])
    : task?.call.place;
  if (place) call.place = place;
  if (entry.claimed) call.claimed = true;
  return { ...call, ...progressOf(params) };
}

/** The call that a request continues with the input that it was asked for. */
function continued(
  session: OpenSession,
  entry: FrameEntry,
  { view, index, call }: { view: Request; index: number; call: OpenCall },
): OpenCall | undefined {
  const params = paramsOf(view);
  if (!calling.has(call.method) || !("requestState" in params || "inputResponses" in params)) return undefined;
  return session.calls.continued(call, paramsOf(whole(entry, index)));
}

function response(session: OpenSession, entry: FrameEntry, view: Response, index: number): Judged {
  // A response travels in the opposite direction of its request.
  const direction = entry.direction === "down" ? "up" : "down";
  const { message } = view;
  const call =
    session.calls.answered(callKey(direction, view.key, entry.exchange)) ?? lostCall(session, entry, message);
  if (call === undefined) return unrecorded;
  const result = isObject(message["result"]) ? message["result"] : {};
  if (introducing.has(call.method)) return introduction(session, call, result);
  // Hooks record the call, but not the results of the orchestrator in it.
  if (call.claimed) return { as: call.tool === ORCHESTRATOR_TOOL ? "answer" : undefined, call };
  if (call.method.startsWith("tasks/")) return taskAnswer(session, call, message);
  if (result["resultType"] === "input_required") {
    const asked = whole(entry, index).message["result"];
    return { as: "input_request", call: session.calls.needsInput(call, isObject(asked) ? asked : {}) };
  }
  const task = createdTask(result);
  if (task !== undefined && calling.has(call.method)) {
    return { as: "task", call: session.calls.becameTask(task.id, call, statusOf(task.facts)).call };
  }
  const isSaid = calling.has(call.method) || call.method === UNKNOWN_METHOD;
  return { as: isSaid || preparing.has(call.method) ? "answer" : undefined, call, isQuiet: !isSaid };
}

/** The server's answer to a client that has introduced itself. */
function introduction(session: OpenSession, call: OpenCall, result: Json): Judged {
  if (typeof result["protocolVersion"] === "string") session.client.protocolVersion = result["protocolVersion"];
  const isFirst = !session.isServerKnown && Object.keys(result).length > 0;
  if (isFirst) session.isServerKnown = true;
  const isAll = session.open.record === "all";
  return { as: isFirst && !isAll ? "introduction" : undefined, call, isQuiet: true };
}

function taskAnswer(session: OpenSession, call: OpenCall, { result, error }: Json): Judged {
  if (call.method === "tasks/list") return { as: undefined, call };
  if (error !== undefined) return { as: "answer", call };
  if (call.method === "tasks/result") {
    const task = session.calls.task(call.task);
    return task ? finished(task) : { as: "answer", call };
  }
  return isObject(result) ? taskStatus(session, result, call) : { as: undefined, call };
}

/** A task's status, which is said when it has changed, or its result. */
function taskStatus(session: OpenSession, facts: Json, asking: OpenCall): Judged {
  const id = facts["taskId"];
  if (typeof id !== "string") return { as: undefined, call: asking };
  const known = session.calls.task(id);
  const task = known ?? session.calls.becameTask(id, asking, "");
  const status = statusOf(facts);
  const isNews = task.status !== status;
  task.status = status;
  if ("result" in facts || "error" in facts) return finished(task);
  if (facts["status"] === "cancelled") task.call.cancelled = true;
  return { as: isNews ? "task" : undefined, call: task.call };
}

function finished(task: OpenTask): Judged {
  if (task.isAnswered) return { as: undefined, call: task.call };
  task.isAnswered = true;
  return { as: "answer", call: task.call };
}

function createdTask(result: Json): { id: string; facts: Json } | undefined {
  const facts = isObject(result["task"]) ? result["task"] : result["resultType"] === "task" ? result : {};
  return typeof facts["taskId"] === "string" ? { id: facts["taskId"], facts } : undefined;
}

function statusOf({ status, statusMessage, inputRequests }: Json): string {
  const asked = isObject(inputRequests) ? Object.keys(inputRequests) : [];
  return [status, statusMessage, ...asked].filter((each) => typeof each === "string").join(" ");
}

function notification(session: OpenSession, entry: FrameEntry, view: Notification): Judged {
  const { method } = view;
  const params = paramsOf(view);
  if (method === "notifications/cancelled") {
    const call = session.calls.cancelled(entry.direction, cancelledKey(view) ?? "");
    return { as: call && calling.has(call.method) && !call.claimed ? "cancellation" : undefined, call };
  }
  if (method === "notifications/progress") {
    if (typeof params["message"] !== "string" || params["message"] === "") return unrecorded;
    const call = session.calls.progressing(entry.direction === "down" ? "up" : "down", params["progressToken"]);
    return { as: call?.claimed ? undefined : "note", call, isQuiet: true };
  }
  if (/^notifications\/tasks(?:\/|$)/.test(method)) {
    return taskStatus(session, params, { method, time: entry.time });
  }
  return { as: telling.has(method) ? "note" : undefined, isQuiet: true };
}

/** Stands in for a missing request if the answer looks like one that would be recorded. */
function lostCall(session: OpenSession, entry: FrameEntry, { error, result }: Json): OpenCall | undefined {
  const hasContent = isObject(result) && ("content" in result || "contents" in result);
  const isSaid = session.hasGap ? hasContent || error !== undefined : hasContent && !session.introduced;
  return isSaid ? { method: UNKNOWN_METHOD, time: entry.time } : undefined;
}

function noteClient(session: OpenSession, method: string, params: Json): void {
  if (introducing.has(method)) session.introduced = true;
  const meta = isObject(params["_meta"]) ? params["_meta"] : {};
  const given = method === "initialize" ? params["clientInfo"] : meta[`${IDENTITY}clientInfo`];
  const info = isObject(given) ? given : {};
  if (typeof info["name"] === "string") session.client.name = info["name"];
  if (typeof info["version"] === "string") session.client.version = info["version"];
  const version = meta[`${IDENTITY}protocolVersion`];
  if (typeof version === "string") session.client.protocolVersion = version;
}

function progressOf(params: Json): { progressToken?: string } {
  const meta = isObject(params["_meta"]) ? params["_meta"] : {};
  const token = meta["progressToken"];
  return typeof token === "string" || typeof token === "number" ? { progressToken: idKey(JSON.stringify(token)) } : {};
}

function paramsOf(view: FrameView): Json {
  return "message" in view && isObject(view.message["params"]) ? view.message["params"] : {};
}

/** A message of a frame with all its texts, which the relay's view may lack. */
export function whole(entry: FrameEntry, index: number): FrameView & { message: Json } {
  const view = viewFrame(entry.frame);
  const each = view.kind === "batch" ? view.messages[index] : view;
  if (!each || !("message" in each)) throw new RangeError(`message ${index} of the frame is not JSON-RPC`);
  return each;
}

/** The calls that were still unanswered when their session ended, oldest first. */
export function unanswered(session: OpenSession): OpenCall[] {
  return session.calls.unanswered().filter((call) => calling.has(call.method) && !call.claimed);
}
