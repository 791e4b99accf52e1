/** One attempt for one message: up to five addresses, two sessions, until every recipient has a verdict. RFC 5321 §5.1. */
import type { Reply } from '../smtp/reply.ts';
import type { StoredRecipient } from '../store/store.ts';
import { onAbort } from '../system/abort.ts';
import type { Cache } from '../system/cache.ts';
import type { Assurance } from '../tls-policy/tls-policy.ts';
import type { Connection } from './connection.ts';
import type { Letter } from './envelope-commands.ts';
import type { Place, Places } from './places.ts';
import type { Targets } from './plan.ts';
import type { Kept } from './pool.ts';
import { type DeliverySession, isUsable, type NoSession, openSession, type SessionContext, type Target } from './session.ts';
import { type Judged, type TransactionResult, transact } from './transaction.ts';
import type { Transcript } from './transcript.ts';
import { hasHadItsTurn } from './upstream-slots.ts';
import { endPatience, type PaceEffect, STOPPED, type Verdict } from './verdict.ts';

export type AttemptContext = {
  readonly kept: Kept;
  readonly places: Pick<Places, 'makeRoom' | 'slots'>;
  readonly session: SessionContext;
  /** Addresses that could not be connected to a short while ago. */
  readonly unreachable: Cache<string, true>;
  readonly eightBit: 'send' | 'return';
  /** Attempts under way, so that the last ones can be ended. */
  readonly live: Set<{ stop(reason: unknown): void }>;
};

type Job = {
  readonly queueId: string;
  /** The key of the host set. */
  readonly hosts: string;
  readonly place: Place;
  readonly letter: Letter;
  readonly recipients: readonly StoredRecipient[];
  readonly targets: Targets;
  readonly signal: AbortSignal;
  /** Takes down the conversations, which have a connection of their own then. */
  readonly transcript?: Transcript | undefined;
};

/** A verdict, and where it was given. */
export type AttemptResult = {
  readonly verdict: Verdict;
  readonly target?: Target;
  readonly tls?: string | undefined;
  readonly assurance?: Assurance | undefined;
  readonly proof?: string | undefined;
  /** The host has taken over the DSN parameters. */
  readonly dsn: boolean;
  /** What IPv6 did not do for this recipient, and IPv4 did. */
  readonly ipv6?: {
    readonly sign: 'refused' | 'failed';
    readonly source: string | undefined;
    readonly provider: string | undefined;
  };
  /** An earlier connection to the host took so many messages and wanted no more. */
  readonly cap?: number;
};

const NOT_TRIED: AttemptResult = { verdict: STOPPED, dsn: false };

/** Sessions that came as far as a greeting. */
const MAX_SESSIONS = 2;
/** behaviour rule 17 */
const MAX_RECIPIENTS = 50;

/** One result per recipient, in their order. */
export async function attempt(job: Job, context: AttemptContext): Promise<readonly AttemptResult[]> {
  const { recipients, targets } = job;
  const results: AttemptResult[] = recipients.map(() => NOT_TRIED);
  const conversation = new Conversation(job, context);
  try {
    await tryTargets(job, conversation, results);
    if (!conversation.stopped && !results.every(isRelayed)) await tryOtherFamily(job, conversation, results);
  } finally {
    conversation.end();
  }
  const refusal = conversation.stopped ? undefined : targets.refusal();
  if (refusal !== undefined) {
    const { code, status, text: reply } = refusal.reply;
    context.session.log.emit('requireTlsFailed', { queueId: job.queueId, code, status, reply });
    return results.map((result) => (isOpen(result) ? { ...result, verdict: refusal } : result));
  }
  if (!results.includes(NOT_TRIED)) return results;
  const verdict = conversation.stopped ? STOPPED : targets.problem();
  return results.map((result) => (result === NOT_TRIED ? { verdict, dsn: false } : result));
}

const isRelayed = ({ verdict }: AttemptResult) => verdict.kind === 'relayed';

function withCap(result: AttemptResult, cap: number | undefined): AttemptResult {
  return cap === undefined ? result : { ...result, cap };
}

/** Nothing was decided about the message. */
function isOpen(result: AttemptResult): boolean {
  return result === NOT_TRIED || (result.verdict.about === 'us' && result.verdict.tryNext);
}

async function tryTargets({ targets }: Job, conversation: Conversation, results: AttemptResult[]): Promise<void> {
  let open = results.map((_, i) => i);
  let sessions = 0;
  while (open.length > 0 && sessions < MAX_SESSIONS && !conversation.stopped) {
    const target = await targets.next();
    if (target === undefined) break;
    const { reached, given } = await conversation.with(target, open);
    if (reached) sessions++;
    for (const [at, i] of open.entries()) results[i] = afterIpv6(results[i]!, given[at]!);
    open = open.filter((i) => results[i]!.verdict.tryNext);
  }
}

