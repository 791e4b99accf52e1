/** What a thread of sessions remembers of the policies that the main thread has. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { createRemotePolicies } from '../../../src/relay/threads/remote.ts';

const POLICY = { policy: { id: '1', text: 'version: STSv1' } };

function policies(known: Record<string, object>) {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const asked: string[] = [];
  const call = async (name: string, [domain]: [string]) => {
    asked.push(`${name} ${domain}`);
    return name === 'heal' ? { changed: false, isCurrent: true } : (known[domain] ?? {});
  };
  return { asked, known, remote: createRemotePolicies({ call } as unknown as Parameters<typeof createRemotePolicies>[0]) };
}

test('that a domain has no policy is asked once in some seconds', async () => {
  const { asked, known, remote } = policies({});
  for (let i = 0; i < 3; i++) expect(await remote.policyFor('a.example')).toEqual({});
  expect(asked).toEqual(['policyFor a.example']);
  known['a.example'] = POLICY;
  vi.advanceTimersByTime(9_000);
  expect(await remote.policyFor('a.example')).toEqual({});
  vi.advanceTimersByTime(2_000); // the time of what is remembered does not begin anew with each use
  expect(await remote.policyFor('a.example')).toEqual(POLICY);
});

test('a policy, and that it is not known, are asked for each attempt', async () => {
  const { asked, remote } = policies({ 'b.example': POLICY, 'c.example': { isUnknown: true } });
  for (let i = 0; i < 2; i++) {
    expect(await remote.policyFor('b.example')).toEqual(POLICY);
    expect(await remote.policyFor('c.example')).toEqual({ isUnknown: true });
  }
  expect(asked).toHaveLength(4);
});

test('after a failure the domain is asked for anew', async () => {
  const { asked, known, remote } = policies({});
  await remote.policyFor('d.example');
  known['d.example'] = POLICY;
  await remote.heal('d.example');
  expect(await remote.policyFor('d.example')).toEqual(POLICY);
  expect(asked).toEqual(['policyFor d.example', 'heal d.example', 'policyFor d.example']);
});
