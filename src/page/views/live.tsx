import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Live } from "../client/live.ts";
import type { LiveMessage } from "../client/live.ts";
import { useKeys } from "../keys.ts";
import { Frame } from "../parts/frame.tsx";
import { Icon } from "../parts/icon.tsx";
import { titleOf } from "../parts/place.ts";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { grouped } from "../parts/time.tsx";
import { Turn } from "../parts/turn.tsx";
import { address, go, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import type { View } from "../view.ts";

export const liveView: View = {
  name: "live",
  entry: { title: "Live", icon: "live", key: "v" },
  Show: LiveTurns,
};

/** Who is this near to the end sees the end: a line's height. */
const AT_END_PX = 40;

function LiveTurns({ route: { query } }: { route: Route }) {
  const conversation = query.get("conversation") ?? undefined;
  const live = useMemo(() => new Live(conversation), [conversation]);
  useEffect(() => () => live.leave(), [live]);
  const messages = live.messages.value;
  const error = live.error.value;
  return (
    <Frame title="Live" head={<Head isFollowing={error === undefined} conversation={conversation} />}>
      {error !== undefined && live.isBegun.value && <Outdated error={error} again={() => live.again()} />}
      {error !== undefined && !live.isBegun.value ? (
        <Failure error={error} again={() => live.again()} />
      ) : !live.isBegun.value ? (
        <Loading />
      ) : messages.length === 0 ? (
        <Notice title="Waiting for the first turn">What agents and people say appears here as it is stored.</Notice>
      ) : (
        <Feed key={conversation ?? ""} messages={messages} isOne={conversation !== undefined} />
      )}
    </Frame>
  );
}

function Head({ isFollowing, conversation }: { isFollowing: boolean; conversation: string | undefined }) {
  return (
    <>
      <h1>Live</h1>
      {isFollowing && (
        <span class="quiet live-state">
          <span class="live-dot" aria-hidden="true" />
          {conversation === undefined ? "everything that is stored" : "one conversation"}
        </span>
      )}
      {conversation !== undefined && (
        <a class="button head-end" href={withQuery({ conversation: undefined })}>
          Follow everything
        </a>
      )}
    </>
  );
}

function Feed({ messages, isOne }: { messages: LiveMessage[]; isOne: boolean }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(() => messages.at(-1)?.id);
  const isAtEnd = useRef(true);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const last = messages.at(-1)?.id;
  const toEnd = () => {
    isAtEnd.current = true;
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
    setSeen(last);
  };
  useLayoutEffect(() => {
    if (isAtEnd.current) toEnd();
  }, [last]);
  // Turns grow after they are drawn, such as by highlighting; who follows stays at the end.
  useEffect(() => {
    const inner = scroller.current?.firstElementChild;
    if (!inner) return;
    const observer = new ResizeObserver(() => isAtEnd.current && toEnd());
    observer.observe(inner);
    return () => observer.disconnect();
  }, [last]);
  const scrolled = () => {
    const element = scroller.current;
    if (element === null) return;
    isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < AT_END_PX;
    if (isAtEnd.current) setSeen(last);
  };
  useKeys([
    { keys: "j", title: "Down", run: () => scroller.current?.scrollBy(0, 120) },
    { keys: "k", title: "Up", run: () => scroller.current?.scrollBy(0, -120) },
    { keys: "G", title: "Follow again", run: toEnd },
  ]);
  const unseen = messages.length - 1 - messages.findIndex(({ id }) => id === seen);
  const toggle = (id: string) => setOpened((before) => toggled(before, id));
  return (
    <div class="turns">
      <div class="scroller" ref={scroller} onScroll={scrolled} tabIndex={0} role="region" aria-label="What is stored">
        <div class="live-feed">
          {messages.map((message, index) => (
            <div key={message.id} class="live-item">
              {!isOne && messages[index - 1]?.conversation_id !== message.conversation_id && (
                <Where message={message} />
              )}
              <Turn
                message={message}
                href={address(`conversation/${message.conversation_id}`, { turn: message.turn })}
                position={index + 1}
                count={-1}
                isCurrent={false}
                isOpen={opened.has(message.id)}
                onToggle={() => toggle(message.id)}
                onWhole={() => go(address(`conversation/${message.conversation_id}`, { turn: message.turn }))}
              />
            </div>
          ))}
        </div>
      </div>
      {unseen > 0 && !isAtEnd.current && (
        <button type="button" class="button primary unseen-button" onClick={toEnd}>
          <Icon name="down" /> {grouped(unseen)} new
        </button>
      )}
      <p class="unseen" role="status">
        {unseen > 0 && !isAtEnd.current ? `${unseen} new` : ""}
      </p>
    </div>
  );
}

function Where({ message }: { message: LiveMessage }) {
  return (
    <h2 class="live-where">
      <a class="one-line" href={address(`conversation/${message.conversation_id}`, { turn: message.turn })}>
        <bdi>{titleOf(message)}</bdi>
      </a>
      <a class="quiet" href={withQuery({ conversation: message.conversation_id })}>
        follow only this
      </a>
    </h2>
  );
}

function toggled(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(id)) next.add(id);
  return next;
}
