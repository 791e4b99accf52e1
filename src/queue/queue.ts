/**
 * Accepted mail, safe until settled: RFC 5321 §6.1. What a crash leaves, and what the next start makes of it:
 *
 * - before `accept` has resolved: nothing or the whole message; no client was told 250.
 * - accepted, first attempt from memory under way: recipients stand `active`, claimed by a dead incarnation. heartbeat.ts has them
 *   taken back: due at once. What the far side took before the crash but was not settled is sent once more, with the same Message-ID.
 * - the same where only an answer of the store was lost: lost-answers.ts gives back, or withdraws, while the process lives.
 * - `queued`, `delayed`, `uncertain`: due at their time, nothing to repair. `uncertain` had no reply to its final dot.
 * - `held`: waits for the operator.
 * - `queued` or `delayed` and held by a provider: waits until the provider no longer refuses our address. Its lifetime goes on.
 * - settled: outcome, attempt, next time and the duty to tell the sender are one transaction; the report and the end of that duty are
 *   another (telling.ts). So each cause that is recorded is told once, whatever happens in between.
 * - `relayed`, `failed`, `expired`, `removed`: ended, never tried again.
 *
 * States change as follows; attempts are counted with all but the arrows marked *:
 *   queued → active* → relayed | failed | delayed | uncertain | expired;  delayed, uncertain → active*;
 *   active → queued or delayed* (handed back: shutting down, no room);  any waiting → held, removed* (command);  held → queued*.
 * A message expires only after an attempt: its own, or (decide.ts) a failed probe of a destination that takes no more of them.
 */

import type { EventLog } from '../events/events.ts';
import type { Limit, LimitUse } from '../smtp/limit.ts';
import type { Reply } from '../smtp/reply.ts';
import type { AcceptRequest, Content, Denial, MessageStore, NewMessage, RestoredStore, Shaping } from '../store/store.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { createAttempts, type Deliver } from './attempts.ts';
import { acceptUnderFreeId } from './free-id.ts';
import { startHeartbeat } from './heartbeat.ts';
import { createLostAnswers } from './lost-answers.ts';
import { startOverLimit } from './over-limit.ts';
import { startPuttingBack } from './put-back.ts';
import { bytesOf, createPromises, createRoom, planFirstAttempts } from './room.ts';
import { startRunner } from './runner.ts';
import { horizon, patience, type Schedule } from './schedule.ts';
import { createSettler } from './settle.ts';
import type { Suspects } from './suspects.ts';
import { type ReportFunction, type SummaryFunction, startTelling } from './telling.ts';

export { acceptUnderFreeId } from './free-id.ts';
export { createSuspects } from './suspects.ts';
export type { Report, Reportable, ReportFunction, ReportSubject, Summarized, SummaryFunction } from './telling.ts';

const DEFAULT_MEMORY = 64 * 1024 * 1024;

type Submitter = {
  readonly mailServer: boolean;
  /** Addresses of the From field. */
  readonly authors: readonly string[];
  /** A machine has written it as an answer or a report: RFC 3834 §5. */
  readonly automatic: boolean;
};

type AddRequest = {
  readonly message: NewMessage;
  readonly limits?: AcceptRequest['limits'];
  readonly grant?: AcceptRequest['grant'];
  /** Who hands it in. The queue does nothing with it: it is for those who watch the behaviour of logins. */
  readonly submitter?: Submitter;
  /** Removes the content from the disk. Called after a rejection, once the store is known to hold nothing of the message; never rejects. */
  readonly discard?: () => Promise<void>;
};
type AddResult =
  /** `id`: what it is stored under; another one than the message had where a message has that. */
  | {
      readonly accepted: true;
      readonly id: string;
      readonly held: boolean;
      readonly use: readonly LimitUse[];
      readonly exceeded?: LimitUse;
    }
  | { readonly accepted: false; readonly exceeded: LimitUse; readonly use: readonly LimitUse[] }
  | { readonly accepted: false; readonly denied: Denial; readonly content: Content }
  /** Mail of this login is not taken now. Nothing was stored. */
  | { readonly accepted: false; readonly reply: Reply };

export type Queue = {
  /**
   * Resolves when the message is synced, or refused over a limit; a first attempt is under way by then where there was room.
   * Rejects when the store fails: answer 451. The bytes of an inline content are gone for the caller, and a spooled one goes by
   * `discard`. Where it is refused over a limit or denied, the caller discards.
   */
  add(request: AddRequest): Promise<AddResult>;
  /** Bytes of bodies in memory that the store has not answered for yet. */
  storing(): number;
  /** Something changed from outside (a command, SIGHUP): look at the store now. */
  wake(): void;
  reload(schedule: Schedule): void;
  /** Refuses new claims, then waits for what runs: at most `deadline` ms until the final dots' replies are given up as uncertain. */
  close(deadline: number): Promise<void>;
};

