/** A reporter whose preparation keeps what it is given, unsigned. */

import { createEventLog } from '../../src/events/events.ts';
import type { Reportable, ReportSubject } from '../../src/queue/queue.ts';
import { createReporter, createSummarizer, type ReporterOptions } from '../../src/report/report.ts';
import type { Outcome } from '../../src/smtp/outcome.ts';
import { createLog, type LogFields } from '../../src/system/log.ts';
import { failed, message, recipient } from './queue-rig.ts';

export const NOW = Date.UTC(2026, 10, 21, 12, 0, 0);
const encoder = new TextEncoder();

export function subject(
  rest: Partial<ReportSubject> = {},
  text = 'From: a@example.net\r\nSubject: Hi\r\n\r\nsecret body\r\n',
): ReportSubject {
  const { recipients: _, ...facts } = message([], { acceptedAt: NOW - 3_600_000 });
  return { ...facts, content: { kind: 'inline', bytes: encoder.encode(text) }, ...rest };
}

export function change(
  address: string,
  rest: Partial<Omit<Reportable, 'recipient'>> & { recipient?: Partial<Reportable['recipient']> } = {},
): Reportable {
  const stored = { n: 0, state: 'active', attempts: 0, nextAttemptAt: null, lastReply: null, delayReported: false } as const;
  const { recipient: own = {}, ...others } = rest;
  return { action: 'failed', outcome: failed, ...others, recipient: { ...recipient(address), ...stored, ...own } };
}

export function outcome(kind: Outcome['kind'], code: number, status: string, text: string): Outcome {
  const where = { mx: 'mx.example.org', ip: '192.0.2.25', tls: 'TLSv1.3', seconds: 1.5 };
  return { kind, reply: { code, status, text }, dsnPassedOn: false, ...where } as Outcome;
}

export function startReporter(options: { refuse?: () => Error | undefined } = {}) {
  const events: { event: string; fields: LogFields }[] = [];
  const log = createEventLog(createLog({ level: 'debug', format: 'json', write: () => {} }), ({ event, fields }) => {
    events.push({ event, fields });
  });
  const requests: { kind: string; bytes: Buffer }[] = [];
  const reporting: ReporterOptions = {
    hostname: 'relay.example.net',
    from: 'postmaster@relay.example.net',
    reportLifetime: 86_400_000,
    destinationOf: (_, address) => address.slice(address.lastIndexOf('@') + 1),
    signs: () => true,
    log,
    now: () => NOW,
    preparation: {
      start({ kind }) {
        const chunks: Buffer[] = [];
        return {
          write: (chunk) => void chunks.push(chunk),
          abort: async () => {},
          async finish() {
            const error = options.refuse?.();
            if (error !== undefined) throw error;
            const bytes = Buffer.concat(chunks);
            requests.push({ kind, bytes });
            const content = { kind: 'inline', bytes: new Uint8Array(bytes) } as const;
            const facts = { messageId: '<x@relay.example.net>', signatures: ['s._domainkey.relay.example.net'] };
            const eightBit = bytes.some((byte) => byte > 127);
            return {
              content,
              size: bytes.length,
              ...facts,
              bareNewlines: false,
              needsSmtpUtf8: false,
              eightBit,
              tlsOptional: false,
              fromDomains: [],
              broughtBy: [],
              automatic: true,
            };
          },
        };
      },
    },
  };
  return { report: createReporter(reporting), summarize: createSummarizer(reporting), events, requests };
}
