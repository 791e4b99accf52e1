/** A failure because of us never ends a recipient: real deliveries to hosts that follow generated scripts. */
import fc from 'fast-check';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createDns } from '../../src/dns/dns.ts';
import type { Outcome } from '../../src/smtp/outcome.ts';
import { MINUTE } from '../../src/system/clock.ts';
import { startRig, startScripted } from '../support/delivery-rig.ts';
import { startMx } from '../support/mx.ts';
import type { MxAction, MxContext, MxScript } from '../support/mx-server.ts';
import { makePair, type Pair } from '../support/pair.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await makePair('mx0.good.test');
});

const TIMEOUTS = { connect: 500, greeting: 500, command: 500, data: 500, block: 500, dot: 500 };
const LATER = { recipient: { attempts: 1 } };

const refusal: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(421, 450, 451, 454, 500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555, 571),
    fc.constantFrom('', '0.0 ', '1.1 ', '4.5 ', '5.1 ', '7.0 ', '7.1 ', '7.4 ', '7.10 '),
    fc.constantFrom('No', 'Must issue a STARTTLS command first', 'No such user', 'Relay access denied', 'Greylisted'),
  )
  .map(([code, rest, text]) => `${code} ${rest === '' ? '' : `${Math.floor(code / 100)}.${rest}`}${text}`);
const trouble: fc.Arbitrary<MxAction> = fc.oneof(
  { weight: 5, arbitrary: refusal },
  fc.constant<MxAction>('close'),
  fc.constant<MxAction>({ raw: 'this is no reply\r\n' }),
  refusal.map((reply): MxAction => ({ reply, thenClose: true })),
);
const maybe = fc.option(trouble, { nil: undefined, freq: 2 });

/** Delivers one message in four attempts, with time for the host set to recover in between. */
async function kindsOf(script: MxScript): Promise<readonly string[]> {
  let now = Date.now();
  const { relay } = await startScripted(script, { host: { tls: pair }, delivery: { timeouts: TIMEOUTS, now: () => now } });
  const kinds: string[] = [];
  for (let i = 0; i < 4; i++) {
    for (const { kind } of await relay.send(['a@good.test', 'b@good.test'], i === 0 ? {} : LATER)) kinds.push(kind);
    now += 20 * MINUTE;
  }
  await relay.close();
  return kinds;
}

test('no reply before MAIL ends a recipient', { timeout: 60_000 }, async () => {
  const stage = fc.constantFrom('greeting', 'EHLO', 'STARTTLS', 'handshake');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(stage, trouble), { minLength: 1, maxLength: 3 }), async (entries) => {
      expect(await kindsOf(Object.fromEntries(entries))).not.toContain('failed');
    }),
    { numRuns: 25 },
  );
});

test('no reply without TLS ends a recipient if the offered STARTTLS had failed', {
  timeout: 60_000,
}, async () => {
  const inClear = (action: MxAction) => (context: MxContext) => (context.tls ? undefined : action);
  await fc.assert(
    fc.asyncProperty(
      fc.record({ stumble: fc.constantFrom('STARTTLS', 'handshake'), MAIL: maybe, RCPT: maybe, DATA: maybe, message: maybe }),
      async ({ stumble, MAIL, RCPT, DATA, message }) => {
        const script = { MAIL: inClear(MAIL), RCPT: inClear(RCPT), DATA: inClear(DATA), message: inClear(message) };
        const broken = stumble === 'STARTTLS' ? '454 4.7.0 Not now' : 'close';
        expect(await kindsOf({ ...script, [stumble]: broken })).not.toContain('failed');
      },
    ),
    { numRuns: 25 },
  );
});