export type QueueOptions = {
  readonly store: MessageStore;
  readonly log: EventLog;
  /** The name of this incarnation of the process: whose claims they are. */
  readonly owner: string;
  readonly deliver: Deliver;
  readonly room: (destination: string) => number;
  readonly onRoom: (listener: (destination: string) => void) => void;
  readonly blockedUntil: (destination: string) => number | undefined;
  /** What has become of providers since the last call. Absent: nothing ever does. */
  readonly shaping?: () => readonly Shaping[];
  /** What outcomes say of addresses. Absent: nothing is kept. */
  readonly suspects?: Pick<Suspects, 'noteOf'>;
  readonly report: ReportFunction;
  readonly summarize: SummaryFunction;
  /** Reports that one sender gets in an hour. */
  readonly reportsPerHour: () => number;
  readonly schedule: Schedule;
  /** The limits of a user whose mail is held over one; undefined: its mail stays. Default: it stays. */
  readonly limitsOf?: (user: string) => Promise<readonly Limit[] | undefined>;
  /** Bytes of bodies waiting for a first attempt; half as much again for what waited in the store. Default: 64 MiB. */
  readonly memory?: number;
  readonly now?: Clock;
  /** The clock of this machine, which shows that it has slept. Default: `now`. */
  readonly wall?: Clock;
  /** Milliseconds that no jump of the clock changes. */
  readonly monotonic?: Clock;
  /** Absent: nobody restores the data while this process runs. */
  readonly restored?: RestoredStore | undefined;
  /** In [0, 1). */
  readonly random?: () => number;
};

export function startQueue(options: QueueOptions): Queue {
  const { store, log, owner, deliver, blockedUntil, memory = DEFAULT_MEMORY } = options;
  const { now = systemClock, monotonic = () => performance.now(), random = Math.random, wall = now } = options;
  let { schedule } = options;
  let storing = 0;
  const settler = createSettler({
    ...{ store, log, schedule: () => schedule, now, monotonic, random, ...(options.shaping && { shaping: options.shaping }) },
    ...(options.suspects && { suspects: options.suspects }),
    onRetry: (at) => runner.expect(at),
    onReturned: (destination, at) => runner.handedBack(destination, at),
    onUntold: (due) => telling.kick(due),
  });
  const attempts = createAttempts({ owner, deliver, settle: settler.settle, log });
  const promises = createPromises(options.room);
  const room = createRoom(memory, promises);
  const stopped = () => attempts.closing;
  const lost = createLostAnswers({ store, log, now, stopped, onGivenBack: () => runner.wake() });
  const heartbeat = startHeartbeat({
    ...{ store, log, owner, now, wall, monotonic, stopped },
    busy: () => attempts.busy,
    onDue: () => runner.wake(),
    onLost: attempts.handBack,
  });
  const runner = startRunner({
    ...{ store, log, lost, attempts, blockedUntil, now, alive: heartbeat.alive },
    room: createRoom(memory / 2, promises),
    horizon: () => horizon(schedule),
    patience: () => patience(schedule),
    settleUntried: settler.settleUntried,
  });
  const telling = startTelling({
    ...{ store, log, now, report: options.report, summarize: options.summarize, perHour: options.reportsPerHour },
    reportLifetime: () => schedule.reportLifetime,
    onReport: runner.announce,
  });
  const overLimit = startOverLimit({
    ...{ store, log, now, limitsOf: options.limitsOf ?? (async () => undefined) },
    giveUp: settler.giveUp,
    onReleased: runner.wake,
  });
  options.onRoom((destination) => runner.roomFor(destination));
  if (options.restored !== undefined) startPuttingBack({ restored: options.restored, log, attempts, stopped });

  async function add({ message, limits, grant, discard = async () => {} }: AddRequest): Promise<AddResult> {
    const plan = attempts.closing || !heartbeat.alive() ? undefined : planFirstAttempts(message, room);
    const { lease, release } = attempts.hold();
    const bytes = bytesOf(message.content);
    storing += bytes;
    try {
      const request: { -readonly [K in keyof AcceptRequest]: AcceptRequest[K] } = {
        message,
        claim: { indexes: plan?.indexes ?? [], lease },
      };
      if (limits !== undefined) request.limits = limits;
      if (grant !== undefined) request.grant = grant;
      const { message: stored, result } = await acceptUnderFreeId(request, {
        store,
        now,
        onLost: ({ id, token = 0 }) => lost.messageLost({ id, token, discard }),
      });
      if (!result.accepted) return result;
      const { held, use, exceeded, content } = result;
      if (held) {
        logHeld(log, stored);
        overLimit.kick();
      } else plan?.begin({ message: stored, content, lease }, { start: attempts.start, announce: runner.announce });
      const added = { accepted: true, id: stored.id, held, use } as const;
      return exceeded === undefined ? added : { ...added, exceeded };
    } finally {
      storing -= bytes;
      plan?.release();
      release();
    }
  }

  return {
    add,
    storing: () => storing,
    wake() {
      runner.wake();
      overLimit.kick();
      telling.kick();
    },
    reload(next) {
      schedule = next;
      overLimit.kick();
    },
    async close(deadline) {
      runner.stop();
      heartbeat.close();
      const looked = overLimit.stop();
      await attempts.close(deadline, settler.close);
      await telling.close();
      await looked;
    },
  };
}

function logHeld(log: EventLog, { id, recipients }: NewMessage): void {
  for (const { address } of recipients) log.emit('held', { queueId: id, recipient: address });
}
