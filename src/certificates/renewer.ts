/** Finds the certificates that are due, and lets one process at a time renew them. RFC 8555, RFC 9773. */
import { holdLease, LEASE_TIME, type OperationStore } from '../store/store.ts';
import { HOUR, MINUTE } from '../system/clock.ts';
import { AcmeError } from './acme-error.ts';
import { fetchRenewalInformation } from './ari.ts';
import { type IssueOptions, issueAll } from './issue.ts';
import type { KeyType } from './pair.ts';
import { fingerprint, isDue, makePlans, type PlannedStatus, type RenewalPlan, toStatus } from './plan.ts';
import { endRequest, renewalRequest, writeState } from './renewal-state.ts';
import { createTransport, type Transport } from './transport.ts';

type RenewerOptions = Omit<IssueOptions, 'operation'> & {
  readonly operation: OperationStore;
  /** Name under which the lease is taken. Two processes must not use the same name at a time. */
  readonly owner: string;
  /** PEM text of one more authority that is trusted for HTTPS to the directory. */
  readonly ca: string | undefined;
  /** Called with the plans after each check. */
  readonly planned: (plans: ReadonlyMap<KeyType, PlannedStatus>) => Promise<void>;
};

export type Renewer = {
  /** Checks now, because something may have changed. */
  look(): void;
  /** Leaves an order under way as it is: the next start continues it. */
  close(): Promise<void>;
};

/** How often the store is read if no change is reported. */
const POLL = MINUTE;

export function startRenewer(options: RenewerOptions): Renewer {
  const { log, now } = options;
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let asked = false;

  async function run(): Promise<void> {
    let next = now() + POLL;
    while (asked && !stop.signal.aborted) {
      asked = false;
      next = await lookOnce(options, stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) log.emit('certificateTrouble', { error });
        return now() + POLL;
      });
    }
    running = undefined;
    if (stop.signal.aborted) return;
    timer = setTimeout(look, Math.min(Math.max(next - now(), 0), POLL));
    timer.unref();
  }
  function look(): void {
    asked = true;
    if (running !== undefined || stop.signal.aborted) return;
    clearTimeout(timer);
    running = run();
  }
  look();
  return {
    look,
    async close() {
      stop.abort();
      clearTimeout(timer);
      await running;
    },
  };
}

/** Checks, and renews what is due. @returns when to check again */
async function lookOnce(options: RenewerOptions, stop: AbortSignal): Promise<number> {
  const { now, owner, operation } = options;
  await options.changed();
  const look = async () => makePlans(options, (await renewalRequest(operation)) !== undefined);
  let plans = await look();
  if (isDue(plans, now())) {
    const lease = await holdLease({ name: 'certificates', owner, operation, now });
    if (lease === undefined) return now() + LEASE_TIME / 3;
    try {
      await work({ ...options, operation: lease.operation }, AbortSignal.any([stop, lease.signal]));
    } finally {
      await lease.release();
    }
    plans = await look();
  }
  await options.planned(new Map(plans.map((one) => [one.keyType, toStatus(one)])));
  return Math.min(...plans.flatMap(({ at, askAt }) => [at, askAt]));
}

type Work = IssueOptions & Pick<RenewerOptions, 'ca'>;

async function work(options: Work, signal: AbortSignal): Promise<void> {
  const { operation, now, ca } = options;
  const transport = createTransport({ ca, signal, now });
  try {
    // read again: another process may have done it before we got the lease
    for (const one of await makePlans(options, false)) if (one.askAt <= now()) await askAuthority(options, one, transport);
    // only the request that was read here ends below; a request that comes meanwhile stays and is served by the next check
    const request = await renewalRequest(operation);
    const due = (await makePlans(options, request !== undefined)).filter(({ at }) => at <= now());
    if (due.length === 0) return;
    await issueAll(options, { due, transport, signal });
    if (request !== undefined && !signal.aborted) await endRequest(operation, request);
  } finally {
    transport.close();
  }
}

/** If the authority does not answer now, its earlier answer stays valid, and it is asked again later. */
async function askAuthority(options: Work, { keyType, state, stored }: RenewalPlan, transport: Transport): Promise<void> {
  const { operation, directory, now, log } = options;
  if (stored === undefined) return;
  const of = fingerprint(stored);
  const before = state.information?.of === of ? state.information : {};
  const information = await fetchRenewalInformation(transport, {
    directory,
    certificate: stored.certificate,
    now: now(),
  }).catch((error: Error) => {
    log.emit('renewalInformation', { keyType, error: error.message });
    return { ...before, checkAt: Math.max(now() + HOUR, error instanceof AcmeError ? (error.retryAfter ?? 0) : 0) };
  });
  await writeState(operation, keyType, { ...state, information: { ...information, of } });
}
