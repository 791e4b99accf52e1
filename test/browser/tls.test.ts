/** TLS with other servers, as an operator looks at it and changes it, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { answered, inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

const RUA = 'mailto:tls@dest.test';

async function fill({ tlsPolicies, tlsResults }: Store): Promise<void> {
  const now = Date.now();
  await tlsPolicies.putStsPolicy(
    {
      ...{ domain: 'dest.test', id: '1', mode: 'testing', maxAge: 86_400, mx: ['mx.dest.test'], text: 'version: STSv1\n' },
      ...{ fetchedAt: now - HOUR, expiresAt: now + DAY, usedAt: now, refreshAt: null },
      ...{ failures: 0, failedAt: null, lastError: null },
      ...{ retryId: null, retryAt: null },
    },
    'relay',
  );
  await tlsResults.addTlsReports({
    ...{ day: Math.floor(now / DAY) - 1, domain: 'dest.test', at: now },
    reports: [{ rua: RUA, reportId: 'r1', state: 'skipped', lastError: 'nobody listens there' }],
  });
}

inBrowser(
  'TLS',
  () => startConsoleRelay({ prepare: fill }),
  (console) => {
    test('what would happen to mail for a domain is said in one sentence, with its servers', async () => {
      await using visit = await console().open('operator', { expected: [answered(422, '/api/v1/tls/check')] });
      const { page } = visit;
      await page.goto('/tls');
      await page.getByLabel('Domain').fill('no domain');
      await page.getByRole('button', { name: 'Look', exact: true }).click();
      await page.locator('.fault:not(:empty)').first().waitFor();
      await page.getByLabel('Domain').fill('dest.test');
      await page.getByRole('button', { name: 'Look', exact: true }).click();
      await page.getByText('Mail would be sent.').waitFor();
      await page.getByRole('heading', { level: 3, name: 'mx.dest.test' }).waitFor();
    });

    test('a policy is forgotten after a question, and one that cannot be fetched says why', async () => {
      await using visit = await console().open('operator', { expected: [answered(409, '/api/v1/tls/policies/')] });
      const { page } = visit;
      await page.goto('/tls?view=policies');
      await page.getByRole('button', { name: 'Forget: dest.test' }).click();
      await page.getByRole('dialog').getByText('the domain has no policy here').waitFor();
      await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click();
      await page.getByText('No policy was fetched yet.').waitFor();
      await page.getByRole('button', { name: 'Fetch a policy' }).click();
      await page.getByRole('dialog').getByLabel('Domain').fill('dest.test');
      await page.getByRole('dialog').getByRole('button', { name: 'Fetch now' }).click();
      await page.getByRole('dialog').getByText('No policy could be fetched: dest.test announces no policy').waitFor();
    });

    test('reports to an address are stopped, and a report that cannot be sent says why', async () => {
      await using visit = await console().open('operator', { expected: [answered(404, '/api/v1/tls/reports/')] });
      const { page } = visit;
      await page.goto('/tls?view=reports');
      const row = page.getByRole('row').filter({ hasText: RUA });
      await row.getByText('nobody listens there').waitFor();
      await row.getByRole('button', { name: /^Send now/ }).click();
      await page.getByText(/^No session with dest\.test was counted/).waitFor();
      await row.getByRole('button', { name: /^Stop/ }).click();
      await page.getByRole('dialog').getByText('No report goes to this address for 30 days.').waitFor();
      await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
      await page.getByText(`No reports go to ${RUA} for 30 days.`).waitFor();
      await page.goto('/tls?view=failures');
      await page.getByText('No failure in the last 7 days.').waitFor();
      expect(new URL(page.url()).searchParams.get('view')).toBe('failures');
    });
  },
);
