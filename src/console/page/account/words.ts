/** Accounts in words, and what their pages share. */
import { html } from '../html.ts';
import { lineList } from '../line-list.ts';
import { copyButton, mark, when } from '../parts/basics.ts';
import type { FormField, FormValues } from '../parts/form.ts';
import type { PageRole } from '../session.ts';
import { rich, t } from '../texts.ts';

/** `GET /accounts` */
export type ConsoleAccountRow = {
  readonly name: string;
  readonly role: PageRole;
  /** Only for readers. null: all mail. */
  readonly credentials: readonly string[] | null;
  readonly disabled: boolean;
  readonly hasPassword: boolean;
  readonly secondFactor: boolean;
  readonly recoveryCodes: number;
  readonly createdAt: string;
  readonly passwordSetAt: string | null;
};

/** A link that sets a password, once. */
export type Invitation = { readonly name: string; readonly code: string; readonly expiresAt: string };

export function accountMark({ disabled, hasPassword }: ConsoleAccountRow) {
  if (disabled) return mark('plain', t('accounts.state.disabled'), '⊘');
  return hasPassword ? mark('good', t('accounts.state.active')) : mark('wait', t('accounts.state.invited'));
}

/** The code stands behind `#`, so that it gets into no log of a server. */
export function linkBox({ name, code, expiresAt }: Invitation) {
  const link = `${location.origin}/#setup=${code}`;
  return html`<section class="once" role="status">
    <h2>${t('accounts.link.title', { name })}</h2>
    <p>${rich('accounts.link.says', { time: when(expiresAt) })}</p>
    <p><code class="secret">${link}</code> ${copyButton(link)}</p>
  </section>`;
}

const ROLES: readonly PageRole[] = ['reader', 'operator', 'admin'];

/** @param one as it is now. */
export function rightsFields(one?: ConsoleAccountRow): readonly FormField[] {
  return [
    {
      ...{ name: 'role', label: t('accounts.role'), kind: 'choice', first: one?.role ?? 'operator' },
      choices: ROLES.map((role) => [role, `${t(`accounts.role.${role}`)}: ${t(`accounts.role.${role}.says`)}`] as const),
    },
    {
      ...{ name: 'credentials', label: t('accounts.credentials'), kind: 'lines', hint: t('accounts.credentials.hint') },
      ...{ first: one?.credentials?.join('\n') ?? '', optional: true },
    },
  ];
}

export function rightsOf({ role = '', credentials = '' }: FormValues) {
  const names = lineList(credentials);
  return { role, credentials: names.length === 0 ? null : names };
}
