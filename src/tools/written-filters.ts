import { DeweyError } from "../errors.ts";

/** The filters that may stand within a query, as in `folder:dewey since:3d error`. */
const names = ["folder", "client", "upstream", "tool", "kind", "role", "branch", "title", "since", "until"] as const;

/** The filters of a query, as they were written. */
export type WrittenFilters = Partial<Record<(typeof names)[number], string>> & { errors?: true };

/** Phrases are passed over; `errors:` has no value, and the others are words without one. */
const parts = new RegExp(
  String.raw`(?<!\S)(?:-?"[^"]*"|errors:(?=\s|$)|(${names.join("|")}):(?:"([^"]*)"(?=\s|$)|([^\s"]\S*))|\S+)`,
  "g",
);

/**
 * Separates a query into its words and its filters: the known names in small letters, with a value after the colon, which may
 * stand in quotes. Everything else is left as it is: `http://x:80`, `foo:bar`, and what stands in a phrase. Throws `invalid`
 * for a filter that is given twice.
 */
export function readFilters(query: string): { words: string; filters: WrittenFilters } {
  const filters: WrittenFilters = {};
  const words = query.replace(parts, (part, name?: (typeof names)[number], quoted?: string, plain?: string) => {
    if (part === "errors:") {
      filters.errors = true;
      return "";
    }
    const value = (quoted ?? plain)?.trim();
    if (name === undefined || value === undefined || value === "") return part;
    if (name in filters) {
      const message = `${name}: stands twice in the query; leave one out, or put it in quotes to search for it`;
      throw new DeweyError("invalid", message, { field: "query" });
    }
    filters[name] = value;
    return "";
  });
  return { words: Object.keys(filters).length === 0 ? query : words.replaceAll(/\s+/g, " ").trim(), filters };
}
