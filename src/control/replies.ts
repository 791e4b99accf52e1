/** What receivers have said, and what it means: known replies, the operator's own lines, and the general rules. */
import type { ReplyJudgement, ReplyPhase } from '../delivery/delivery.ts';
import type { JudgedReply } from '../smtp/outcome.ts';
import type { StoreData, TracedRefusal } from '../store/store.ts';
import { DAY } from '../system/clock.ts';
import { ControlError } from './control-error.ts';

export type ReplySettings = {
  readonly hostname: string;
  readonly delivery: { readonly replies?: string | undefined; readonly source: readonly string[] };
};

/** `reply explain`. `provider`: as it was asked. `origin`: the line of a file, or the name of a rule. */
type ExplainedReply = {
  readonly provider: string | null;
  readonly class: string;
  readonly action: string;
  readonly sure: boolean;
  readonly origin: string;
};

/** The same with whom it is about, for people. */
export type WholeExplanation = ExplainedReply & { readonly about: ReplyJudgement['scope'] };

type ReplyQuery = { readonly provider?: string | undefined; readonly phase?: string | undefined; readonly text: string };

/** `reply unknown`: replies that no line and no rule knows, by what they have in common. */
type UnknownReply = {
  readonly fingerprint: string;
  readonly count: number;
  readonly mx: string | null;
  readonly example: string;
};

/** `reply replay`: replies that would be taken for something else now. */
export type ChangedReply = {
  readonly count: number;
  readonly provider: string | null;
  readonly reply: string;
  readonly before: { readonly class: string; readonly action: string; readonly rules: string };
  readonly now: { readonly class: string; readonly action: string; readonly rules: string };
};

type ReplyReplay = { readonly refusals: number; readonly changed: readonly ChangedReply[] };

export type ReplyControl = {
  /** @returns a function for many replies: the files are read once. Rejects if the operator's file has mistakes, or there is no such phase. */
  explainer(): Promise<(query: ReplyQuery) => WholeExplanation>;
  /** The most frequent first, of the attempts that the trace has. @param most how many. */
  unknown(most: number): Promise<readonly UnknownReply[]>;
  /** Judges the refusals of the last days again, by the files of now. */
  replay(days: number): Promise<ReplyReplay>;
};

/** Different refusals that are read. A relay has no more, or the rest are single ones. */
const MOST = 50_000;

type ReplyParts = {
  /** Returns undefined where no relay is configured: the replies of the release. */
  readonly settings: () => ReplySettings | undefined;
  /** Only `unknown` and `replay` need it. */
  readonly store?: Pick<StoreData, 'operation'>;
  readonly now?: () => number;
};

const PHASES: readonly ReplyPhase[] = ['greeting', 'ehlo', 'tls', 'auth', 'mail', 'rcpt', 'data'];

export function createReplyControl({ settings, store, now = Date.now }: ReplyParts): ReplyControl {
  async function judge() {
    const { formatAction, judgeReply, loadReplies, parseReplyText } = await import('../delivery/delivery.ts');
    const { hostname, delivery } = settings() ?? { hostname: '', delivery: { source: [], replies: undefined } };
    const replies = readable(() => loadReplies(delivery.replies));
    const own = { ownAddresses: delivery.source, ownNames: [hostname] };
    return ({ provider, phase = 'rcpt', text }: ReplyQuery): WholeExplanation & { readonly rules: string } => {
      const asked = { provider, phase: phaseOf(phase), reply: parseReplyText(text), replies, ...own };
      const { class: found, action, sure, origin, scope: about, rules } = judgeReply(asked);
      return { provider: provider ?? null, class: found, action: formatAction(action), sure, origin, about, rules };
    };
  }

  const refusals = (since: number): Promise<readonly TracedRefusal[]> =>
    store?.operation.refusals(since, MOST) ?? Promise.resolve([]);

  return {
    explainer: judge,
    async unknown(most) {
      const { fingerprintOf, parseReplyText } = await import('../delivery/delivery.ts');
      const found = new Map<string, { fingerprint: string; count: number; mx: string | null; example: string }>();
      for (const { judged, reply, mx, count } of await refusals(0)) {
        if (judgedOf(judged)?.class !== 'unknown') continue;
        const fingerprint = fingerprintOf(parseReplyText(reply));
        const known = found.get(fingerprint);
        if (known === undefined) found.set(fingerprint, { fingerprint, count, mx, example: reply });
        else known.count += count;
      }
      return [...found.values()].sort((a, b) => b.count - a.count).slice(0, most);
    },
    async replay(days) {
      const again = await judge();
      const changed: ChangedReply[] = [];
      let total = 0;
      for (const { judged, reply, count } of await refusals(now() - days * DAY)) {
        const before = judgedOf(judged);
        if (before === undefined) continue;
        total += count;
        const { provider, phase, class: found, action, rules } = before;
        const after = again({ provider, phase, text: reply });
        if (after.class === found && after.action === action) continue;
        const then = { class: after.class, action: after.action, rules: after.rules };
        changed.push({ count, provider: provider ?? null, reply, before: { class: found, action, rules }, now: then });
      }
      return { refusals: total, changed };
    },
  };
}

function judgedOf(json: string | null): JudgedReply | undefined {
  return json === null ? undefined : (JSON.parse(json) as JudgedReply);
}

function phaseOf(word: string): ReplyPhase {
  const phase = PHASES.find((one) => one === word.toLowerCase());
  if (phase !== undefined) return phase;
  throw new ControlError('invalid', 'phase', `There is no phase ${JSON.stringify(word)}: it is one of ${PHASES.join(', ')}.`);
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ControlError('invalid', 'replies', (error as Error).message);
  }
}
