import type { ConversationList } from "../client/replies.ts";
import { withQuery } from "../route.ts";
import { Facet, FacetLink } from "./facets.tsx";
import { Icon } from "./icon.tsx";
import { PERIODS, folderName } from "./place.ts";

/** What the list can be narrowed to. */
export function ListFilters({ query, facets }: { query: URLSearchParams; facets: ConversationList["facets"] }) {
  const chosen = (name: string) => query.get(name) ?? undefined;
  const link = (name: string) => (value: string | undefined) => withQuery({ [name]: value });
  const isChosen = (name: string) => query.has(name);
  const toggle = (name: string) =>
    withQuery({ [name]: !isChosen(name), ...(name === "trash" ? { starred: undefined } : {}) });
  const periods = PERIODS.map(({ value }) => ({ value, count: 0 }));
  return (
    <nav aria-label="Filters">
      <section class="facet">
        <FacetLink href={toggle("starred")} isChosen={isChosen("starred")}>
          <Icon name="star" /> Favourites
        </FacetLink>
        <FacetLink href={toggle("trash")} isChosen={isChosen("trash")}>
          <Icon name="trash" /> Trash
        </FacetLink>
      </section>
      <Facet
        title="Folder"
        values={facets?.folder ?? []}
        chosen={chosen("folder")}
        hrefOf={link("folder")}
        nameOf={folderName}
      />
      <Facet title="Client" values={facets?.client ?? []} chosen={chosen("client")} hrefOf={link("client")} />
      <Facet
        title="Last message"
        values={periods}
        chosen={chosen("period")}
        hrefOf={link("period")}
        nameOf={(value) => PERIODS.find((each) => each.value === value)?.name ?? value}
      />
    </nav>
  );
}
