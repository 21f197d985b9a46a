import { callsView } from "./views/calls.tsx";
import { contextsView } from "./views/contexts.tsx";
import { conversationView } from "./views/conversation.tsx";
import { homeView } from "./views/home.tsx";
import { liveView } from "./views/live.tsx";
import { listView } from "./views/list.tsx";
import { searchView } from "./views/search.tsx";
import type { View } from "./view.ts";

/** Every view, in the order of the navigation. A new one is a file in `views` and a line here. */
export const views: readonly View[] = [
  homeView,
  listView,
  searchView,
  liveView,
  callsView,
  contextsView,
  conversationView,
];