/** Some receivers refuse one address family and not the other: a first refusal by policy (5.7.z) is asked about once more. */
async function tryOtherFamily({ recipients, targets }: Job, conversation: Conversation, results: AttemptResult[]): Promise<void> {
  const refused = recipients.flatMap((recipient, i) => {
    const { kind, reply, judgement } = results[i]!.verdict;
    if (judgement?.action.verb === 'family') return [i];
    return kind === 'failed' && reply.status.startsWith('5.7.') && recipient.attempts === 0 ? [i] : [];
  });
  const before = refused.length === 0 ? undefined : results[refused[0]!]!.target;
  const other = before && (await targets.otherFamily(before));
  if (other === undefined) return;
  const { given } = await conversation.with(other, refused);
  for (const [at, i] of refused.entries()) {
    const { kind } = given[at]!.verdict;
    if (kind === 'relayed' || kind === 'uncertain') results[i] = afterIpv6(results[i]!, given[at]!);
  }
}

/** The result with what the attempt before it says about IPv6, if IPv4 has delivered now. */
function afterIpv6(before: AttemptResult, now: AttemptResult): AttemptResult {
  const { target, verdict } = before;
  const known = before.ipv6 ?? (target?.family === 6 ? signOf(verdict, target) : undefined);
  if (known === undefined) return now;
  return now.verdict.kind === 'relayed' && now.target?.family === 6 ? now : { ...now, ipv6: known };
}

function signOf({ kind, reply, pace, judgement }: Verdict, { source, provider }: Target): AttemptResult['ipv6'] {
  const isRefused = /^[45]\.7\./.test(reply.status) && judgement !== undefined && reply.code >= 500;
  const isUnreached = kind === 'delayed' && judgement === undefined && pace === 'block' && reply.status === '4.4.1';
  if (!isRefused && !isUnreached) return undefined;
  return { sign: isRefused ? 'refused' : 'failed', source, provider };
}

/** Indexes of recipients that share a transaction. */
type Group = { readonly indexes: readonly number[]; readonly bare: boolean };

function groupsOf(chosen: readonly number[]): Group[] {
  const groups: Group[] = [];
  for (let begin = 0; begin < chosen.length; begin += MAX_RECIPIENTS) {
    groups.push({ indexes: chosen.slice(begin, begin + MAX_RECIPIENTS), bare: false });
  }
  return groups;
}

/** Transactions that follow at once. They come to an end: `bare` comes once, and `next` only where this one has delivered. */
function followers({ indexes, bare }: Group, judged: readonly Judged[]): Group[] {
  const again = (wanted: Judged['again']) => indexes.filter((_, at) => judged[at]!.again === wanted);
  const groups: Group[] = [{ indexes: again('next'), bare }];
  if (!bare) groups.push({ indexes: again('bare'), bare: true });
  return groups.filter((group) => group.indexes.length > 0);
}

/** What this attempt does with hosts, and how it is stopped. */
class Conversation {
  readonly #job: Job;
  readonly #context: AttemptContext;
  readonly #forget: () => void;
  /** The message has been tried before. */
  readonly #later: boolean;
  #stopped = false;
  /** While it waits for a slot. */
  #inLine: AbortController | undefined;
  #connection: Connection | undefined;
  #session: DeliverySession | undefined;

  constructor(job: Job, context: AttemptContext) {
    this.#job = job;
    this.#context = context;
    this.#later = job.recipients.every(({ attempts }) => attempts > 0);
    this.#forget = onAbort(job.signal, () => this.stop(job.signal.reason));
    this.#stopped = job.signal.aborted; // while addresses were looked up
    context.live.add(this);
  }

