import type { Command } from "./command.ts";
import { health } from "./health.ts";
import { proxy } from "./proxy.ts";
import { serve } from "./serve.ts";
import { unit } from "./unit.ts";
import { up } from "./up.ts";

/** Every command of the binary, in the order of its help. */
export const commands: readonly Command[] = [up, serve, proxy, health, unit];
