/**
 * Every command: the one table behind dispatch, `--help`, completion and the reference document.
 *
 * @module
 */

import { adviseCommand } from "./advise.ts";
import { completionCommand } from "./completion.ts";
import { explainCommand } from "./explain.ts";
import { generateCommand } from "./generate.ts";
import { profilesCommand } from "./profiles.ts";
import { serveCommand } from "./serve.ts";
import { simulateCommand } from "./simulate.ts";
import { snapshotCommand } from "./snapshot.ts";
import { topCommand } from "./top.ts";
import { validateCommand } from "./validate.ts";
import { versionCommand } from "./version.ts";

const described = {
  serve: serveCommand,
  explain: explainCommand,
  advise: adviseCommand,
  top: topCommand,
  snapshot: snapshotCommand,
  simulate: simulateCommand,
  generate: generateCommand,
  validate: validateCommand,
  profiles: profilesCommand,
} as const;

export const commands = {
  ...described,
  completion: completionCommand((completion) => ({
    ...described,
    completion,
    version: versionCommand,
  })),
  version: versionCommand,
} as const;
export type CommandName = keyof typeof commands;
export const commandNames = Object.keys(commands) as CommandName[];
