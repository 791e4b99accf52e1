/**
 * The first configuration of a relay: what must be known, what DNS and machine say to it, the records, and the file. Asked on a terminal
 * (commands/init.ts) or in the browser (first-run.ts). Parts that few commands need are loaded when they are used.
 */
import type { FirstRun, FirstRunOptions } from './first-run.ts';
import type { SetupLooks, Surroundings } from './looks.ts';

export { configurationText } from './file.ts';
export type { FirstRun, FirstRunOptions } from './first-run.ts';
export type { SetupLooks } from './looks.ts';
export { keepPlace, keptPlace } from './place.ts';
export { type Existing, neededRecords, zoneText } from './records.ts';
export { chosenResolvers } from './resolvers.ts';
export { SetupProblem } from './setup-problem.ts';
export { SYSTEM_DIR, writeConfiguration } from './write.ts';

export async function openSetupLooks(surroundings: Surroundings): Promise<SetupLooks> {
  const { createSetupLooks } = await import('./looks.ts');
  return createSetupLooks(surroundings);
}

export async function openFirstRun(options: FirstRunOptions): Promise<FirstRun> {
  const { createFirstRun } = await import('./first-run.ts');
  return createFirstRun(options);
}
