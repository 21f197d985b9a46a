import { currentBindings } from "../keys.ts";
import { Dialog } from "./dialog.tsx";

/** Every key that does something now. */
export function KeysHelp({ onClose }: { onClose: () => void }) {
  const titles = Map.groupBy(currentBindings(), ({ title }) => title);
  return (
    <Dialog label="Keys" class="keys" onClose={onClose}>
      <h2>Keys</h2>
      <dl>
        {[...titles].map(([title, all]) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>
              {[...new Set(all.map(({ keys }) => keys))].map((keys) => (
                <kbd key={keys}>{keys.replace("mod+", "Ctrl ")}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
