/**
 * Elements as tagged templates: html`<p>…</p>`. Components are called with `h(Component, props)` or by a function that does it, so that the
 * compiler checks what they get.
 */
import htm from 'htm';
import { type ComponentChildren, h, type VNode } from 'preact';

export type Children = ComponentChildren;

type Template = (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

// Its types describe a module of another kind than the one that browsers get.
export const html = (htm as unknown as { bind(make: typeof h): Template }).bind(h);
