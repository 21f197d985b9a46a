import type { Conversation, OutlinePrompt } from "../client/replies.ts";
import { address, route, withQuery } from "../route.ts";
import { Outline } from "./outline.tsx";
import { titleOf } from "./place.ts";

interface TalkAsideProps {
  facts: Conversation;
  prompts: readonly OutlinePrompt[];
  /** The turn at the top of the window. */
  top: number;
}

/** Beside a conversation: its kin, its prompts, and whether the hidden turns are shown. */
export function TalkAside({ facts, prompts, top }: TalkAsideProps) {
  const { conversation_id: id, parent_id, forked_from, related = [] } = facts;
  const everything = route.value.query.has("all");
  return (
    <div class="talk-aside">
      {(parent_id !== null || forked_from !== null || related.length > 0) && (
        <section class="facet related">
          <h2>Related</h2>
          {parent_id !== null && <Link id={parent_id} text="The agent that started this one" />}
          {forked_from !== null && <Link id={forked_from} text="The conversation that this one continues" />}
          {related.map((each) => (
            <Link
              key={each.id}
              id={each.id}
              text={`${each.relation === "fork" ? "Fork" : "Sub-agent"}: ${titleOf(each)}`}
            />
          ))}
        </section>
      )}
      <Outline
        prompts={prompts}
        top={top}
        hrefOf={(turn) => address(`conversation/${id}`, { turn, all: everything })}
      />
      <a
        class="facet-link"
        href={withQuery({ all: !everything })}
        title="Branches that were left, and what programs noted for themselves"
        aria-current={everything ? "true" : undefined}
      >
        Show what is hidden
      </a>
    </div>
  );
}

function Link({ id, text }: { id: string; text: string }) {
  return (
    <a class="facet-link" href={address(`conversation/${id}`)} title={text}>
      <bdi class="one-line">{text}</bdi>
    </a>
  );
}
