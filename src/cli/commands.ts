import { backup } from "./backup.ts";
import type { Command } from "./command.ts";
import { completionsOf } from "./completions.ts";
import { connect } from "./connect.ts";
import { disconnect } from "./disconnect.ts";
import { context } from "./context.ts";
import { doctor } from "./doctor.ts";
import { exportCommand } from "./export.ts";
import { health } from "./health.ts";
import { hook } from "./hook.ts";
import { importCommand } from "./import.ts";
import { list } from "./list.ts";
import { proxy } from "./proxy.ts";
import { recover } from "./recover.ts";
import { restore } from "./restore.ts";
import { rm } from "./rm.ts";
import { search } from "./search.ts";
import { serve } from "./serve.ts";
import { show } from "./show.ts";
import { stats } from "./stats.ts";
import { tail } from "./tail.ts";
import { unit } from "./unit.ts";
import { up } from "./up.ts";

/** Every command of the binary, in the order of its help. */
export const commands: readonly Command[] = [
  up,
  serve,
  proxy,
  connect,
  disconnect,
  search,
  list,
  show,
  tail,
  rm,
  restore,
  context,
  stats,
  importCommand,
  backup,
  recover,
  exportCommand,
  hook,
  doctor,
  health,
  completionsOf(() => commands),
  unit,
];
