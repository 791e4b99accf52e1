/** A password that is shown once. It is in no address and in no store of the browser. */
import { html } from '../html.ts';
import { copyButton, factList } from '../parts/basics.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

type Made = { readonly name: string; readonly password: string };

export const PasswordOnce = ({ name, password }: Made) => html`<section class="once">
  <h2>${t('credentials.once.title')}</h2>
  <p>${t('credentials.once.says')}</p>
  ${factList([
    [t('credentials.once.user'), html`<code>${name}</code> ${copyButton(name)}`],
    [t('credentials.once.password'), html`<code class="secret">${password}</code> ${copyButton(password)}`],
  ])}
  <p><a class="button main" href="${pathTo('/credentials', name)}?view=client">${t('credentials.once.next')}</a></p>
</section>`;
