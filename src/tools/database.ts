import { z } from "zod";
import { reads } from "./fields.ts";
import { defineTool } from "./tool.ts";

export const identifyDatabase = defineTool({
  name: "dewey_identify_database",
  title: "Identify the database",
  description:
    "Names the history of the database in which writes end. Another name than before means that another server has become " +
    "the primary, which may lack what was committed last.",
  input: z.strictObject({}),
  output: z.object({ history: z.string().optional() }),
  annotations: reads,
  ownOnly: true,
  async handle(store) {
    const history = await store.primary.history();
    return history === undefined ? {} : { history };
  },
});
