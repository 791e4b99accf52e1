/** Puts the outcomes of one claim, and the reports they deserve, into one transaction; then says so in the log. */
import type { Outcome } from '../smtp/outcome.ts';
import type { Claim, MessageStore, Settlement } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';
import { type Decision, type DecisionFacts, decide, withoutReport } from './decide.ts';
import type { Report, Reportable, ReportFunction } from './reportable.ts';
import type { Schedule } from './schedule.ts';
import { createFailureMemory, decideUntried } from './untried.ts';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** A full disk must not fill the log too. */
const LOG_EVERY = 12;

export type SettlerOptions = {
  readonly store: Pick<MessageStore, 'settle'>;
  readonly log: MailLog;
  readonly report: ReportFunction;
  readonly schedule: () => Schedule;
  readonly now: Clock;
  readonly random: () => number;
  /** A destination has mail that is due at `at`: our own report, mail to try again, or mail that was handed back. */
  readonly onDue: (destination: string, at: number, why: 'report' | 'retry' | 'returned') => void;
};

export type Settler = ReturnType<typeof createSettler>;

export function createSettler(options: SettlerOptions) {
  const { store, log, report, now, random, onDue } = options;
  const failures = createFailureMemory();
  const pauses = new Set<() => void>();
  let closing = false;

  function settle(claim: Claim, outcomes: readonly Outcome[]): Promise<void> {
    const at = now();
    const facts = claim.recipients.map((recipient, i) => {
      failures.note(recipient.destination, outcomes[i]!, at);
      return { ...common(claim, at), recipient, outcome: outcomes[i]! };
    });
    return conclude(claim, facts, facts.map(decide));
  }

  function settleUntried(claim: Claim): Promise<void> {
    const at = now();
    const facts = claim.recipients.map((recipient) => {
      const { at: failedAt, outcome } = failures.of(recipient.destination);
      return { ...common(claim, at), recipient, outcome, failedAt };
    });
    return conclude(claim, facts, facts.map(decideUntried));
  }

  const common = ({ message }: Claim, at: number) => ({ message, schedule: options.schedule(), now: at, random: random() });

  async function conclude(claim: Claim, facts: readonly DecisionFacts[], decided: readonly Decision[]): Promise<void> {
    const { id } = claim.message;
    let decisions = decided;
    let reports: readonly Report[] = [];
    const reportable = decided.flatMap((decision) => decision.report ?? []);
    if (reportable.length > 0) {
      const written = await write(claim, reportable);
      if (written === undefined) decisions = decided.map((decision, i) => withoutReport(decision, facts[i]!));
      else reports = written;
    }
    const changes = decisions.map((decision) => decision.change);
    const at = facts[0]?.now ?? now();
    const unchanged = await stored({ messageId: id, at, changes, ...(reports.length > 0 ? { reports } : {}) });
    if (unchanged === undefined) return;
    // What a command took away meanwhile had its line already.
    const applied = unchanged.length === 0 ? decisions : decisions.filter(({ change }) => !unchanged.includes(change.n));
    for (const decision of applied) logDecision(log, id, decision);
    announce(applied, applied.length === 0 ? [] : reports);
  }

  /** undefined: no report can be written now. */
  async function write(claim: Claim, reportable: readonly Reportable[]): Promise<readonly Report[] | undefined> {
    try {
      return await report({ ...claim.message, content: claim.content }, reportable);
    } catch (error) {
      log.event.error('reportFailed', { queueId: claim.message.id, error });
      return undefined;
    }
  }

  /**
   * A fault of the store is waited out, for the lease is ours as long as this process lives: nobody else delivers meanwhile, and
   * neither do we. Undefined: the process ends first; the next start takes the lease back and the mail is tried again.
   */
  async function stored(settlement: Settlement): Promise<readonly number[] | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        return await store.settle(settlement);
      } catch (error) {
        const recipients = settlement.changes.map(({ n, state }) => `${n}:${state}`);
        const fields = { queueId: settlement.messageId, recipients, error };
        if (closing) {
          log.event.error('settleAbandoned', fields);
          return undefined;
        }
        if (tries % LOG_EVERY === 0) log.event.error('settleFailed', fields);
        await sleep(Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE));
      }
    }
  }

  function sleep(pause: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        pauses.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, pause);
      pauses.add(wake);
    });
  }

  function announce(decisions: readonly Decision[], reports: readonly Report[]): void {
    for (const { recipient, change, event } of decisions) {
      if (change.nextAttemptAt === undefined || event === 'untried') continue;
      onDue(recipient.destination, change.nextAttemptAt, event === 'returned' ? 'returned' : 'retry');
    }
    for (const { id, about = '', action, acceptedAt, recipients } of reports) {
      log.reported({ queueId: id, about, action });
      for (const { destination } of recipients) onDue(destination, acceptedAt, 'report');
    }
  }

  return {
    /** Never rejects. */
    settle,
    /** For mail that had to wait too long: what its destination's last failure means for it. Never rejects. */
    settleUntried,
    /** From now on each settlement gets one more try. */
    close(): void {
      closing = true;
      for (const wake of pauses) wake();
    },
  };
}

/** Each recipient ends with exactly one line. What was only handed back leaves none: nothing happened to it. */
function logDecision(log: MailLog, queueId: string, { recipient, outcome, change, event }: Decision): void {
  const { mx, ip, tls, reply, seconds } = outcome;
  const facts = { queueId, recipient: recipient.address, mx, ip, tls, reply, attempt: recipient.attempts + 1, seconds };
  if (event === 'relayed') log.relayed(facts);
  else if (event === 'failed') log.failed(facts);
  else if (event === 'expired') log.expired({ queueId, recipient: recipient.address });
  else if (event === 'delayed') {
    log.delayed({
      ...facts,
      nextAttemptAt: change.nextAttemptAt ?? 0,
      ...(outcome.kind === 'uncertain' ? { uncertain: true } : {}),
    });
  }
}
