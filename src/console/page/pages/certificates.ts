/** The certificates that clients see, and when the relay renews them. */
import { api, relayNow } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import {
  byCommand,
  copyButton,
  emptyNote,
  factList,
  failureNote,
  loadingNote,
  mark,
  pageHead,
  strange,
  when,
} from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { tellDone } from '../parts/toast.ts';
import { mayAs } from '../session.ts';
import { t } from '../texts.ts';

/** `GET /certificates` */
type Certificate = {
  readonly keyType: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly renewAt: string | null;
  readonly renewReason: string;
  readonly lastError: string | null;
  /** In hex. */
  readonly sha256: string;
};

const DAY = 86_400_000;
/** Days of which the page warns. */
const FEW = 14;

export function CertificatesPage() {
  const { value, failure, again } = useLoad<{ readonly items: readonly Certificate[] }>('/certificates', { every: 10_000 });
  const renew = () =>
    askDanger({
      title: t('certificates.renew.ask'),
      what: t('certificates.renew.says'),
      button: t('certificates.renew'),
      act: async () => {
        await api.post('/certificates/renew', {});
        tellDone(t('certificates.renewing'));
        await again();
      },
    });
  return html`
    ${pageHead(t('page.certificates'), mayAs('operator') && html`<button onClick=${renew}>${t('certificates.renew')}</button>`)}
    <p class="about">${t('certificates.intro')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('certificates.empty'))}
    <div class="cards">${value?.items.map(card)}</div>
    ${byCommand('smarthost cert show', 'smarthost cert renew')}
  `;
}

const card = ({
  keyType,
  names,
  issuer,
  notBefore,
  notAfter,
  renewAt,
  renewReason,
  lastError,
  sha256,
}: Certificate) => html`<section class="panel" key=${keyType}>
  <h2>${t('certificates.key', { type: keyType.toUpperCase() })}</h2>
  <p>${leftMark(Date.parse(notAfter))}</p>
  ${lastError !== null && html`<p class="warn"><span class="sign" aria-hidden="true">▲</span> <b>${t('certificates.trouble')}</b>: ${strange(lastError)}</p>`}
  ${factList([
    [t('certificates.names'), html`<ul class="list">${names.map((name) => html`<li>${strange(name)}</li>`)}</ul>`],
    [t('certificates.issuer'), strange(issuer)],
    [t('certificates.begins'), when(notBefore)],
    [t('certificates.ends'), when(notAfter)],
    [
      t('certificates.renews'),
      html`${when(renewAt)} <span class="dim">${t('certificates.because')} ${strange(renewReason)}</span>`,
    ],
    [t('certificates.fingerprint'), html`<code class="print">${sha256}</code> ${copyButton(sha256)}`],
  ])}
</section>`;

function leftMark(end: number) {
  const days = Math.floor((end - relayNow()) / DAY);
  if (end <= relayNow()) return mark('bad', t('certificates.over'));
  return mark(days < FEW ? 'wait' : 'good', t('certificates.left', { count: days }), days < FEW ? '▲' : '✓');
}
