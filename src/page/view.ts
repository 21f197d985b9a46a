import type { ComponentType } from "preact";
import type { IconName } from "./parts/icon.tsx";
import type { Route } from "./route.ts";

/** One view of the page: where it is, how it is reached, and what it shows. */
export interface View {
  /** The first part of its address. */
  name: string;
  /** Its entry in the navigation; views that are opened from others have none. */
  entry?: { title: string; icon: IconName; /** The key after `g`. */ key: string };
  Show: ComponentType<{ route: Route }>;
}