  /** @param chosen indexes of recipients. `reached`: the host has said something, and is one that mail may go to. */
  async with(target: Target, chosen: readonly number[]): Promise<{ reached: boolean; given: readonly AttemptResult[] }> {
    /** By the index of the recipient. */
    const given: AttemptResult[] = [];
    const results = () => chosen.map((i) => given[i]!);
    const groups = groupsOf(chosen);
    let session = this.#kept(target);
    let cap: number | undefined;
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      let judged = session === undefined ? 'stale' : await this.#send(session, group);
      while (judged === 'stale') {
        cap = session?.cap ?? cap;
        const opened = await (target.isLimited === true ? this.#openLimited(target) : this.#open(target));
        if ('verdict' in opened) {
          const result = { verdict: opened.verdict, target, tls: opened.tls, dsn: false };
          // A host that does not meet a policy is as good as none: RFC 8461 §8.4.
          const reached = (opened.reached && opened.unmet === undefined) || given.length > 0;
          for (const i of [group, ...groups].flatMap(({ indexes }) => indexes)) given[i] = result;
          return { reached, given: results() };
        }
        session = opened;
        judged = await this.#send(session, group);
      }
      const { tls, extensions, assurance, proof } = session!;
      const dsn = extensions.dsn && !group.bare;
      for (const [at, i] of group.indexes.entries())
        given[i] = withCap({ verdict: judged[at]!.verdict, target, tls, assurance, proof, dsn }, cap);
      if (judged.some(({ again }) => again !== undefined)) groups.unshift(...followers(group, judged));
      if (groups.length > 0 && isUsable(session!)) continue;
      if (this.#job.transcript !== undefined) session!.worn = true;
      if (target.isLimited === true && hasHadItsTurn(session!.connection.openedAt)) session!.worn = true;
      this.#context.kept.give(session!, this.#job.hosts);
      session = undefined;
    }
    return { reached: true, given: results() };
  }

  /** A session that is kept to this host, if it may have another message. */
  #kept(target: Target): DeliverySession | undefined {
    const { kept } = this.#context;
    if (this.#job.transcript !== undefined) return undefined;
    const session = kept.take(target);
    if (session === undefined || target.perConnection === undefined) return session;
    session.most = target.perConnection;
    if (isUsable(session)) return session;
    kept.give(session, this.#job.hosts);
    return undefined;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  end(): void {
    this.#forget();
    this.#context.live.delete(this);
  }

  /** With a slot, which is given back when all of its connections are closed; or one that is kept and has its slot. */
  async #openLimited(target: Target): Promise<DeliverySession | NoSession> {
    const { slots } = this.#context.places;
    for (let insists = false; !this.#stopped; insists = true) {
      this.#inLine = new AbortController();
      const slot = await slots.take(this.#job.hosts, { signal: this.#inLine.signal, insists });
      this.#inLine = undefined;
      if (slot === 'kept') {
        const session = this.#kept(target);
        if (session !== undefined) return session;
      } else if ('verdict' in slot) return { verdict: slot.verdict, reached: false };
      else {
        const closed: Promise<void>[] = [];
        try {
          return await this.#open(target, (connection) => closed.push(connection.closed));
        } finally {
          void Promise.all(closed).then(() => slots.give(slot));
        }
      }
    }
    return { verdict: STOPPED, reached: false };
  }

  async #open(target: Target, also?: (connection: Connection) => void): Promise<DeliverySession | NoSession> {
    const { session: context, unreachable, places } = this.#context;
    const { transcript, place } = this.#job;
    // A slot counts the sessions that wait, and more exactly.
    if (target.isLimited !== true) await places.makeRoom(place);
    if (this.#stopped) return { verdict: STOPPED, reached: false };
    const begun = (connection: Connection) => {
      this.#connection = connection;
      also?.(connection);
      connection.transcript = transcript;
      transcript?.note(`connecting to ${target.mx} [${target.ip}] port ${target.port}`);
    };
    const opened = await openSession(target, context, { later: this.#later, begun });
    if (unreachable.size > 0 || 'verdict' in opened)
      remember(unreachable, target, 'verdict' in opened && !opened.reached && opened.verdict.pace !== 'none');
    return opened;
  }

  async #send(session: DeliverySession, { indexes, bare }: Group): Promise<TransactionResult> {
    if (this.#stopped) return indexes.map(() => ({ verdict: STOPPED }));
    const { recipients, letter } = this.#job;
    this.#session = session;
    this.#connection = session.connection;
    const members = indexes.map((i) => recipients[i]!);
    const judged = await transact(session, letter, members, { eightBit: this.#context.eightBit, bare });
    this.#session = undefined;
    this.#connection = undefined;
    const refusal =
      judged === 'stale' ? undefined : judged.find(({ verdict }) => verdict.about === 'us' && verdict.refusal === true)?.verdict;
    if (refusal !== undefined) this.#refused(session, refusal.reply);
    if (judged === 'stale') return judged;
    return judged.map((one, at) => {
      const { attempts, excused = 0 } = members[at]!;
      return { ...one, verdict: endPatience(one.verdict, attempts - excused) };
    });
  }

  /** The host takes no mail in this session, whatever the mail. */
  #refused(session: DeliverySession, { code, status, text: reply }: Reply): void {
    const { target, tls = null, standing } = session;
    const { log, encryption } = this.#context.session;
    const { mx, ip } = target;
    session.worn = true;
    // What is refused in clear may be welcome under TLS: the next attempt begins with it.
    if (standing.tls === 'failed') encryption.forgetFailure(target.tls, ip);
    const fields = { queueId: this.#job.queueId, mx, ip, tls, code, status, reply };
    if (standing.upstream) log.emit('upstreamRefused', fields);
    else log.emit('sessionRefused', fields);
  }

  /** What has sent its final dot waits for the reply, unless there is no time left for that. */
  stop(reason: unknown): void {
    this.#stopped = true;
    this.#inLine?.abort();
    const committed = this.#session?.committed === true;
    if (committed && reason !== 'now') return;
    this.#connection?.destroy({ kind: 'aborted', stage: committed ? 'dot' : 'MAIL', detail: 'the relay stops' });
  }
}

/** What the attempt says about the host set: one host that takes mail is enough. */
export function effectOf(results: readonly AttemptResult[]): { effect: PaceEffect; reason: string } {
  for (const effect of ['clean', 'block', 'slow', 'sender', 'alive'] as const) {
    const result = results.find(({ verdict }) => verdict.pace === effect);
    if (result !== undefined) return { effect, reason: result.verdict.reply.text };
  }
  return { effect: 'none', reason: '' };
}

function remember(unreachable: Cache<string, true>, { ip }: Target, failed: boolean): void {
  if (failed) unreachable.set(ip, true);
  else unreachable.delete(ip);
}
