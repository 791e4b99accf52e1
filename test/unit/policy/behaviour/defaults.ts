/** The thresholds that the settings have by default. */
import { BEHAVIOUR_SETTINGS } from '../../../../src/config/behaviour-settings.ts';
import type { Profile, StagePoints, Thresholds } from '../../../../src/policy/behaviour/signals.ts';

function defaults(settings: typeof BEHAVIOUR_SETTINGS.person): Thresholds {
  return Object.fromEntries(Object.entries(settings).map(([name, { fallback }]) => [name, fallback])) as Thresholds;
}

const person = defaults(BEHAVIOUR_SETTINGS.person);
export const DEFAULT_THRESHOLDS: Readonly<Record<Profile, Thresholds>> = {
  ...{ app: person, person },
  server: defaults(BEHAVIOUR_SETTINGS.server),
};
export const DEFAULT_POINTS: StagePoints = {
  notice: Number(BEHAVIOUR_SETTINGS.noticeAt.fallback),
  slow: Number(BEHAVIOUR_SETTINGS.slowAt.fallback),
  hold: Number(BEHAVIOUR_SETTINGS.holdAt.fallback),
};
