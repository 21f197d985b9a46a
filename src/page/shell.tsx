import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { connection } from "./client/dewey.ts";
import { keptReplies } from "./client/reply.ts";
import type { ConversationList } from "./client/replies.ts";
import { isEntering, isSignedIn, isSignedOut, signIn, signOut } from "./client/session.ts";
import { currentBindings, useKeys } from "./keys.ts";
import { Frame, Navigation } from "./parts/frame.tsx";
import { Icon } from "./parts/icon.tsx";
import { KeysHelp } from "./parts/keys-help.tsx";
import { Palette } from "./parts/palette.tsx";
import type { PaletteItem } from "./parts/palette.tsx";
import { SignIn } from "./parts/sign-in.tsx";
import { Notice } from "./parts/states.tsx";
import { Toasts, say } from "./parts/toast.tsx";
import { address, go, route } from "./route.ts";
import { views } from "./views.ts";

/** The whole page: the navigation, the view that the address names, and the state of the connection. */
export function Shell() {
  const at = route.value;
  const [dialog, setDialog] = useState<"palette" | "keys">();
  const close = () => setDialog(undefined);
  // What was chosen is done once the palette is closed: only then the page behind it has the focus again, and can take it.
  const chosen = useRef<() => void>(undefined);
  useLayoutEffect(() => {
    const run = chosen.current;
    chosen.current = undefined;
    run?.();
  }, [dialog]);
  useKeys([
    { keys: "?", title: "Show the keys", run: () => setDialog("keys") },
    { keys: "mod+k", title: "Open the commands", run: () => setDialog("palette") },
    { keys: "/", title: "Search", run: focusSearch },
    ...(isSignedIn.value
      ? [{ keys: "g q", title: "Sign out", run: () => void signOut().catch((error: Error) => say(error.message)) }]
      : []),
    ...views.flatMap(({ name, entry }) =>
      entry === undefined
        ? []
        : [{ keys: `g ${entry.key}`, title: `Go to ${entry.title}`, run: () => go(address(name)) }],
    ),
  ]);
  const state = connection.state.value;
  useEffect(() => {
    if (state === "open") void isSignedOut().catch(() => {});
  }, [state]);
  const [name = views[0]?.name] = at.segments;
  const view = views.find((each) => each.name === name);
  if (state === "signed-out") {
    const enter = async (token: string) => {
      await signIn({ token });
      connection.connect();
    };
    return <SignIn isEntering={isEntering.value} onToken={enter} />;
  }
  return (
    <Navigation.Provider value={<Entries current={name} onCommands={() => setDialog("palette")} />}>
      {view === undefined ? <Nowhere /> : <view.Show key={view.name} route={at} />}
      <Away />
      <Toasts />
      {dialog === "keys" && <KeysHelp onClose={close} />}
      {dialog === "palette" && (
        <Palette itemsFor={paletteItems} onChoose={(run) => (chosen.current = run)} onClose={close} />
      )}
    </Navigation.Provider>
  );
}

/** Into the search field of the view; to the search view when it has none. */
function focusSearch(): void {
  const field = document.querySelector<HTMLInputElement>("[data-search]");
  if (field === null) go(address("search"));
  field?.focus();
  field?.select();
}

/** Keys without a meaning outside of their view's rows stay out of the palette. */
const notCommands = new Set(["mod+k", "j", "k", "Enter", "ArrowUp", "ArrowDown"]);

function paletteItems(text: string): PaletteItem[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (title: string) => words.every((word) => title.toLowerCase().includes(word));
  const commands = currentBindings()
    .filter(({ keys, title }) => !notCommands.has(keys) && matches(title))
    .map(({ keys, title, run }) => ({ title, hint: keys, run }));
  const search = { title: `Search for “${text.trim()}”`, run: () => go(address("search", { q: text.trim() })) };
  return [...commands, ...(words.length > 0 ? [search, ...conversations(matches)] : [])];
}

/** The conversations that lists have shown lately. */
function conversations(matches: (title: string) => boolean): PaletteItem[] {
  const lists = keptReplies("dewey_list_conversations") as ConversationList[];
  const found = new Map(lists.flatMap((list) => list.conversations.map((each) => [each.id, each])));
  return [...found.values()].flatMap(({ id, title, folder }) =>
    title === null || !matches(title)
      ? []
      : [{ title, hint: folder?.split("/").at(-1), run: () => go(address(`conversation/${id}`)) }],
  );
}

function Entries({ current, onCommands }: { current: string | undefined; onCommands: () => void }) {
  return (
    <nav class="entries" aria-label="Views">
      <a class="brand" href="/">
        Dewey
      </a>
      {views.map(
        ({ name, entry }) =>
          entry !== undefined && (
            <a key={name} class="entry" href={address(name)} aria-current={name === current ? "page" : undefined}>
              <Icon name={entry.icon} />
              <span>{entry.title}</span>
              <kbd aria-hidden="true">g {entry.key}</kbd>
            </a>
          ),
      )}
      <button type="button" class="entry" onClick={onCommands}>
        <Icon name="keyboard" />
        <span>Commands</span>
        <kbd aria-hidden="true">Ctrl K</kbd>
      </button>
    </nav>
  );
}

function Nowhere() {
  return (
    <Frame title="Nothing here">
      <Notice title="There is no such view">
        <a href="/">Go to the start</a>
      </Notice>
    </Frame>
  );
}

/** Says that the server is away; what was read stays readable. */
function Away() {
  const state = connection.state.value;
  return (
    <div class="away" role="status" data-state={state}>
      {state === "away" && (
        <>
          <span class="away-dot" aria-hidden="true" />
          The server is away. What you see stays; the page connects again by itself.
        </>
      )}
    </div>
  );
}
