/** Keys for those who like them. Letters alone can be switched off, because programs that type by voice press them by accident. */
import { cell } from './cell.ts';
import { isDialogOpen } from './parts/dialog.ts';
import { navigate } from './router.ts';

const OFF = 'smarthost-keys-off';

export const keysOn = cell(typeof localStorage === 'undefined' || localStorage.getItem(OFF) === null);

export function switchKeys(on: boolean): void {
  keysOn.set(on);
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, 'yes');
}

type Keys = {
  /** Letter → address, after `g`. */
  readonly pages: ReadonlyMap<string, string>;
  readonly help: () => void;
};

/** The second key of two must follow soon. */
const PAUSE = 1500;

export function startKeyboard({ pages, help }: Keys): void {
  let goingUntil = 0;
  document.addEventListener('keydown', (event) => {
    if (!keysOn.get() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isDialogOpen() || isTyping(event.target)) return;
    const going = event.timeStamp < goingUntil;
    goingUntil = 0;
    const page = going ? pages.get(event.key) : undefined;
    if (page !== undefined) navigate(page);
    else if (event.key === 'g') goingUntil = event.timeStamp + PAUSE;
    else if (event.key === '/') document.querySelector<HTMLInputElement>('#search')?.focus();
    else if (event.key === '?') help();
    else if (event.key === 'j') moveRow(1);
    else if (event.key === 'k') moveRow(-1);
    else if (event.key === 'x') row()?.querySelector<HTMLInputElement>('input[type=checkbox]')?.click();
    else if (event.key === 'Enter' && document.activeElement === row() && row()?.dataset['row']) navigate(row()!.dataset['row']!);
    else return;
    event.preventDefault();
  });
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || (target.matches('input, textarea, select') && !target.matches('[type=checkbox]')));

/** The row that has the focus, or has it inside. */
const row = () => document.activeElement?.closest<HTMLElement>('[data-row]') ?? null;

function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')];
  const at = rows.indexOf(row()!);
  const next = rows[at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}
