import { useRef } from "preact/hooks";
import { usePages } from "../client/pages.ts";
import { useReply } from "../client/reply.ts";
import type { Call, CallList } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { CallFilters } from "../parts/call-filters.tsx";
import { CallHead } from "../parts/call-head.tsx";
import { OneCall, TwoCalls } from "../parts/call-result.tsx";
import { CallTable, callName, callNamed, isFailed } from "../parts/call-table.tsx";
import { Frame } from "../parts/frame.tsx";
import { MoreRows } from "../parts/more-rows.tsx";
import { periodStart } from "../parts/place.ts";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { step } from "../parts/step.ts";
import { counted, grouped } from "../parts/time.tsx";
import { ToolTable } from "../parts/tool-table.tsx";
import { address, go, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import { visible } from "../../visible.ts";
import type { View } from "../view.ts";

export const callsView: View = { name: "calls", entry: { title: "Calls", icon: "calls", key: "c" }, Show: Calls };

const PAGE_CALLS = 100;
const ORDERS = [
  { value: undefined, name: "Latest" },
  { value: "duration", name: "Longest" },
  { value: "errors", name: "Errors first" },
];

/** The calls' own links; those of the percentiles may be folded away. */
const LINKS = ".calls-time ~ td .call-link";

function Calls({ route: { query } }: { route: Route }) {
  const scroller = useRef<HTMLDivElement>(null);
  const session = query.get("session") ?? undefined;
  const list = usePages("dewey_list_calls", {
    conversation_id: session,
    upstream: query.get("upstream") ?? undefined,
    tool: query.get("tool") ?? undefined,
    failed: query.has("failed") || undefined,
    start_date: periodStart(query.get("period")),
    limit: PAGE_CALLS,
  });
  const [first] = list.pages;
  const order = query.get("order") ?? undefined;
  const calls = inOrder(
    list.pages.flatMap((page) => page.calls),
    order,
    session !== undefined,
  );
  const chosen = callNamed(query.get("call"));
  const other = callNamed(query.get("with"));
  useKeys([
    { keys: "j", title: "Next", run: () => step(scroller.current, LINKS, 1) },
    { keys: "k", title: "Previous", run: () => step(scroller.current, LINKS, -1) },
    { keys: "Escape", title: "Close the call", run: () => go(withQuery({ call: undefined, with: undefined })) },
  ]);
  const isComparing = query.has("compare");
  const hrefOf = (call: Call) =>
    isComparing && chosen !== undefined
      ? withQuery({ with: callName(call), compare: undefined })
      : withQuery({ call: callName(call), with: undefined });
  return (
    <Frame
      title="Calls"
      head={<Head list={first} query={query} />}
      aside={<CallFilters query={query} list={first} calls={calls} />}
    >
      {list.error !== undefined && first !== undefined && <Outdated error={list.error} again={list.again} />}
      {first === undefined && list.error !== undefined ? (
        <Failure error={list.error} again={list.again} />
      ) : first === undefined ? (
        <Loading />
      ) : calls.length === 0 ? (
        <Nothing isNarrowed={query.size > 0} />
      ) : (
        <div class={chosen === undefined ? "calls-panes" : "calls-panes calls-open"}>
          <div
            class="scroller"
            ref={scroller}
            data-old={list.isOld || undefined}
            tabIndex={0}
            role="region"
            aria-label="Calls"
          >
            {session !== undefined && <SessionLine call={calls[0]} />}
            <ToolTable tools={first.tools ?? []} chosen={query.get("tool") ?? undefined} />
            <CallTable
              calls={calls}
              isWaterfall={session !== undefined}
              chosen={[query.get("call") ?? "", query.get("with") ?? ""]}
              hrefOf={hrefOf}
            />
            <MoreRows {...list.rest} />
          </div>
          {chosen !== undefined && (
            <Details
              key={`${query.get("call")} ${query.get("with")}`}
              chosen={chosen}
              other={other}
              call={calls.find((each) => callName(each) === query.get("call"))}
              otherCall={calls.find((each) => callName(each) === query.get("with"))}
              isComparing={isComparing}
            />
          )}
        </div>
      )}
    </Frame>
  );
}

/** Calls that the server counts by tool; of more these are the latest. */
const MOST_COUNTED = 10_000;

/** Errors first, or the longest; a session in the order in which it happened, otherwise the latest first. */
function inOrder(calls: Call[], order: string | undefined, isSession: boolean): Call[] {
  if (order === "duration") return calls.toSorted((a, b) => (b.duration_ms ?? 0) - (a.duration_ms ?? 0));
  const byTime = isSession ? calls.toReversed() : calls;
  return order === "errors" ? byTime.toSorted((a, b) => Number(isFailed(b)) - Number(isFailed(a))) : byTime;
}

function Head({ list, query }: { list: CallList | undefined; query: URLSearchParams }) {
  const tools = list?.tools;
  const total = tools?.reduce((sum, each) => sum + each.calls, 0) ?? 0;
  const errors = tools?.reduce((sum, each) => sum + each.errors, 0) ?? 0;
  return (
    <>
      <h1>Calls</h1>
      <span class="quiet numeric one-line" role="status">
        {tools !== undefined &&
          `${total >= MOST_COUNTED ? "The latest " : ""}${counted(total, "call")}, ${grouped(errors)} failed`}
      </span>
      <nav class="orders" aria-label="Order">
        {ORDERS.map(({ value, name }) => (
          <a
            key={name}
            class="order"
            href={withQuery({ order: value })}
            aria-current={(query.get("order") ?? undefined) === value ? "true" : undefined}
          >
            {name}
          </a>
        ))}
      </nav>
    </>
  );
}

function Nothing({ isNarrowed }: { isNarrowed: boolean }) {
  return isNarrowed ? (
    <Notice title="No call meets these filters">
      <a href={address("calls")}>Show all calls</a>
    </Notice>
  ) : (
    <Notice title="No calls are recorded yet">
      Connect a client to a server through the recorder, <code>dewey proxy</code>, and its calls appear here.
    </Notice>
  );
}

function SessionLine({ call }: { call: Call | undefined }) {
  if (call === undefined) return null;
  return (
    <p class="calls-session">
      <a href={address(`conversation/${call.conversation_id}`)}>
        <bdi>{visible(call.title ?? "The session")}</bdi>
      </a>{" "}
      <span class="quiet">in the order of its calls; long pauses are shortened</span>
    </p>
  );
}

type CallId = { conversation_id: string; turn: number };

interface DetailsProps {
  chosen: CallId;
  other: CallId | undefined;
  /** As far as the list holds them. */
  call: Call | undefined;
  otherCall: Call | undefined;
  isComparing: boolean;
}

/** A call's arguments and result, or how they differ from another call's. */
function Details({ chosen, other, call, otherCall, isComparing }: DetailsProps) {
  const result = useMessage(chosen);
  const given = useMessage(turnOf(chosen, call?.call_turn));
  const otherResult = useMessage(other);
  const otherGiven = useMessage(turnOf(other, otherCall?.call_turn));
  const failed = [result, given, otherResult, otherGiven].filter(({ error }) => error !== undefined);
  const failure = failed[0]?.error;
  return (
    <section class="call-details" aria-label="The call">
      <CallHead chosen={chosen} tool={call?.tool} isCompared={other !== undefined} isComparing={isComparing} />
      {failure !== undefined ? (
        <Failure error={failure} again={() => failed.forEach(({ again }) => again())} />
      ) : result.message === undefined ? (
        <Loading rows={4} />
      ) : other === undefined ? (
        <OneCall given={given.message} result={result.message} />
      ) : (
        <TwoCalls
          given={[given.message, otherGiven.message]}
          results={[result.message, otherResult.message]}
          durations={[call?.duration_ms ?? null, otherCall?.duration_ms ?? null]}
        />
      )}
    </section>
  );
}

/** Another turn of the same conversation; undefined when one of both is not known. */
function turnOf(of: CallId | undefined, turn: number | null | undefined): CallId | undefined {
  return of === undefined || turn === null || turn === undefined ? undefined : { ...of, turn };
}

function useMessage(of: CallId | undefined) {
  const { value, error, again } = useReply("dewey_get_conversation", of);
  const message = of === undefined ? undefined : value?.messages.find(({ turn }) => turn === of.turn);
  return { message, error, again };
}
