/** The numbers of words in the database. The states are ordered, so that one comparison finds waiting, active, held and ended recipients. */

import type { Notify } from '../../smtp/envelope.ts';
import type { Limit, WindowUnit } from '../../smtp/limit.ts';
import type { AttemptRecord } from '../attempt-record.ts';
import type { RecipientState } from '../message-store.ts';

/** A state below ACTIVE waits for its time. A state from ENDED on never changes. */
const STATES: readonly RecipientState[] = [
  'queued',
  'delayed',
  'uncertain',
  'active',
  'held',
  'relayed',
  'failed',
  'expired',
  'removed',
];
export const QUEUED = 0;
export const DELAYED = 1;
export const ACTIVE = 3;
export const HELD = 4;
export const ENDED = 5;
export const RELAYED = 5;
export const REMOVED = 8;

export function stateNumber(state: RecipientState): number {
  return STATES.indexOf(state);
}

/** undefined: no state has this number. */
export function stateName(number: number): RecipientState | undefined {
  return STATES[number];
}

const NOTIFY: readonly Notify[] = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'];

/** One bit for each word. null: NOTIFY was not given. RFC 3461 §4.1 */
export function notifyBits(notify: readonly Notify[] | undefined): number | null {
  return notify === undefined ? null : notify.reduce((bits, word) => bits | (1 << NOTIFY.indexOf(word)), 0);
}

export function notifyWords(bits: number): readonly Notify[] {
  return NOTIFY.filter((_, i) => bits & (1 << i));
}

const OUTCOMES: readonly AttemptRecord['outcome'][] = ['relayed', 'delayed', 'uncertain', 'failed'];
export const outcomeNumber = (outcome: AttemptRecord['outcome']) => OUTCOMES.indexOf(outcome);
export const outcomeName = (number: number) => OUTCOMES[number] ?? 'delayed';

export const KINDS: readonly Limit['kind'][] = ['messages', 'recipients', 'newRecipients'];
export const UNITS: readonly WindowUnit[] = ['minute', 'hour', 'day'];
