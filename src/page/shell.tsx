import { connection } from "./client/dewey.ts";
import { Navigation, Frame } from "./parts/frame.tsx";
import { Icon } from "./parts/icon.tsx";
import { Notice } from "./parts/states.tsx";
import { address, route } from "./route.ts";
import { views } from "./views.ts";

/** The whole page: the navigation, the view that the address names, and the state of the connection. */
export function Shell() {
  const at = route.value;
  const [name = views[0]?.name] = at.segments;
  const view = views.find((each) => each.name === name);
  return (
    <Navigation.Provider value={<Entries current={name} />}>
      {view === undefined ? <Nowhere /> : <view.Show route={at} />}
      <Away />
    </Navigation.Provider>
  );
}

function Entries({ current }: { current: string | undefined }) {
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
