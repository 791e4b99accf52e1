/** The first run: seven steps from an empty machine to the first mail. Whoever sees it has an account already. */
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { relayName } from '../api.ts';
import { useCell } from '../cell.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, failureNote, loadingNote, pageHead } from '../parts/basics.ts';
import { pageSession } from '../session.ts';
import { type TextKey, t } from '../texts.ts';
import { AccountStep } from './first-run-account.ts';
import { CertificateStep } from './first-run-certificate.ts';
import { ClientStep } from './first-run-client.ts';
import { DomainsStep } from './first-run-domains.ts';
import { MachineStep } from './first-run-machine.ts';
import { MailStep } from './first-run-mail.ts';
import type { FirstRunState, StepProps } from './first-run-state.ts';
import { WayOutStep } from './first-run-way-out.ts';

const STEPS = ['account', 'machine', 'domains', 'certificate', 'wayOut', 'client', 'mail'] as const;
type StepName = (typeof STEPS)[number];

export function FirstRunPage() {
  return useCell(pageSession)?.firstRun ? h(Questions, {}) : h(FirstMail, {});
}

/** Before there is a configuration. It begins at the first step without an answer. */
function Questions() {
  const { value, failure, again } = useLoad<FirstRunState>('/first-run');
  const [step, go] = useState<StepName>();
  if (value === undefined) return html`${head('account')}${failure ? failureNote(failure, again) : loadingNote()}`;
  const at = step ?? firstOpen(value);
  const props: StepProps = {
    state: value,
    async done() {
      await again();
      go(STEPS[STEPS.indexOf(at) + 1]);
    },
    back: at === 'account' ? undefined : () => go(STEPS[STEPS.indexOf(at) - 1]),
  };
  return html`${head(at, go)} ${h(BODIES[at as keyof typeof BODIES] ?? WayOutStep, { key: at, ...props })} ${byCommand('smarthost init')}`;
}

const BODIES = {
  account: AccountStep,
  machine: MachineStep,
  domains: DomainsStep,
  certificate: CertificateStep,
  wayOut: WayOutStep,
};

function firstOpen({ answers }: FirstRunState): StepName {
  if (answers.hostname === undefined) return 'account';
  if (answers.domains === undefined) return 'domains';
  return answers.acceptTerms === undefined ? 'certificate' : 'wayOut';
}

/** While a relay runs: the client, and its first mail. */
function FirstMail() {
  const [message, follow] = useState<string>();
  const [step, go] = useState<StepName>('client');
  const sent = (id: string) => {
    follow(id);
    go('mail');
  };
  return html`${head(step, go)} ${step === 'client' ? h(ClientStep, { sent, skip: () => go('mail') }) : h(MailStep, { id: message, sent: follow })}
  ${byCommand('smarthost user add NAME', 'smarthost client NAME', 'smarthost send --to ADDRESS')}`;
}

/** @param go absent: no step can be chosen yet. */
function head(at: StepName, go?: (step: StepName) => void) {
  return h(StepHead, { at, go });
}

/** After each step a reader begins at its title. */
function StepHead({ at, go }: { readonly at: StepName; readonly go: ((step: StepName) => void) | undefined }) {
  useEffect(() => {
    document.querySelector<HTMLElement>('main h1')?.focus();
    scrollTo(0, 0);
  }, [at]);
  const now = STEPS.indexOf(at);
  const isRelay = now >= STEPS.indexOf('client');
  return html`<p class="brand"><b>smarthost</b> <span>${relayName()}</span></p>
  <ol class="steps" aria-label=${t('firstRun.steps')}>
    ${STEPS.map((step, i) => {
      const mayGo = go !== undefined && i < now && (!isRelay || i >= STEPS.indexOf('client'));
      const words = html`<span class="sign" aria-hidden="true">${i < now ? '✓' : i + 1}</span> ${t(titleOf(step))}`;
      return html`<li class=${i < now ? 'past' : i === now ? 'now' : ''} aria-current=${i === now ? 'step' : undefined}>
        ${mayGo ? html`<button type="button" class="quiet" onClick=${() => go(step)}>${words}</button>` : words}
      </li>`;
    })}
  </ol>
  ${pageHead(t(titleOf(at)))}`;
}

const titleOf = (step: StepName) => `firstRun.${step}` as TextKey;
