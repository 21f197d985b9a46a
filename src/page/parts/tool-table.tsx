import { visible } from "../../visible.ts";
import type { ToolStats } from "../client/replies.ts";
import { withQuery } from "../route.ts";
import { duration, grouped } from "./time.tsx";
import { plainTool } from "./turn-facts.ts";

/** How the calls of each tool went. */
export function ToolTable({ tools, chosen }: { tools: readonly ToolStats[]; chosen: string | undefined }) {
  if (tools.length === 0) return null;
  return (
    <details class="tool-stats">
      <summary>Percentiles by tool</summary>
      <table class="calls">
        <thead>
          <tr>
            <th scope="col">Tool</th>
            {["Calls", "Failed", "Median", "95th"].map((name) => (
              <th scope="col" class="calls-number" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tools.map(({ tool, calls, errors, p50_ms, p95_ms }) => (
            <tr key={tool} data-chosen={tool === chosen || undefined}>
              <td>
                <a class="call-link one-line" href={withQuery({ tool: tool === chosen ? undefined : tool })}>
                  <bdi title={visible(tool)}>{plainTool(tool)}</bdi>
                </a>
              </td>
              <td class="numeric calls-number">{grouped(calls)}</td>
              <td class={errors > 0 ? "numeric calls-number turn-failed" : "numeric calls-number quiet"}>
                {grouped(errors)}
              </td>
              <td class="numeric calls-number">{p50_ms === null ? "–" : duration(p50_ms)}</td>
              <td class="numeric calls-number">{p95_ms === null ? "–" : duration(p95_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
