/** Mail as a relay has it after a day: much that arrived, some that waits, a destination that rests, and text of strangers who mean no good. */
import type { AttemptRecord, NewMessage, RecipientState, Store } from '../../src/store/store.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/system/clock.ts';
import { credentialWith } from './credential.ts';
import { newMessage, settle } from './store-rig.ts';

/** Turns the direction of what follows, and hides a character. */
export const HOSTILE = '<script>alert(1)</script> \u202egnp.exe\u200b';

type Sent = {
  readonly user: string | null;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  /** ms before now. */
  readonly ago: number;
  /** For each recipient. */
  readonly outcomes: readonly Outcome[];
};
type Outcome = readonly [state: RecipientState, reply: string];

const OK: Outcome = ['relayed', '250 2.0.0 Ok: queued as 4F2K9'];
const BUSY: Outcome = ['delayed', '451 4.7.500 Server busy, please try again later'];
const GREY: Outcome = ['delayed', '450 4.2.0 Greylisted, see http://postgrey.example/help'];
const UNKNOWN: Outcome = ['failed', '550 5.1.1 The email account that you tried to reach does not exist'];

const SENT: readonly Sent[] = [
  {
    user: 'shop',
    from: 'noreply@shop.example',
    to: ['anna@alpha.example'],
    subject: 'Invoice 4711',
    ago: 40 * SECOND,
    outcomes: [OK],
  },
  {
    ...{ user: 'exchange', from: 'max@corp.example', to: ['anna@alpha.example', 'bob@beta.example', 'eve@gamma.example'] },
    ...{ subject: 'Offer for the new building', ago: 4 * MINUTE, outcomes: [OK, GREY, UNKNOWN] },
  },
  {
    user: 'shop',
    from: 'noreply@shop.example',
    to: ['mallory@delta.example'],
    subject: HOSTILE,
    ago: 7 * MINUTE,
    outcomes: [['failed', `554 5.7.1 ${HOSTILE}`]],
  },
  {
    user: 'printer',
    from: 'scan@corp.example',
    to: ['office@corp-partner.example'],
    subject: 'Scan from floor 3',
    ago: 12 * MINUTE,
    outcomes: [['held', '']],
  },
  ...Array.from(
    { length: 24 },
    (_, at): Sent => ({
      ...{ user: at % 3 === 0 ? 'exchange' : 'shop', from: at % 3 === 0 ? 'lisa@corp.example' : 'noreply@shop.example' },
      ...{
        to: [`customer${at}@outlook.example`],
        subject: `Order ${8300 + at} has been shipped`,
        ago: 20 * MINUTE + at * 4 * MINUTE,
      },
      outcomes: [at % 4 === 1 ? BUSY : OK],
    }),
  ),
];

/** @returns the messages, the newest first. */
export async function fillMail(store: Store, now = Date.now()): Promise<readonly NewMessage[]> {
  const messages: NewMessage[] = [];
  for (const name of ['exchange', 'shop', 'printer'])
    await store.credentials.add(credentialWith({ name, hash: '', createdAt: now }));
  for (const sent of SENT.toReversed()) messages.unshift(await send(store, sent, now - sent.ago));
  await fillActivity(store, now);
  return messages;
}

async function send(store: Store, { user, from, to, subject, outcomes }: Sent, at: number): Promise<NewMessage> {
  const origin = { ip: user === 'printer' ? '192.0.2.41' : '192.0.2.40', tls: 'TLSv1.3', mechanism: 'LOGIN', subject };
  const message = newMessage({
    user,
    reversePath: from,
    to: [...to],
    acceptedAt: at,
    expiresAt: at + 5 * DAY,
    origin,
    messageId: `<${at}@corp.example>`,
  });
  await store.messages.accept({ message });
  for (const [n, [state, reply]] of outcomes.entries()) {
    if (state === 'held') await store.messages.hold({ ids: [message.id] }, at);
    else
      await settle(store, {
        messageId: message.id,
        at: at + 400,
        changes: [
          {
            n,
            state,
            lastReply: reply,
            attempt: attempt(to[n]!, state, reply, at + 400),
            ...(state === 'delayed' ? { nextAttemptAt: at + 3 * HOUR } : {}),
          } as never,
        ],
      });
  }
  return message;
}

function attempt(recipient: string, state: RecipientState, reply: string, at: number): AttemptRecord {
  const [code = '0', status = ''] = reply.split(' ');
  return {
    ...{
      at,
      mx: `mx1.${recipient.split('@')[1]}`,
      ip: '198.51.100.25',
      tls: 'TLSv1.3',
      outcome: state as AttemptRecord['outcome'],
    },
    ...{ code: Number(code), status, reply, seconds: 0.42 },
  };
}

async function fillActivity({ activity }: Store, now: number): Promise<void> {
  const refusal = { until: now, count: 1, ip: '198.51.100.7', reversePath: null, recipient: null };
  await activity.addRefused([
    {
      ...refusal,
      at: now - 3 * MINUTE,
      session: 's1',
      user: 'admin',
      verb: 'AUTH',
      code: 535,
      status: '5.7.8',
      reply: '535 5.7.8 Wrong name or password',
    },
    {
      ...refusal,
      at: now - HOUR,
      count: 41,
      session: 's2',
      ip: '192.0.2.40',
      user: 'shop',
      verb: 'MAIL',
      code: 553,
      status: '5.7.1',
      reply: `553 5.7.1 shop may not send as ${HOSTILE}`,
      reversePath: 'root@web1',
    },
  ]);
  const hour = now - (now % HOUR);
  for (let back = 0; back < 24; back++) {
    const busy = Math.round(60 + 50 * Math.sin(back / 3.5));
    const count = { by: 'user' as const, hour: hour - back * HOUR, name: back % 2 ? 'shop' : 'exchange', bytes: 0 };
    await activity.addHistory([
      { ...count, outcome: 'accepted', count: busy, bytes: busy * 20_000 },
      { ...count, outcome: 'relayed', count: Math.round(busy * 0.93) },
      { ...count, outcome: 'delayed', count: Math.round(busy * 0.06) },
      { ...count, outcome: 'failed', count: back % 5 === 0 ? 2 : 0 },
      { ...count, outcome: 'refused', count: back % 7 === 0 ? 3 : 0 },
    ]);
  }
}
