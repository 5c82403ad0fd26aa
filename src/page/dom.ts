/**
 * Elements, made and changed without any HTML text: what others named is shown as it is.
 *
 * @module
 */
type Child = Node | string | undefined;

export interface Attributes {
  readonly class?: string;
  readonly id?: string;
  readonly role?: string;
  readonly title?: string;
  readonly type?: string;
  readonly "aria-label"?: string;
  readonly "aria-labelledby"?: string;
  readonly "aria-hidden"?: string;
  readonly scope?: string;
  readonly tabindex?: string;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Nothing is touched that is right already: a page of thousands of rows stays smooth by it. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node: HTMLElement, name: string): void {
  if (node.className !== name) node.className = name;
}

export function setHidden(node: HTMLElement, isHidden: boolean): void {
  if (node.hidden !== isHidden) node.hidden = isHidden;
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element #${id}`);
  return found;
}

export interface KeyedElement<Row> {
  readonly root: HTMLElement;
  /** Called while it is on the screen, or near. */
  readonly update: (row: Row) => void;
  /** Called when it leaves the screen, or is no more. */
  readonly hide?: () => void;
}

/**
 * A list whose elements stay the same while their rows do: focus and scrolling are kept. Only what is on
 * the screen is kept current.
 */
export function keyedList<Row>(
  parent: HTMLElement,
  create: (row: Row) => KeyedElement<Row>,
): (rows: ReadonlyMap<string, Row>) => void {
  const kept = new Map<string, KeyedElement<Row>>();
  const visible = new Set<Element>();
  const newest = new Map<Element, () => void>();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) show(target, isIntersecting);
    },
    { rootMargin: "200px" },
  );
  const hides = new Map<Element, () => void>();
  const show = (root: Element, isVisible: boolean) => {
    if (isVisible) {
      visible.add(root);
      newest.get(root)?.();
    } else if (visible.delete(root)) hides.get(root)?.();
  };
  const remove = ({ root }: KeyedElement<Row>) => {
    observer.unobserve(root);
    show(root, false);
    newest.delete(root);
    hides.delete(root);
    root.remove();
  };
  const added = (row: Row): KeyedElement<Row> => {
    const one = create(row);
    if (one.hide !== undefined) hides.set(one.root, one.hide);
    observer.observe(one.root);
    return one;
  };
  return (rows) => {
    for (const [key, one] of kept) {
      if (rows.has(key)) continue;
      remove(one);
      kept.delete(key);
    }
    let place = parent.firstElementChild;
    for (const [key, row] of rows) {
      const one = kept.get(key) ?? added(row);
      kept.set(key, one);
      newest.set(one.root, () => one.update(row));
      if (visible.has(one.root)) one.update(row);
      if (one.root === place) place = place.nextElementSibling;
      else parent.insertBefore(one.root, place);
    }
  };
}
