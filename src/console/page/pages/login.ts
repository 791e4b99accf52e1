/** Who is not logged in sees this in the place of each page. The address stays, so that the page follows. */
import { h } from 'preact';
import { relayName } from '../api.ts';
import { html } from '../html.ts';
import { pageHead } from '../parts/basics.ts';
import { LoginForm } from '../parts/login-form.ts';
import { t } from '../texts.ts';

export function LoginPage() {
  return html`<div class="narrow login">
    <p class="brand"><b>smarthost</b> <span>${relayName()}</span></p>
    ${pageHead(t('page.login'))} ${h(LoginForm, { about: null })}
  </div>`;
}
