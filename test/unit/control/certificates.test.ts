/** An operator renews certificates, on a real store. */
import { expect, test } from 'vitest';
import { testControl } from '../../support/control.ts';

test('no authority is asked before its terms are accepted', async () => {
  const { control, store, told, set } = await testControl();
  const conflict = expect.objectContaining({ name: 'ControlError', kind: 'conflict', subject: 'certificate' });
  await expect(control.certificates.renew()).rejects.toEqual(conflict);
  expect(await store.operation.values('certificate.')).toEqual([]);
  set({ tls: { mode: 'acme', acme: { acceptTerms: true } } });
  expect(await control.certificates.renew()).toEqual({ requested: true });
  expect(await store.operation.values('certificate.')).toHaveLength(1);
  expect(told()).toEqual(['value:certificate.request']);
  expect(await control.certificates.list()).toEqual([]);
});
