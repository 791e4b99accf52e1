/** Notices to the operator, besides the log. */

import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { EventLog } from '../events/events.ts';
import type { QuotaUser } from '../policy/policy.ts';
import { limitNotice, type OperatorNotice } from '../report/report.ts';
import type { LimitUse } from '../smtp/limit.ts';
import type { Store } from '../store/store.ts';

type NoticeParts = {
  readonly store: Pick<Store, 'operation' | 'now'>;
  readonly log: EventLog;
  /** Returns the current configuration. */
  readonly config: () => Pick<Config, 'hostname' | 'operator' | 'limits'>;
  readonly send: (operator: string, notice: OperatorNotice) => Promise<void>;
};

/**
 * Reports a limit that is nearly or fully used: with a line in the log, and with mail if an operator is set. Each is sent once per
 * window, also after a restart: a lease that lasts as long as the window marks it as done.
 */
export function createLimitNotices({ store, log, config, send }: NoticeParts) {
  async function tell({ name: user, createdAt }: QuotaUser, use: LimitUse, percent: 80 | 100): Promise<void> {
    const { limit, used, resetsAt } = use;
    const name = `notice.${percent}.${limit.kind}.${limit.count}.${limit.per}.${createdAt}.${user}`;
    const ours = randomBytes(8).toString('hex');
    if (!(await store.operation.takeLease(name, ours, resetsAt, store.now()))) return;
    log.emit('limit', { user, percent, ...limit, used, resetsAt: new Date(resetsAt).toISOString() });
    const { hostname, operator, limits } = config();
    if (operator !== undefined) await send(operator, limitNotice({ hostname, user, use, percent, over: limits.over }));
  }
  return (user: QuotaUser, use: LimitUse, percent: 80 | 100): void => {
    tell(user, use, percent).catch((error: unknown) => log.emit('noticeFailed', { user: user.name, percent, error }));
  };
}
