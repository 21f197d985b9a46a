import type { Call, CallList } from "../client/replies.ts";
import { withQuery } from "../route.ts";
import { Facet, FacetLink } from "./facets.tsx";
import { PERIODS } from "./place.ts";
import { plainTool } from "./turn-facts.ts";

/** What calls can be narrowed to. */
export function CallFilters({
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
      <Facet title="Tool" values={tools} chosen={chosen("tool")} hrefOf={link("tool")} nameOf={plainTool} />
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
