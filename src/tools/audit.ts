import { z } from "zod";
import { auditActions } from "../store/audit.ts";
import { limit, nextCursor, reads, startDate, time, uuid } from "./fields.ts";
import { defineTool } from "./tool.ts";

export const listAudit = defineTool({
  name: "dewey_list_audit",
  title: "List the audit",
  description:
    "Lists who deleted, restored, renamed or changed what, who signed in and who was refused, the latest first.",
  input: z.strictObject({
    action: z.enum(auditActions, `should be one of ${auditActions.join(", ")}`).optional(),
    start_date: startDate.optional(),
    limit,
    cursor: uuid("next_cursor of the page before").optional(),
  }),
  output: z.object({
    entries: z.array(
      z.object({
        id: z.string(),
        at: time,
        action: z.string(),
        outcome: z.string(),
        target: z.string().nullable(),
        client_name: z.string().nullable(),
        client_version: z.string().nullable(),
        session: z.string().nullable(),
        address: z.string().nullable(),
        count: z.int(),
      }),
    ),
    limit: z.int(),
    next_cursor: nextCursor,
  }),
  annotations: reads,
  ownOnly: true,
  handle: (store, input) => store.audit.list(input),
});
