/** A session that has ended is begun again in a dialog above the page, so that nothing typed is lost; the request that found it ended then runs. */
import { h } from 'preact';
import { ApiFailure } from '../api.ts';
import { pageSession } from '../session.ts';
import { t } from '../texts.ts';
import { openDialog } from './dialog.ts';

let pending: Promise<void> | undefined;

/** All requests that find the session ended wait for the same dialog. */
function once(ask: () => Promise<void>): Promise<void> {
  pending ??= ask().finally(() => {
    pending = undefined;
  });
  return pending;
}

async function again(): Promise<void> {
  const name = pageSession.get()?.name;
  if (name === undefined) return pageSession.set(null);
  const { LoginForm } = await import('./login-form.ts');
  const done = await openDialog<true>({
    title: t('login.ended'),
    body: (close) => h(LoginForm, { name, about: t('login.endedAbout'), done: () => close(true) }),
  });
  if (done === undefined) throw new ApiFailure(401, t('login.needed'));
}

async function confirm(): Promise<void> {
  const { ConfirmForm } = await import('./login-form.ts');
  const done = await openDialog<true>({
    title: t('login.confirm'),
    body: (close) => h(ConfirmForm, { done: () => close(true) }),
  });
  if (done === undefined) throw new ApiFailure(403, t('login.confirmNeeded'));
}

export const loginAgain = () => once(again);
export const confirmAgain = () => once(confirm);
