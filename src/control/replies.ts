/** What receivers have said, and what it means: known replies, the operator's own lines, and the general rules. */
import type { ReplyJudgement, ReplyPhase } from '../delivery/delivery.ts';
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

export type ReplyControl = {
  /** @returns a function for many replies: the files are read once. Rejects if the operator's file has mistakes, or there is no such phase. */
  explainer(): Promise<(query: ReplyQuery) => WholeExplanation>;
};

const PHASES: readonly ReplyPhase[] = ['greeting', 'ehlo', 'tls', 'auth', 'mail', 'rcpt', 'data'];

/** @param settings undefined: the replies of the release, without a relay. */
export function createReplyControl({ settings }: { readonly settings: () => ReplySettings | undefined }): ReplyControl {
  return {
    async explainer() {
      const { formatAction, judgeReply, loadReplies, parseReplyText } = await import('../delivery/delivery.ts');
      const { hostname, delivery } = settings() ?? { hostname: '', delivery: { source: [], replies: undefined } };
      const replies = readable(() => loadReplies(delivery.replies));
      const own = { ownAddresses: delivery.source, ownNames: [hostname] };
      return ({ provider, phase = 'rcpt', text }) => {
        const judged = judgeReply({
          ...{ provider, phase: phaseOf(phase), reply: parseReplyText(text), replies, ...own },
        });
        const { class: found, action, sure, origin, scope: about } = judged;
        return { provider: provider ?? null, class: found, action: formatAction(action), sure, origin, about };
      };
    },
  };
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
