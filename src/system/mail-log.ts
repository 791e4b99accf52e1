/** One function per mail event, so that names and fields are the same wherever they are logged. Never a secret, never content. */
import { type Reply, replyLine } from '../smtp/reply.ts';
import type { Log, LogFields } from './log.ts';

/** What a session is known by. */
export type SessionFacts = { readonly session: string; readonly ip: string; readonly user?: string | undefined };

export type MailLog = ReturnType<typeof createMailLog>;

export type AttemptFacts = {
  readonly queueId: string;
  readonly recipient: string;
  readonly mx?: string | null | undefined;
  readonly ip?: string | null | undefined;
  readonly tls?: string | null | undefined;
  readonly reply: Reply;
  readonly attempt: number;
  readonly seconds: number;
};

/** Host, address and TLS are always named: null where it came not so far, or in clear. */
const judged = ({ reply, mx = null, ip = null, tls = null, ...facts }: AttemptFacts) => ({
  ...facts,
  mx,
  ip,
  tls,
  code: reply.code,
  status: reply.status,
  reply: cap(replyLine(reply)),
});
const cap = (text: string) => (text.length > 1000 ? `${text.slice(0, 1000)}…` : text);

/** @param observe is told each event with its fields, so that metrics count what the log says. */
export function createMailLog(target: Log, observe: (event: string, fields: LogFields) => void = () => {}) {
  const log = observed(target, observe);
  return {
    connected: (facts: { session: string; listener: string; ip: string }) => log.info('connected', facts),
    authenticated: (facts: SessionFacts & { mechanism: string }) => log.info('authenticated', facts),
    authFailed: (facts: SessionFacts & { mechanism: string; reason?: string }) => log.warn('authFailed', facts),
    refused: (
      facts: SessionFacts & {
        verb: string;
        reply: Reply;
        reversePath?: string | undefined;
        recipient?: string | undefined;
        cause?: unknown;
      },
    ) => {
      const { reply, cause, ...rest } = facts;
      const fields = { ...rest, code: reply.code, status: reply.status, reply: cap(replyLine(reply)) };
      if (cause === undefined) log.info('refused', fields);
      else log.error('refused', { ...fields, error: cause });
    },
    bareNewline: (facts: { session: string; queueId: string }) => log.info('bareNewline', facts),
    accepted: (facts: {
      queueId: string;
      session?: string | undefined;
      ip?: string | undefined;
      user: string | null;
      reversePath: string;
      recipients: readonly string[];
      size: number;
      messageId: string;
      signatures: readonly string[];
    }) => log.info('accepted', facts),
    relayed: (facts: AttemptFacts) => log.info('relayed', judged(facts)),
    delayed: (facts: AttemptFacts & { nextAttemptAt: number; uncertain?: boolean }) =>
      log.info('delayed', { ...judged(facts), nextAttemptAt: new Date(facts.nextAttemptAt).toISOString() }),
    failed: (facts: AttemptFacts) => log.info('failed', judged(facts)),
    expired: (facts: { queueId: string; recipient: string }) => log.info('expired', facts),
    removed: (facts: { queueId: string; recipient: string }) => log.info('removed', facts),
    held: (facts: { queueId: string; recipient: string }) => log.info('held', facts),
    released: (facts: { queueId: string; recipient: string }) => log.info('released', facts),
    reported: (facts: { queueId: string; about: string; action: string }) => log.info('reported', facts),
    certificate: (facts: { action: string; keyType: string; notAfter?: string; error?: string; nextAttemptAt?: string }) =>
      facts.error === undefined ? log.info('certificate', facts) : log.warn('certificate', facts),
    event: log,
  };
}

function observed(log: Log, observe: (event: string, fields: LogFields) => void): Log {
  const at =
    (level: 'info' | 'warn' | 'error') =>
    (event: string, fields: LogFields = {}) => {
      observe(event, fields);
      log[level](event, fields);
    };
  return { ...log, info: at('info'), warn: at('warn'), error: at('error') };
}
