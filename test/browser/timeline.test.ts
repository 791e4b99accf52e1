/** A message in the browser tells what `smarthost trace --json` tells, field by field. */
import { expect, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { DAY, HOUR, SECOND } from '../../src/system/clock.ts';
import { inBrowser } from '../support/browser.ts';
import { commandsIn } from '../support/command.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { newMessage, put, settle } from '../support/store-rig.ts';

const ACCEPTED = Date.now() - HOUR;
const REPLY = '450-4.2.0 Greylisted,  see\n450 4.2.0 http://grey.example/?id=<4F2K9>&x=é';
const ids: string[] = [];

/** Each field that a trace can have, in one of two messages. */
async function prepare(store: Store) {
  const origin = { ip: '203.0.113.9', tls: 'TLSv1.2', mechanism: 'LOGIN', subject: 'Offer <b>1</b>' };
  const times = { acceptedAt: ACCEPTED, expiresAt: ACCEPTED + 5 * DAY };
  const whole = newMessage({
    ...{ ...times, user: 'exchange', reversePath: 'max@corp.example', messageId: '<offer.1@corp.example>', size: 49_152 },
    ...{ to: ['anna@alpha.example', 'bob@beta.example'], origin, requireTls: true, tlsOptional: true, recorded: true },
    signatures: ['s1._domainkey.corp.example'],
  });
  const judged = { class: 'greylisted', action: 'delay', provider: 'google', phase: 'rcpt', rules: '2026-11-20' };
  const host = { mx: 'mx1.alpha.example', ip: '198.51.100.25', tls: 'TLSv1.3', seconds: 0.42 };
  const worth = { assurance: 'sts', proof: 'a public authority', policyId: '20261101T000000', via: 'fallback' };
  const first = {
    ...host,
    at: ACCEPTED + 4 * SECOND,
    outcome: 'delayed',
    code: 450,
    status: '4.2.0',
    reply: REPLY,
    judged,
  } as const;
  const second = { ...host, at: ACCEPTED + HOUR / 2, outcome: 'relayed', code: 250, status: '2.0.0', seconds: 1.5 } as const;
  const ok = { ...second, ...worth, reply: 'Ok: queued as ⟦4F2K9⟧', conversation: '0.001 < 220 mx1 ESMTP\n0.002 > EHLO relay' };
  const noHost = {
    ...first,
    mx: null,
    ip: null,
    tls: null,
    code: 451,
    status: '4.4.1',
    reply: 'no host could be reached',
  } as const;
  await put(store, whole);
  const due = { nextAttemptAt: ACCEPTED + 3 * HOUR };
  const delayed = { n: 0, state: 'delayed', lastReply: REPLY, attempt: first, ...due } as const;
  const waits = { n: 1, state: 'delayed', lastReply: 'another than of the attempt', attempt: noHost, ...due } as const;
  await settle(store, { messageId: whole.id, at: first.at, changes: [delayed, waits] });
  await settle(store, {
    ...{ messageId: whole.id, at: second.at },
    changes: [{ n: 0, state: 'relayed', lastReply: ok.reply, attempt: ok }],
  });
  const own = newMessage({ ...times, user: null, reversePath: '', to: ['eve@gamma.example'] });
  await put(store, own);
  await store.messages.hold({ ids: [own.id] }, ACCEPTED);
  ids.push(whole.id, own.id);
}

type Json = { readonly [key: string]: any };
/** As the page says a value: a part of its text, or the time of a `<time>`. */
type Told = { readonly text: string } | { readonly time: string } | 'nothing';
const text = (value: unknown): Told => ({ text: String(value) });
const time = (value: unknown): Told => (value === null ? 'nothing' : { time: String(value) });
const or = (words: string) => (value: unknown) => text(value ?? words);

const STATES: Json = { relayed: 'relayed', delayed: 'delayed', held: 'held', queued: 'queued' };
const MESSAGE: Readonly<Record<string, (value: any) => Told>> = {
  ...{ id: text, messageId: text, subject: text, acceptedAt: time },
  reversePath: (value) => text(value === '' ? '<> (a report)' : value),
  user: or('smarthost'),
  size: (value: number) => text(`(${value.toLocaleString('en-GB')} octets)`),
  client: ({ ip, tls, mechanism }) => text(`${ip} · ${tls} · ${mechanism}`),
  requireTls: () => text('It must be encrypted all the way.'),
  tlsOptional: () => text('It may leave without TLS.'),
};
const RECIPIENT: typeof MESSAGE = {
  ...{ recipient: text, nextAttemptAt: time },
  state: (value: string) => text(STATES[value]),
  lastReply: (value) => (value === null ? 'nothing' : text(value)),
};
const ATTEMPT: typeof MESSAGE = {
  ...{ at: time, mx: or('no host'), tls: or('no TLS'), via: text, outcome: text, proof: text, policyId: text, status: text },
  ...{ code: text, reply: text },
  ip: (value) => (value === null ? 'nothing' : text(`[${value}]`)),
  assurance: () => text('the certificate was checked as the MTA-STS policy demands'),
  judged: (it) => text(`${it.class} → ${it.action} (${it.provider}, at ${it.phase}, by the rules ${it.rules})`),
  seconds: (value: number) => text(value < 1 ? `${value * 1000}ms` : `${value}s`),
  conversation: (lines: string[]) => text(`${lines.join('\n')}\n`),
};

type Part = { readonly text: string; readonly times: readonly string[] };

/** Each field is in the part, and a field that the table does not know fails. */
function expectTold(part: Part, fields: Json, table: typeof MESSAGE, where: string) {
  for (const [name, value] of Object.entries(fields)) {
    const told = table[name]?.(value);
    expect(told, `${where}: the page has no ${name}`).toBeDefined();
    if (told === undefined || told === 'nothing') continue;
    if ('time' in told) expect(part.times, `${where}: ${name}`).toContain(told.time);
    else expect(part.text, `${where}: ${name}`).toContain(told.text);
  }
}

inBrowser(
  'the timeline',
  () => startConsoleRelay({ prepare }),
  (console) => {
    test('each field of trace --json is in the page, replies byte for byte, and the proof has what a colleague needs', async () => {
      await using visit = await console().open('operator');
      const { page } = visit;
      const partOf = async (where: string): Promise<Part[]> =>
        page.locator(where).evaluateAll((all) =>
          all.map((one) => ({
            text: one.textContent ?? '',
            times: [...one.querySelectorAll('time')].map((at) => at.dateTime),
          })),
        );
      const { dataDir, file } = console().relay;
      const trace = async (id: string) => {
        const { out } = await commandsIn(dataDir)(['trace', id, '--json', '--config', file]);
        return JSON.parse(out)[0] as Json & { readonly recipients: Json[] };
      };
      const seen = new Set<string>();
      for (const id of ids) {
        const { recipients, ...message } = await trace(id);
        await page.goto(`/messages/${id}`);
        await page.getByRole('list', { name: 'What became of it' }).waitFor();
        const [whole] = await partOf('main');
        expectTold(whole!, message, MESSAGE, id);
        const parts = await partOf('main section:has(> .line > h2)');
        expect(parts).toHaveLength(recipients.length);
        for (const [n, { attempts, expiresAt, ...recipient }] of recipients.entries()) {
          expectTold(parts[n]!, recipient, RECIPIENT, recipient.recipient);
          expect(whole!.times).toContain(expiresAt);
          const lines = await partOf(`main section:has(> .line > h2) >> nth=${n} >> .attempts > li`);
          expect(lines).toHaveLength(attempts.length);
          for (const [i, attempt] of attempts.entries()) {
            expectTold(lines[i]!, attempt, ATTEMPT, `${recipient.recipient} ${i + 1}`);
            for (const name of Object.keys(attempt)) seen.add(name);
          }
        }
        for (const name of [...Object.keys(message), ...Object.keys(recipients[0]!)]) seen.add(name);
      }
      const notSeen = [...Object.keys(MESSAGE), ...Object.keys(RECIPIENT), ...Object.keys(ATTEMPT)].filter(
        (name) => !seen.has(name),
      );
      expect(notSeen).toEqual([]);

      await page.goto(`/messages/${ids[0]}`);
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await page.getByRole('button', { name: 'Copy as proof' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      const proof = await page.evaluate(() => navigator.clipboard.readText());
      const utc = (at: string) => at.replace('T', ' ').replace('Z', ' UTC');
      const { recipients, ...message } = await trace(ids[0]!);
      const { id, messageId, acceptedAt, client } = message;
      for (const one of [id, messageId, utc(acceptedAt), client.ip, client.tls]) expect(proof).toContain(one);
      for (const { recipient, attempts } of recipients) {
        expect(proof).toContain(`To: <${recipient}>`);
        for (const { at, mx, ip, tls, code, status, reply } of attempts) {
          const host = mx === null ? 'no host' : `${mx} [${ip}]`;
          const said = reply.startsWith(String(code)) ? reply : `${code} ${status} ${reply}`;
          expect(proof).toContain(`${utc(at)}  ${host}  ${tls ?? 'no TLS'}  ${said}`);
        }
      }
    });
  },
);
