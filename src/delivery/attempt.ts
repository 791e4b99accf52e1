/** One attempt for one message: up to five addresses, two sessions, until every recipient has a verdict. RFC 5321 §5.1. */
import type { StoredRecipient } from '../store/store.ts';
import type { Cache } from '../system/cache.ts';
import type { Aborts } from './aborts.ts';
import type { Connection } from './connection.ts';
import type { Letter } from './envelope-commands.ts';
import type { Targets } from './plan.ts';
import type { Pool } from './pool.ts';
import { isUsable, openSession, type Session, type SessionContext, type Target } from './session.ts';
import { type TransactionResult, transact } from './transaction.ts';
import type { Transcript } from './transcript.ts';
import { type AboutUs, judgeReturned, type PaceEffect, type Verdict } from './verdict.ts';

export type AttemptContext = {
  readonly pool: Pool;
  readonly session: SessionContext;
  readonly aborts: Aborts;
  /** Addresses that could not be connected to a short while ago. */
  readonly unreachable: Cache<string, true>;
  readonly eightBit: 'send' | 'return';
  /** Attempts under way, so that the last ones can be ended. */
  readonly live: Set<{ stop(reason: unknown): void }>;
};

export type Job = {
  readonly letter: Letter;
  readonly recipients: readonly StoredRecipient[];
  readonly targets: Targets;
  readonly signal: AbortSignal;
  /** Takes down the conversations, which have a connection of their own then. */
  readonly transcript?: Transcript | undefined;
};

/** A verdict, and where it was given. */
export type Result = {
  readonly verdict: Verdict;
  readonly target?: Target;
  readonly tls?: string | undefined;
  /** The host has taken over the DSN parameters. */
  readonly dsn: boolean;
};

const NOT_TRIED: Result = { verdict: stopped(), dsn: false };

/** Sessions that came as far as a greeting. */
const MAX_SESSIONS = 2;
/** behaviour rule 17 */
const MAX_RECIPIENTS = 50;

/** One result per recipient, in their order. */
export async function attempt(job: Job, context: AttemptContext): Promise<readonly Result[]> {
  const { recipients, targets } = job;
  const results: Result[] = recipients.map(() => NOT_TRIED);
  const conversation = new Conversation(job, context);
  try {
    await tryTargets(job, conversation, results);
    if (!conversation.stopped) await tryOtherFamily(job, conversation, results);
  } finally {
    conversation.end();
  }
  if (!results.includes(NOT_TRIED)) return results;
  const verdict = conversation.stopped ? stopped() : targets.problem();
  return results.map((result) => (result === NOT_TRIED ? { verdict, dsn: false } : result));
}

async function tryTargets({ targets }: Job, conversation: Conversation, results: Result[]): Promise<void> {
  let open = results.map((_, i) => i);
  let sessions = 0;
  while (open.length > 0 && sessions < MAX_SESSIONS && !conversation.stopped) {
    const target = await targets.next();
    if (target === undefined) break;
    const { reached, given } = await conversation.with(target, open);
    if (reached) sessions++;
    for (const [at, i] of open.entries()) results[i] = given[at]!;
    open = open.filter((i) => results[i]!.verdict.tryNext);
  }
}

/** Some receivers refuse one address family and not the other: a first refusal by policy (5.7.z) is asked about once more. */
async function tryOtherFamily({ recipients, targets }: Job, conversation: Conversation, results: Result[]): Promise<void> {
  const refused = recipients.flatMap((recipient, i) => {
    const { kind, reply } = results[i]!.verdict;
    return kind === 'failed' && reply.status.startsWith('5.7.') && recipient.attempts === 0 ? [i] : [];
  });
  const before = refused.length === 0 ? undefined : results[refused[0]!]!.target;
  const other = before && targets.otherFamily(before);
  if (other === undefined) return;
  const { given } = await conversation.with(other, refused);
  for (const [at, i] of refused.entries()) {
    const { kind } = given[at]!.verdict;
    if (kind === 'relayed' || kind === 'uncertain') results[i] = given[at]!;
  }
}

/** What this attempt does with hosts, and how it is stopped. */
class Conversation {
  readonly #job: Job;
  readonly #context: AttemptContext;
  readonly #forget: () => void;
  /** The message has been tried before. */
  readonly #later: boolean;
  #stopped = false;
  #connection: Connection | undefined;
  #session: Session | undefined;

