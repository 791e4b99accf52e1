/** Who is logged in, and what that role may. */
import type { ApiSession, ApiVisitor } from '../api/session.ts';
import { api } from './api.ts';
import { cell } from './cell.ts';

/** `GET /session`, when somebody is logged in. */
export type PageSession = ApiSession;
export type PageRole = PageSession['role'];

/** undefined: not asked yet. null: nobody is logged in. */
export const pageSession = cell<PageSession | null | undefined>(undefined);

const ROLES: readonly PageRole[] = ['reader', 'operator', 'admin'];

/** Whether who is logged in has this role, or one above it. */
export function mayAs(role: PageRole): boolean {
  const mine = pageSession.get()?.role;
  return mine !== undefined && ROLES.indexOf(mine) >= ROLES.indexOf(role);
}

export async function loadSession(): Promise<void> {
  const visitor = await api.get<ApiVisitor>('/session', {}, { bare: true });
  pageSession.set(visitor.signedIn ? visitor : null);
}

type LoginFields = { readonly name: string; readonly password: string; readonly code?: string };

/** @throws ApiFailure, of a `type` that ends in `code-needed` if a code is asked too. */
export async function beginSession(fields: LoginFields): Promise<void> {
  const before = pageSession.get();
  pageSession.set(await api.post<PageSession>('/session', fields, { bare: true }));
  // What is shown is for the eyes of the one who was there before.
  if (before && before.name !== pageSession.get()?.name) location.reload();
}

export async function closeSession(): Promise<void> {
  await api.remove('/session');
  pageSession.set(null);
}
