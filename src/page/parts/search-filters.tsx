import type { ConversationList, FacetValue, SearchReply } from "../client/replies.ts";
import { withQuery } from "../route.ts";
import { Facet } from "./facets.tsx";
import { PERIODS, folderName } from "./place.ts";

/** Who speaks in a hit, in the order in which a person thinks of it. */
export const ROLES = [
  { value: "user", name: "You" },
  { value: "assistant", name: "Answers and calls" },
  { value: "tool", name: "Results" },
  { value: "system", name: "Notes" },
] as const;

interface SearchFiltersProps {
  query: URLSearchParams;
  /** How many hits have each value; undefined before a person has searched, and a facet is absent when they are too many. */
  counts: SearchReply["facets"];
  /** Where all conversations were held. */
  places: ConversationList["facets"];
}

/** What a search can be narrowed to. */
export function SearchFilters({ query, counts, places }: SearchFiltersProps) {
  const chosen = (name: string) => query.get(name) ?? undefined;
  const link = (name: string) => (value: string | undefined) => withQuery({ [name]: value });
  const uncounted = (values: readonly FacetValue[] = []) => values.map(({ value }) => ({ value, count: 0 }));
  const roles = ROLES.map(({ value }) => counts?.role?.find((each) => each.value === value) ?? { value, count: 0 });
  return (
    <nav aria-label="Filters">
      <Facet
        title="Who"
        values={counts?.role === undefined ? roles : roles.filter(({ count }) => count > 0)}
        chosen={chosen("role")}
        hrefOf={link("role")}
        nameOf={(role) => ROLES.find(({ value }) => value === role)?.name ?? role}
      />
      <Facet
        title="When"
        values={PERIODS.map(({ value }) => ({ value, count: 0 }))}
        chosen={chosen("period")}
        hrefOf={link("period")}
        nameOf={(period) => PERIODS.find((each) => each.value === period)?.name ?? period}
      />
      <Facet
        title="Folder"
        values={counts?.folder ?? uncounted(places?.folder)}
        chosen={chosen("folder")}
        hrefOf={link("folder")}
        nameOf={folderName}
      />
      <Facet
        title="Client"
        values={counts?.client ?? uncounted(places?.client)}
        chosen={chosen("client")}
        hrefOf={link("client")}
      />
    </nav>
  );
}
