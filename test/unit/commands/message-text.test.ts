/** What `trace` says of an attempt's TLS: how it was verified, and whether REQUIRETLS was kept. RFC 8689. */
import { expect, test } from 'vitest';
import { describeMessage } from '../../../src/commands/message-text.ts';
import type { TracedAttempt, TracedMessage } from '../../../src/control/control.ts';

const AT = '2026-11-28T10:00:00.000Z';
const ATTEMPT: TracedAttempt = {
  ...{ at: AT, mx: 'mx.a.test', ip: '192.0.2.1', tls: 'TLSv1.3', outcome: 'relayed' },
  ...{ code: 250, status: '2.0.0', reply: 'Ok', seconds: 0.1 },
};
const described = (attempt: Partial<TracedAttempt>, message: Partial<TracedMessage> = {}) =>
  describeMessage({
    ...{ id: '1m8', messageId: '<1@a.test>', user: 'anna', reversePath: 'anna@b.test', size: 10, acceptedAt: AT },
    ...{ signatures: [], about: null, ...message },
    recipients: [
      {
        ...{ recipient: 'a@a.test', state: 'relayed', nextAttemptAt: null, expiresAt: AT, lastReply: null },
        attempts: [{ ...ATTEMPT, ...attempt }],
      },
    ],
  });

test.each<readonly [Partial<TracedAttempt>, string]>([
  [{ tls: null, assurance: 'clear' }, '[192.0.2.1] in clear in 0.1 s'],
  [{ assurance: 'tls' }, 'TLSv1.3 in 0.1 s'],
  [{ assurance: 'dane', proof: 'TLSA 3 1 1 00… of mx.a.test' }, 'TLSv1.3 (dane: TLSA 3 1 1 00… of mx.a.test) in'],
  [{ assurance: 'sts', proof: 'issued by CN=R1', policyId: '7' }, 'TLSv1.3 (sts: issued by CN=R1, policy 7) in'],
  [{ assurance: 'verify', proof: 'issued by CN=R1\r\nx' }, 'TLSv1.3 (verify: issued by CN=R1'],
  [{ judged: { class: 'no-such-user', action: 'fail+suppress', phase: 'rcpt', rules: '7' } }, ' [no-such-user: fail+suppress]'],
])('an attempt worth %j: %s', (attempt, shown) => {
  expect(described(attempt)).toContain(shown);
});

test('where REQUIRETLS was not kept because the operator says so, the attempt says that; a report never does', () => {
  const said = 'without the protection of REQUIRETLS, as an entry of `destinations` says';
  expect(described({ assurance: 'encrypt' }, { requireTls: true })).toContain(said);
  expect(described({ assurance: 'required' }, { requireTls: true })).not.toContain(said);
  expect(described({ assurance: 'encrypt' })).not.toContain(said);
  expect(described({ assurance: 'tls' }, { requireTls: true, reversePath: '' })).not.toContain(said);
});