  constructor(job: Job, context: AttemptContext) {
    this.#job = job;
    this.#context = context;
    this.#later = job.recipients.every(({ attempts }) => attempts > 0);
    this.#forget = context.aborts.on(job.signal, () => this.stop(job.signal.reason));
    this.#stopped = job.signal.aborted; // while addresses were looked up
    context.live.add(this);
  }

  /** @param chosen indexes of recipients. `reached`: the host has said something. */
  async with(target: Target, chosen: readonly number[]): Promise<{ reached: boolean; given: readonly Result[] }> {
    const { recipients, letter } = this.#job;
    const given: Result[] = [];
    let session = this.#job.transcript === undefined ? this.#context.pool.take(target) : undefined;
    for (let begin = 0; begin < chosen.length; begin += MAX_RECIPIENTS) {
      const group = chosen.slice(begin, begin + MAX_RECIPIENTS).map((i) => recipients[i]!);
      let verdicts = session === undefined ? 'stale' : await this.#send(session, letter, group);
      if (verdicts === 'stale') {
        const opened = await this.#open(target);
        if ('verdict' in opened) {
          const result = { verdict: opened.verdict, target, tls: opened.tls, dsn: false };
          return { reached: opened.reached || begin > 0, given: [...given, ...chosen.slice(begin).map(() => result)] };
        }
        session = opened;
        verdicts = await this.#send(session, letter, group);
      }
      const { tls, extensions } = session!;
      if (verdicts !== 'stale') for (const verdict of verdicts) given.push({ verdict, target, tls, dsn: extensions.dsn });
      if (begin + MAX_RECIPIENTS < chosen.length && isUsable(session!)) continue;
      if (this.#job.transcript !== undefined) session!.worn = true;
      this.#context.pool.give(session!);
      session = undefined;
    }
    return { reached: true, given };
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  end(): void {
    this.#forget();
    this.#context.live.delete(this);
  }

  async #open(target: Target) {
    if (this.#stopped) return { verdict: stopped(), reached: false, tls: undefined };
    const { session: context, unreachable } = this.#context;
    const { transcript } = this.#job;
    const begun = (connection: Connection) => {
      this.#connection = connection;
      connection.transcript = transcript;
      transcript?.note(`connecting to ${target.mx} [${target.ip}] port ${target.port}`);
    };
    const opened = await openSession(target, context, { later: this.#later, begun });
    if (unreachable.size > 0 || 'verdict' in opened)
      remember(unreachable, target, 'verdict' in opened && !opened.reached && opened.verdict.pace !== 'none');
    return opened;
  }

  async #send(session: Session, letter: Letter, group: readonly StoredRecipient[]): Promise<TransactionResult> {
    if (this.#stopped) return group.map(stopped);
    this.#session = session;
    this.#connection = session.connection;
    const verdicts = await transact(session, letter, group, this.#context.eightBit);
    this.#session = undefined;
    this.#connection = undefined;
    // What is refused in clear may be welcome under TLS: the next attempt begins with it.
    if (session.standing.tls === 'failed' && verdicts !== 'stale' && verdicts.some(({ about }) => about === 'us')) {
      session.worn = true;
      this.#context.session.encryption.forgetFailure(session.target.tls, session.target.ip);
    }
    return verdicts;
  }

  /** What has sent its final dot waits for the reply, unless there is no time left for that. */
  stop(reason: unknown): void {
    this.#stopped = true;
    const committed = this.#session?.committed === true;
    if (committed && reason !== 'now') return;
    this.#connection?.destroy({ kind: 'aborted', stage: committed ? 'dot' : 'MAIL', detail: 'the relay stops' });
  }
}

/** What the attempt says about the host set: one host that takes mail is enough. */
export function effectOf(results: readonly Result[]): { effect: PaceEffect; reason: string } {
  for (const effect of ['clean', 'block', 'slow', 'alive'] as const) {
    const result = results.find(({ verdict }) => verdict.pace === effect);
    if (result !== undefined) return { effect, reason: result.verdict.reply.text };
  }
  return { effect: 'none', reason: '' };
}

function remember(unreachable: Cache<string, true>, { ip }: Target, failed: boolean): void {
  if (failed) unreachable.set(ip, true);
  else unreachable.delete(ip);
}

function stopped(): AboutUs {
  return judgeReturned('4.3.2', 'The relay is shutting down');
}
