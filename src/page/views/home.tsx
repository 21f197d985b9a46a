import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { connection } from "../client/dewey.ts";
import { useHealth } from "../client/health.ts";
import { useReply } from "../client/reply.ts";
import type { ConversationSummary, FacetValue, Stats } from "../client/replies.ts";
import { DayChart } from "../parts/day-chart.tsx";
import { Frame } from "../parts/frame.tsx";
import { NothingKept } from "../parts/nothing-kept.tsx";
import { folderName, periodStart, titleOf } from "../parts/place.ts";
import { Failure, Loading, Outdated } from "../parts/states.tsx";
import { Time, bytes, counted, grouped } from "../parts/time.tsx";
import { address } from "../route.ts";
import { visible } from "../../visible.ts";
import type { View } from "../view.ts";

export const homeView: View = { name: "home", entry: { title: "Home", icon: "home", key: "h" }, Show: Home };

const DAYS = 30;
/** What was said in the last minutes counts as going on. */
const LIVE_MS = 10 * 60_000;
/** A source that brought something within this time is at work; others may only have nothing to bring. */
const LATELY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const REFRESH_MS = 20_000;
/** Clients and folders that are shown. */
const MOST_ROWS = 7;

function Home() {
  const { timeZone: time_zone } = new Intl.DateTimeFormat().resolvedOptions();
  const stats = useReply("dewey_stats", { days: DAYS, time_zone });
  const list = useReply("dewey_list_conversations", { facets: true, limit: 1 });
  const again = () => {
    stats.again();
    list.again();
  };
  useRefresh(again);
  const error = stats.error ?? list.error;
  return (
    <Frame title="Home">
      {error !== undefined && stats.value !== undefined && <Outdated error={error} again={again} />}
      {error !== undefined && stats.value === undefined ? (
        <Failure error={error} again={again} />
      ) : stats.value === undefined ? (
        <Loading />
      ) : stats.value.conversations === 0 ? (
        <NothingKept />
      ) : (
        <div class="scroller" tabIndex={0} role="region" aria-label="What is kept">
          <div class="home">
            <Amounts stats={stats.value} />
            <Safe />
            <section class="panel home-wide">
              <h2>Sessions by day</h2>
              <DayChart days={stats.value.days} label={chartLabel(stats.value)} />
            </section>
            <Counts title="Clients" values={list.value?.facets?.client ?? []} query="client" />
            <Counts title="Projects" values={list.value?.facets?.folder ?? []} query="folder" nameOf={folderName} />
            <Now />
            <Condition stats={stats.value} />
          </div>
        </div>
      )}
    </Frame>
  );
}

