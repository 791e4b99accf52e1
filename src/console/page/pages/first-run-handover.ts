/** Between the questions and the relay: the console closes, the relay opens its own at the same address, and the session goes on. */
import { useEffect, useState } from 'preact/hooks';
import type { ApiVisitor } from '../../api/session.ts';
import { html } from '../html.ts';
import { type PageSession, pageSession } from '../session.ts';
import { t } from '../texts.ts';
import { FIRST_RUN } from '../url.ts';

const EVERY = 500;
/** A relay is there within seconds. After so many looks the reader is told where to look. */
const PATIENCE = 40;

export function Handover({ start }: { readonly start: 'service' | 'here' }) {
  const [looks, count] = useState(0);
  useEffect(() => {
    const timer = setTimeout(async () => {
      const found = await sessionOfRelay();
      if (found === undefined) return count(looks + 1);
      if (found === null) return pageSession.set(null);
      location.replace(FIRST_RUN); // loaded anew, from the relay and with its name, for the steps that a relay has
    }, EVERY);
    return () => clearTimeout(timer);
  }, [looks]);
  return html`<div class="step" role="status">
    <p>${t('firstRun.starting')}</p>
    ${
      looks > PATIENCE &&
      html`<p class="warn"><span class="sign" aria-hidden="true">▲</span> ${t(start === 'service' ? 'firstRun.lateService' : 'firstRun.lateHere')}</p>
      ${location.protocol === 'https:' && html`<p>${t('firstRun.newCertificate')} <a href="/first-run">${t('firstRun.openAgain')}</a></p>`}`
    }
  </div>`;
}

/** undefined: nobody answers yet, or still the console of the questions. null: the relay asks for a login. */
async function sessionOfRelay(): Promise<PageSession | null | undefined> {
  const response = await fetch('/api/v1/session', { headers: { accept: 'application/json' } }).catch(() => undefined);
  if (response?.ok !== true) return undefined;
  const found = (await response.json()) as ApiVisitor;
  if (!found.signedIn) return null;
  return found.firstRun ? undefined : found;
}
