/** What every store promises about providers: their states, the mail that is held for them, refusals of the trace. Run as `store.ts` is. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Shaping, Store } from '../../src/store/store.ts';
import { HOUR } from '../../src/system/clock.ts';
import { delayedAttempt, NOW, newMessage, relayedAttempt } from '../support/store-rig.ts';

type Client = Pick<Store, 'messages' | 'operation'>;
export type ShapingSubject = {
  readonly name: string;
  open(): Promise<{ readonly one: Client; readonly two: Client; close(): Promise<void> }>;
};

const row = (change: Partial<Shaping> = {}): Shaping => ({
  ...{ provider: 'yahoo', source: '192.0.2.1', family: 4, state: 'blocked', since: NOW, until: NOW + 2 * HOUR, step: 1 },
  ...{ sessions: 1, rate: 0.25, learnedCap: null, evidence: '{"cause":{"text":"é"}}' },
  ...change,
});

export function shapingContract({ name, open }: ShapingSubject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return { first: subject.one, second: subject.two };
  }

  let lease = 0;
  async function accepted(client: Client, change: Parameters<typeof newMessage>[0] = {}) {
    const message = newMessage({ to: ['a@x.example'], ...change });
    const claim = { indexes: message.recipients.map((_, n) => n), lease: `p#${++lease}` as const };
    await client.messages.accept({ message, claim });
    return { id: message.id, lease: claim.lease, count: message.recipients.length };
  }

  async function held({ messages }: Client, { id, lease, count }: Awaited<ReturnType<typeof accepted>>, by = 'yahoo') {
    const changes = Array.from({ length: count }, (_, n) => ({
      ...({ n, state: 'delayed', nextAttemptAt: NOW + 2 * HOUR, heldBy: by } as const),
    }));
    await messages.settle({ messageId: id, lease, at: NOW, changes });
  }

  describe(`${name}: providers`, () => {
    test('a state is stored with the result that caused it, and a later one takes its place', async () => {
      const { first, second } = await opened();
      const { id, lease } = await accepted(first);
      const changes = [{ n: 0, state: 'delayed', nextAttemptAt: NOW + HOUR, attempt: delayedAttempt }] as const;
      await first.messages.settle({ messageId: id, lease, at: NOW, changes, shaping: [row(), row({ family: 6, source: '' })] });
      expect(await second.operation.shaping()).toEqual([row({ family: 6, source: '' }), row()]);
      await second.operation.putShaping(row({ state: 'open', learnedCap: 7 }));
      expect(await first.operation.shaping()).toEqual([row({ family: 6, source: '' }), row({ state: 'open', learnedCap: 7 })]);
    });

    test('a state is stored although the recipient was lost to another claim', async () => {
      const { first } = await opened();
      const { id } = await accepted(first);
      const changes = [{ n: 0, state: 'delayed', nextAttemptAt: NOW + HOUR }] as const;
      const settled = await first.messages.settle({ messageId: id, lease: 'other#1', at: NOW, changes, shaping: [row()] });
      expect(settled.lost).toEqual([0]);
      expect(await first.operation.shaping()).toEqual([row()]);
    });

    test('equal refusals of the trace are counted, the most frequent first, since a time', async () => {
      const { first, second } = await opened();
      const judged = { class: 'unknown', action: 'as-today', phase: 'rcpt', rules: '7' };
      const attempts = [{}, { judged }, { judged }, { judged, at: NOW - HOUR }].map((more) => ({ ...delayedAttempt, ...more }));
      for (const attempt of attempts) {
        const { id, lease } = await accepted(first);
        const changes = [{ n: 0, state: 'delayed', nextAttemptAt: NOW + HOUR, attempt }] as const;
        await first.messages.settle({ messageId: id, lease, at: NOW, changes });
      }
      const { mx, code, status, reply } = delayedAttempt;
      const plain = { mx, code, status, reply, judged: null, count: 1 };
      expect(await second.operation.refusals(0, 10)).toEqual([{ ...plain, judged: JSON.stringify(judged), count: 3 }, plain]);
      expect(await second.operation.refusals(delayedAttempt.at, 1)).toEqual([
        { ...plain, judged: JSON.stringify(judged), count: 2 },
      ]);
    });

    test('held mail is counted by provider, and is not due', async () => {
      const { first, second } = await opened();
      await held(first, await accepted(first, { to: ['a@x.example', 'b@x.example'], acceptedAt: NOW - HOUR }));
      await held(first, await accepted(first, { to: ['a@y.example'] }));
      await held(first, await accepted(first, { to: ['a@z.example'] }), 'google');
      await accepted(first);
      expect(await second.messages.heldByProvider()).toEqual([
        { provider: 'google', recipients: 1, oldestAcceptedAt: NOW },
        { provider: 'yahoo', recipients: 3, oldestAcceptedAt: NOW - HOUR },
      ]);
      expect((await first.messages.due(NOW + HOUR, 10)).due).toEqual([]);
      const [message] = await first.messages.list({ domain: 'y.example' });
      expect(message?.recipients).toMatchObject([{ state: 'delayed', heldBy: 'yahoo' }]);
    });

    test('held mail is released in the order of its age, and is held no longer', async () => {
      const { first } = await opened();
      const ids: string[] = [];
      for (let i = 0; i < 3; i++) {
        const message = await accepted(first, { acceptedAt: NOW + i });
        ids.push(message.id);
        await held(first, message);
      }
      const release = (limit: number) => first.messages.releaseHeld({ provider: 'yahoo', limit, probe: false, now: NOW + 10 });
      expect(await release(2)).toEqual(ids.slice(0, 2));
      expect((await first.messages.due(NOW + 10, 10)).due).toEqual([{ destination: 'x.example', nextAttemptAt: NOW + 10 }]);
      expect(await first.messages.heldByProvider()).toMatchObject([{ recipients: 1 }]);
      expect(await release(2)).toEqual(ids.slice(2));
      expect(await release(2)).toEqual([]);
      expect(await first.messages.releaseHeld({ provider: 'google', limit: 1, probe: false, now: NOW })).toEqual([]);
    });

    test('held mail is released one message after the other, with all of its recipients', async () => {
      const { first } = await opened();
      const ids: string[] = [];
      for (let i = 0; i < 3; i++) {
        const message = await accepted(first, { acceptedAt: NOW + i, to: ['a@x.example', 'b@y.example'] });
        ids.push(message.id);
        await held(first, message);
      }
      const next = (after: string) =>
        first.messages.releaseHeld({ provider: 'yahoo', limit: 1, probe: false, now: NOW + 10, after });
      expect(await next('')).toEqual([ids[0]]);
      expect(await first.messages.heldByProvider()).toMatchObject([{ recipients: 4 }]);
      expect(await next(ids[1]!)).toEqual([ids[2]]);
      expect(await next(ids[2]!)).toEqual([]);
      expect(await next('')).toEqual([ids[1]]);
    });

    test('the trace says that another way was taken', async () => {
      const { first, second } = await opened();
      const { id: messageId, lease } = await accepted(first);
      const attempt = { ...relayedAttempt, via: 'fallback' };
      await first.messages.settle({ messageId, lease, at: NOW, changes: [{ n: 0, state: 'relayed', attempt }] });
      expect((await second.messages.get(messageId))?.recipients[0]?.trace).toEqual([attempt]);
    });

    test('a probe is the oldest small message with one recipient', async () => {
      const { first } = await opened();
      await held(first, await accepted(first, { to: ['a@x.example', 'b@x.example'] }));
      await held(first, await accepted(first, { size: 101 * 1024 }));
      const small = await accepted(first, { size: 100 * 1024 });
      await held(first, small);
      await held(first, await accepted(first));
      const request = { provider: 'yahoo', limit: 1, probe: true, now: NOW + 10 };
      expect(await first.messages.releaseHeld(request)).toEqual([small.id]);
    });

    test('a probe is no message of a user that is avoided, though it is the only one', async () => {
      const { first } = await opened();
      const avoided = await accepted(first, { user: 'spammer@x.example' });
      await held(first, avoided);
      const request = { provider: 'yahoo', limit: 1, probe: true, now: NOW + 10, avoid: ['spammer@x.example', 'other'] };
      expect(await first.messages.releaseHeld(request)).toEqual([]);
      const nobodys = await accepted(first, { user: null });
      await held(first, nobodys);
      expect(await first.messages.releaseHeld(request)).toEqual([nobodys.id]);
      expect(await first.messages.releaseHeld({ ...request, probe: false })).toEqual([avoided.id]);
    });

    test('where no held message is small and has one recipient, the oldest one is the probe', async () => {
      const { first } = await opened();
      const oldest = await accepted(first, { to: ['a@x.example', 'b@x.example'] });
      await held(first, oldest);
      await held(first, await accepted(first, { size: 101 * 1024 }));
      const request = { provider: 'yahoo', limit: 1, probe: true, now: NOW + 10 };
      expect(await first.messages.releaseHeld(request)).toEqual([oldest.id]);
    });

    test('a message whose attempt was refused is no probe while another one was tried less', async () => {
      const { first } = await opened();
      const [refused, fresh] = [await accepted(first), await accepted(first)];
      const { id: messageId, lease } = refused;
      const change = { n: 0, state: 'delayed', nextAttemptAt: NOW + HOUR, heldBy: 'yahoo', attempt: delayedAttempt } as const;
      await first.messages.settle({ messageId, lease, at: NOW, changes: [change] });
      await held(first, fresh);
      const release = () => first.messages.releaseHeld({ provider: 'yahoo', limit: 1, probe: true, now: NOW + 10 });
      expect(await release()).toEqual([fresh.id]);
      expect(await release()).toEqual([refused.id]);
    });

    test('mail that has left, or that a command took, is held for nobody', async () => {
      const { first } = await opened();
      const [sent, kept] = [await accepted(first), await accepted(first)];
      await held(first, sent);
      await held(first, kept);
      const changes = [{ n: 0, state: 'relayed', attempt: relayedAttempt }] as const;
      await first.messages.settle({ messageId: sent.id, lease: null, at: NOW, changes });
      await first.messages.hold({ ids: [kept.id] }, NOW);
      expect(await first.messages.heldByProvider()).toEqual([]);
    });
  });
}