test('no reply of an upstream that refuses our login ends a recipient', { timeout: 60_000 }, async () => {
  const entry = fc.constantFrom(
    '530 5.7.0 Log in first',
    '535 5.7.8 Wrong',
    '534 5.7.9 Too weak',
    '538 5.7.11 Encryption needed',
    '550 5.7.1 Relaying denied',
    '554 5.7.1 <a@any.test>: Relay access denied',
    '550 5.7.57 Client not authenticated',
    '553 5.7.1 Sender address rejected: not logged in',
    '503 5.5.1 AUTH first',
    '502 5.5.1 What?',
  );
  const stages = fc.constantFrom('AUTH', 'MAIL', 'RCPT', 'DATA');
  await fc.assert(
    fc.asyncProperty(stages, entry, fc.boolean(), async (stage, refusal, withLogin) => {
      const login = { user: 'us@up.test', password: 'secret' };
      const up = await startMx({
        address: '127.0.4.1',
        hostname: 'up.test',
        tls: pair,
        auth: login,
        script: { [stage]: refusal },
      });
      onTestFinished(() => up.close());
      const routes = [{ hosts: [`127.0.4.1:${up.port}`], tls: 'encrypt' as const, ...(withLogin ? { login } : {}) }];
      const { relay } = await startRig({ delivery: { routes, timeouts: TIMEOUTS } });
      for (const message of [{}, LATER]) {
        for (const { kind } of await relay.send(['a@any.test', 'b@any.test'], message))
          expect(['delayed', 'returned']).toContain(kind);
      }
      await relay.close();
    }),
    { numRuns: 20 },
  );
});

test('a block of our address returns no mail: another host gets it, or it waits, and the operator is told', async () => {
  const blocked = '554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example.test';
  for (const stage of ['MAIL', 'RCPT', 'DATA', 'message']) {
    const { relay, hosts } = await startRig({ hosts: [{ script: { [stage]: blocked } }, {}] });
    expect(await relay.send(['a@good.test', 'b@good.test'])).toMatchObject([
      { kind: 'relayed', mx: 'mx1.good.test' },
      { kind: 'relayed' },
    ]);
    expect(relay.events.filter(({ event }) => event === 'sessionRefused')).toMatchObject([
      { fields: { mx: 'mx0.good.test', reply: expect.stringContaining('blocked using') } },
    ]);
    hosts[1]!.script({ [stage]: blocked });
    expect(await relay.send('c@good.test')).toMatchObject([{ kind: 'delayed', reply: { code: 554, status: '4.7.1' } }]);
    await relay.close();
  }
});

test('no failure of our own look-ups ends a recipient', { timeout: 60_000 }, async () => {
  const faults = ['servfail', 'refused', 'timeout', 'cut', 'garbage', 'wrong-id'] as const;
  const suffer = async (fault: (typeof faults)[number]) => {
    const zone = {
      'a.test': { MX: ['10 mx0.good.test'], fault },
      'b.test': { MX: ['10 mx.b.test'] },
      'mx.b.test': { A: ['127.0.3.1'], fault },
    };
    const { relay } = await startRig({ zone });
    for (const to of ['u@a.test', 'u@b.test']) {
      expect(await relay.send(to), `${fault}, ${to}`).toMatchObject([{ kind: 'delayed', reply: { status: '4.4.3' } }]);
    }
  };
  await Promise.all(faults.map(suffer));
});

test('a resolver that answers nothing holds mail for the operator; a name that it cannot look up does not', {
  timeout: 30_000,
}, async () => {
  for (const fault of ['servfail', 'timeout'] as const) {
    const { relay } = await startRig({ zone: { 'a.test': { MX: ['10 mx0.good.test'], fault } } });
    const [{ kind, ...rest }] = (await relay.send('u@a.test')) as [Outcome];
    expect({ kind, ...rest }).toMatchObject({ kind: 'delayed', reply: { status: '4.4.3' } });
    expect(rest, fault).not.toHaveProperty('waitsForUs');
  }
  const { relay } = await startRig({ delivery: { dns: createDns({ servers: ['127.0.0.1:1'], timeout: 100 }) } });
  expect(await relay.send('u@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.4.3' }, waitsForUs: true }]);
});

test('a source address that this machine does not have delays the mail, and rests no destination', async () => {
  const { relay } = await startRig({ delivery: { source: ['192.0.2.1'] } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.4.1' }, waitsForUs: true }]);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
  relay.reload({ source: [] });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
});
