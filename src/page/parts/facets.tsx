import type { ComponentChildren } from "preact";
import { visible } from "../../visible.ts";
import type { FacetValue } from "../client/replies.ts";
import { grouped } from "./time.tsx";

/** Values of a facet that are shown before a person asks for all. */
const FIRST_VALUES = 8;

interface FacetProps {
  title: string;
  values: readonly FacetValue[];
  /** The value that the view is narrowed to. */
  chosen: string | undefined;
  /** The address of the view with this value, or without any. */
  hrefOf(value: string | undefined): string;
  /** How a value is called; by itself when absent. */
  nameOf?(value: string): string;
}

/** One way to narrow a view: its values, each with the number of what has it. */
export function Facet({ title, values, chosen, hrefOf, nameOf = String }: FacetProps) {
  if (values.length === 0 && chosen === undefined) return null;
  const known = chosen === undefined || values.some(({ value }) => value === chosen);
  const all = known ? values : [{ value: chosen, count: 0 }, ...values];
  const first = all.filter(({ value }, index) => index < FIRST_VALUES || value === chosen);
  const rest = all.filter((each) => !first.includes(each));
  const line = ({ value, count }: FacetValue) => (
    <FacetLink
      key={value}
      href={hrefOf(value === chosen ? undefined : value)}
      isChosen={value === chosen}
      title={visible(value)}
    >
      <bdi class="one-line">{visible(nameOf(value))}</bdi>
      {count > 0 && <span class="facet-count numeric">{grouped(count)}</span>}
    </FacetLink>
  );
  return (
    <section class="facet">
      <h2>{title}</h2>
      {first.map(line)}
      {rest.length > 0 && (
        <details>
          <summary>{rest.length} more</summary>
          {rest.map(line)}
        </details>
      )}
    </section>
  );
}

interface FacetLinkProps {
  href: string;
  isChosen: boolean;
  title?: string;
  children: ComponentChildren;
}

/** One choice; the chosen one leads back. */
export function FacetLink({ href, isChosen, title, children }: FacetLinkProps) {
  return (
    <a class="facet-link" href={href} aria-current={isChosen ? "true" : undefined} title={title}>
      {children}
    </a>
  );
}
