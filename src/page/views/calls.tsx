import { useRef } from "preact/hooks";
import { usePages } from "../client/pages.ts";
import { useReply } from "../client/reply.ts";
import type { Call, CallList, Message, ToolStats } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { CallBody } from "../parts/call-body.tsx";
import { CallTable, callName, callNamed, isFailed } from "../parts/call-table.tsx";
import { EditDiff } from "../parts/edit-diff.tsx";
import { Facet, FacetLink } from "../parts/facets.tsx";
import { Frame } from "../parts/frame.tsx";
import { Icon } from "../parts/icon.tsx";
import { MoreRows } from "../parts/more-rows.tsx";
import { Output } from "../parts/output.tsx";
import { PERIODS, periodStart } from "../parts/place.ts";
import { Failure, Loading, Notice } from "../parts/states.tsx";
import { counted, duration, grouped } from "../parts/time.tsx";
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
    { keys: "j", title: "Next", run: () => step(scroller.current, 1) },
    { keys: "k", title: "Previous", run: () => step(scroller.current, -1) },
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
      aside={<Facets query={query} list={first} calls={calls} />}
    >
      {list.error !== undefined && calls.length === 0 ? (
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
            <MoreRows more={list.more} />
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

/** Errors first, or the longest; a session in the order in which it happened, otherwise the latest first. */
function inOrder(calls: Call[], order: string | undefined, isSession: boolean): Call[] {
  if (order === "duration") return calls.toSorted((a, b) => (b.duration_ms ?? 0) - (a.duration_ms ?? 0));
  const byTime = isSession ? calls.toReversed() : calls;
  return order === "errors" ? byTime.toSorted((a, b) => Number(isFailed(b)) - Number(isFailed(a))) : byTime;
}

function step(list: HTMLElement | null, by: 1 | -1): void {
  const links = [...(list?.querySelectorAll<HTMLElement>(".call-link") ?? [])];
  const at = links.findIndex((each) => each === document.activeElement);
  links[Math.max(0, Math.min(at + by, links.length - 1))]?.focus();
}

function Head({ list, query }: { list: CallList | undefined; query: URLSearchParams }) {
  const tools = list?.tools;
  const total = tools?.reduce((sum, each) => sum + each.calls, 0) ?? 0;
  const errors = tools?.reduce((sum, each) => sum + each.errors, 0) ?? 0;
  return (
    <>
      <h1>Calls</h1>
      <span class="quiet numeric one-line" role="status">
        {tools !== undefined && `${counted(total, "call")}, ${grouped(errors)} failed`}
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

function Facets({
  query,
  list,
  calls,
}: {
  query: URLSearchParams;
  list: CallList | undefined;
  calls: readonly Call[];
}) {
  const chosen = (name: string) => query.get(name) ?? undefined;
  const link = (name: string) => (value: string | undefined) =>
    withQuery({ [name]: value, call: undefined, with: undefined });
  const servers = new Map<string, number>();
  for (const { upstream } of calls) if (upstream !== null) servers.set(upstream, (servers.get(upstream) ?? 0) + 1);
  const tools = (list?.tools ?? []).map((each) => ({ value: each.tool, count: each.calls }));
  return (
    <nav aria-label="Filters">
      <section class="facet">
        <FacetLink href={withQuery({ failed: !query.has("failed") })} isChosen={query.has("failed")}>
          Failed only
        </FacetLink>
        {query.has("session") && (
          <FacetLink href={withQuery({ session: undefined })} isChosen>
            One session
          </FacetLink>
        )}
      </section>
      <Facet
        title="Server"
        values={[...servers].map(([value, count]) => ({ value, count }))}
        chosen={chosen("upstream")}
        hrefOf={link("upstream")}
      />
      <Facet title="Tool" values={tools} chosen={chosen("tool")} hrefOf={link("tool")} />
      <Facet
        title="Period"
        values={PERIODS.map(({ value }) => ({ value, count: 0 }))}
        chosen={chosen("period")}
        hrefOf={link("period")}
        nameOf={(value) => PERIODS.find((each) => each.value === value)?.name ?? value}
      />
    </nav>
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
        <bdi>{call.title ?? "The session"}</bdi>
      </a>{" "}
      <span class="quiet">in the order of its calls; long pauses are shortened</span>
    </p>
  );
}

/** How the calls of each tool went. */
function ToolTable({ tools, chosen }: { tools: readonly ToolStats[]; chosen: string | undefined }) {
  if (tools.length === 0) return null;
  return (
    <details class="tool-stats">
      <summary>Percentiles by tool</summary>
      <table class="calls">
        <thead>
          <tr>
            <th scope="col">Tool</th>
            {["Calls", "Failed", "Median", "95th"].map((name) => (
              <th scope="col" class="calls-number" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tools.map(({ tool, calls, errors, p50_ms, p95_ms }) => (
            <tr key={tool} data-chosen={tool === chosen || undefined}>
              <td>
                <a class="call-link one-line" href={withQuery({ tool: tool === chosen ? undefined : tool })}>
                  <bdi>{visible(tool)}</bdi>
                </a>
              </td>
              <td class="numeric calls-number">{grouped(calls)}</td>
              <td class={errors > 0 ? "numeric calls-number turn-failed" : "numeric calls-number quiet"}>
                {grouped(errors)}
              </td>
              <td class="numeric calls-number">{p50_ms === null ? "–" : duration(p50_ms)}</td>
              <td class="numeric calls-number">{p95_ms === null ? "–" : duration(p95_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
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
  const failure = result.error ?? given.error ?? otherResult.error ?? otherGiven.error;
  return (
    <section class="call-details" aria-label="The call">
      <header class="call-head">
        <h2 class="one-line">
          <bdi>{visible(call?.tool ?? "Call")}</bdi>
          {other !== undefined && " compared"}
        </h2>
        {!new URLSearchParams(location.search).has("session") && (
          <a class="button" href={withQuery({ session: chosen.conversation_id })}>
            Waterfall
          </a>
        )}
        {other === undefined && (
          <a class="button" href={withQuery({ compare: !isComparing })} aria-current={isComparing ? "true" : undefined}>
            {isComparing ? "Choose the other call" : "Compare"}
          </a>
        )}
        <a
          class="icon-button"
          href={address(`conversation/${chosen.conversation_id}`, { turn: chosen.turn })}
          aria-label="Open in its conversation"
          title="Open in its conversation"
        >
          <Icon name="link" />
        </a>
        <a
          class="icon-button"
          href={withQuery({ call: undefined, with: undefined, compare: undefined })}
          aria-label="Close"
          title="Close (Esc)"
        >
          <Icon name="close" />
        </a>
      </header>
      {failure !== undefined ? (
        <Failure error={failure} />
      ) : result.message === undefined ? (
        <Loading rows={4} />
      ) : other === undefined ? (
        <One given={given.message} result={result.message} />
      ) : (
        <Two
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
  const { value, error } = useReply("dewey_get_conversation", of);
  const message = of === undefined ? undefined : value?.messages.find(({ turn }) => turn === of.turn);
  return { message, error };
}

function One({ given, result }: { given: Message | undefined; result: Message }) {
  return (
    <>
      <h3>Arguments</h3>
      {given === undefined ? <p class="quiet">They are not recorded.</p> : <CallBody message={given} />}
      <h3>Result</h3>
      <Output text={result.content} />
    </>
  );
}

interface TwoProps {
  given: [Message | undefined, Message | undefined];
  results: [Message | undefined, Message | undefined];
  durations: [number | null, number | null];
}

function Two({ given, results, durations }: TwoProps) {
  const [one, two] = durations.map((each) => (each === null ? "unknown" : duration(each)));
  return (
    <>
      <p class="quiet numeric">
        Duration: {one} and {two}
      </p>
      <h3>Arguments</h3>
      <Difference messages={given} />
      <h3>Results</h3>
      <Difference messages={results} />
    </>
  );
}

function Difference({ messages }: { messages: [Message | undefined, Message | undefined] }) {
  const [before, after] = messages.map((each) => (each === undefined ? undefined : laidOut(each.content)));
  if (before === undefined || after === undefined) return <Loading rows={2} />;
  if (before === after) return <p class="quiet">They are the same.</p>;
  return <EditDiff before={before} after={after} />;
}

/** JSON on lines of its own, so that it can be compared line by line. */
function laidOut(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