/** Asks again and again while somebody looks. */
function useRefresh(again: () => void): void {
  useEffect(() => {
    const timer = setInterval(() => document.hidden || again(), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
}

function chartLabel({ days }: Stats): string {
  const sum = days.reduce((total, each) => total + each.conversations, 0);
  return `${counted(sum, "session")} in the last ${DAYS} days`;
}

function Amounts({ stats }: { stats: Stats }) {
  const { conversations, messages, database_bytes, in_trash } = stats;
  return (
    <dl class="amounts home-wide">
      <Amount name={conversations === 1 ? "conversation" : "conversations"} href={address("conversations")}>
        {grouped(conversations)}
      </Amount>
      <Amount name={messages === 1 ? "message" : "messages"}>{grouped(messages)}</Amount>
      <Amount name="on disk">{bytes(database_bytes)}</Amount>
      {in_trash > 0 && (
        <Amount name="in the trash" href={address("conversations", { trash: true })}>
          {grouped(in_trash)}
        </Amount>
      )}
    </dl>
  );
}

function Amount({ name, href, children }: { name: string; href?: string; children: ComponentChildren }) {
  return (
    <div class="amount">
      <dt class="quiet">{href === undefined ? name : <a href={href}>{name}</a>}</dt>
      <dd class="numeric">{children}</dd>
    </div>
  );
}

/** Claude Code deletes transcripts that have rested for thirty days, unless it is told otherwise. */
function Safe() {
  const since = useMemo(() => periodStart("30"), []);
  const all = useReply("dewey_list_conversations", { client: "claude-code", limit: 1 });
  const recent = useReply("dewey_list_conversations", { client: "claude-code", start_date: since, limit: 1 });
  if (all.value === undefined || recent.value === undefined || all.value.total === 0) return null;
  const older = all.value.total - recent.value.total;
  return (
    <p class="safe home-wide">
      <strong>{counted(recent.value.total, "session")}</strong> {recent.value.total === 1 ? "is" : "are"} safe that
      Claude Code deletes within 30 days
      {older > 0 && (
        <>
          , and <strong>{grouped(older)}</strong> older ones that it may have deleted already
        </>
      )}
      .
    </p>
  );
}

interface CountsProps {
  title: string;
  values: readonly FacetValue[];
  /** The filter of the list that a row leads to. */
  query: "client" | "folder";
  nameOf?(value: string): string;
}

function Counts({ title, values, query, nameOf = String }: CountsProps) {
  const most = Math.max(1, ...values.map(({ count }) => count));
  return (
    <section class="panel">
      <h2>{title}</h2>
      <ul class="counts">
        {values.slice(0, MOST_ROWS).map(({ value, count }) => (
          <li key={value}>
            <a class="count" href={address("conversations", { [query]: value })} title={visible(value)}>
              <bdi class="one-line">{visible(nameOf(value))}</bdi>
              <span class="numeric quiet">{grouped(count)}</span>
              <span class="count-bar" style={{ width: `${(count / most) * 100}%` }} aria-hidden="true" />
            </a>
          </li>
        ))}
      </ul>
      {values.length > MOST_ROWS && (
        <a class="quiet" href={address("conversations")}>
          and {values.length - MOST_ROWS} more
        </a>
      )}
    </section>
  );
}

/** Asked at once, and the earlier answer stays until the next. */
const AT_ONCE = { delayMs: 0 };

/** To the minute, so that asking again within it is the same question. */
function liveSince(): string {
  return new Date(Math.floor((Date.now() - LIVE_MS) / MINUTE_MS) * MINUTE_MS).toISOString();
}

function Now() {
  const [start_date, setStart] = useState(liveSince);
  const { value, error, again } = useReply("dewey_list_conversations", { start_date, limit: MOST_ROWS }, AT_ONCE);
  useRefresh(() => {
    setStart(liveSince());
    again();
  });
  return (
    <section class="panel">
      <h2>Going on now</h2>
      {value === undefined ? (
        <Unread error={error} again={again} />
      ) : value.conversations.length === 0 ? (
        <p class="quiet">Nothing was said in the last ten minutes.</p>
      ) : (
        <ul class="counts">
          {value.conversations.map((each) => (
            <NowRow key={each.id} conversation={each} />
          ))}
        </ul>
      )}
      <a class="panel-link" href={address("live")}>
        Follow live
      </a>
    </section>
  );
}

/** In a panel, in place of what is not here yet or could not be read. */
function Unread({ error, again }: { error: Error | undefined; again: () => void }) {
  if (error === undefined) return <p class="quiet">…</p>;
  return (
    <div class="panel-failed" role="alert">
      <p dir="auto">{visible(error.message)}</p>
      <button type="button" class="button" onClick={again}>
        Try again
      </button>
    </div>
  );
}

function NowRow({ conversation }: { conversation: ConversationSummary }) {
  const { id, updated_at } = conversation;
  return (
    <li>
      <a class="count" href={address("live", { conversation: id })}>
        <bdi class="one-line">{titleOf(conversation)}</bdi>
        <span class="numeric quiet">
          <Time at={updated_at} />
        </span>
      </a>
    </li>
  );
}

/** Names of sources as people know them; others are shown as they are. */
const SOURCE_NAMES: Record<string, string> = { proxy: "Recorder of MCP calls" };

/** Whether all parts work, and when each source last brought something. */
function Condition({ stats }: { stats: Stats }) {
  const health = useHealth();
  const isAway = connection.state.value !== "open";
  const isWell = !isAway && health?.status === "ok";
  const walk = health?.search?.reindexing;
  return (
    <section class="panel">
      <h2>Health</h2>
      <ul class="counts">
        <Line name="Server" isWell={isWell}>
          {isAway
            ? "away"
            : health === undefined
              ? "…"
              : `${health.status === "ok" ? "well" : "the database is away"}, ${health.version ?? ""}`}
        </Line>
        {walk !== undefined && (
          <Line name="Search index" isWell>
            {grouped(walk.walked)} of {grouped(walk.total)} rebuilt
          </Line>
        )}
        {!stats.sources.some(({ source }) => source === "proxy") && (
          <Line name={SOURCE_NAMES["proxy"] ?? ""}>nothing recorded yet</Line>
        )}
        {stats.sources.map(({ source, conversations, latest }) => (
          <Line key={source} name={SOURCE_NAMES[source] ?? source} isWell={Date.now() - Date.parse(latest) < LATELY_MS}>
            {counted(conversations, "session")}, last <Time at={latest} />
          </Line>
        ))}
      </ul>
    </section>
  );
}

function Line({ name, isWell, children }: { name: string; isWell?: boolean; children: ComponentChildren }) {
  return (
    <li class="health-line">
      <span class="health-dot" data-well={isWell || undefined} aria-hidden="true" />
      <bdi class="one-line">{visible(name)}</bdi>
      <span class="quiet numeric">{children}</span>
    </li>
  );
}
